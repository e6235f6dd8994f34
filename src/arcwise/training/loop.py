"""The training loop: batches become steps, steps become checkpoints and model folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arcwise import distributed
from arcwise.data.augment import augment, view_keys
from arcwise.data.loader import CachedImages, LoadedBatch, batches
from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Balanced, Mixed, Sampler, Shuffled, Windowed
from arcwise.errors import ArcwiseError, ImageError, NonFiniteError
from arcwise.heads import CentreHead
from arcwise.images import Preparation
from arcwise.training import build, checkpoint
from arcwise.training.clock import Clock
from arcwise.training.config import TrainConfig
from arcwise.training.diary import Diary, Keep, Report
from arcwise.training.interrupt import interruptible
from arcwise.training.run import Run
from arcwise.training.schedule import margin_strength, rate, remedies
from arcwise.training.step import sentence, update
from arcwise.training.validation import Validation, normalise


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        steps: updates done.
        finished: False when it was interrupted; a checkpoint is there to resume from.
        began: updates done before this process began.
        stopped_by: the number of the signal that this process was sent, 0 for none. It may come
            after the last step.
        best: validation of the kept checkpoint, None without held-out identities.
        best_step: updates after which it was reached.
        seconds: time of this process, validation included.
        images_per_second: training throughput of this process, validation excluded.
        waiting: share of the training time spent waiting for pictures.
        failures: pictures that could not be read.
    """

    steps: int
    finished: bool
    began: int
    stopped_by: int
    best: Validation | None
    best_step: int
    seconds: float
    images_per_second: float
    waiting: float
    failures: tuple[ImageError, ...]


def train(
    config: TrainConfig,
    pictures: Manifest,
    choose: Manifest | None,
    folder: Path,
    *,
    preparation: Preparation,
    keep: Keep,
    report: Report,
    resume: bool = False,
    seen: np.ndarray | None = None,
) -> Outcome:
    """Train on the pictures until the last step, or until interrupted.

    A resumed run whose first step has no finite loss goes back to the checkpoint before, and in the
    end to the start: what such weights make of a batch depends on no learning rate.

    Args:
        config: the whole run.
        pictures: what to train on.
        choose: pictures of other identities, which choose the checkpoint that is kept.
        folder: where metrics.jsonl and checkpoints/ go.
        preparation: how a picture becomes the encoder's input.
        keep: called with every encoder worth keeping: the best so far, and the last.
        report: called after every logged step, and first with what a run resumes at.
        resume: whether to go on from the latest checkpoint.
        seen: (N,) int64 zeros, a number a picture; whenever `keep` is called, those that were
            trained on have their `content_digest` here.

    Raises:
        NonFiniteError: a loss or gradient was not finite; the last good step is checkpointed, if
            its weights are of use.
        ArcwiseError: nothing to resume, no two readable pictures, or a batch or a sweep over the
            centres that the processes cannot share.
    """
    if config.batch % distributed.size() or config.batch < 2 * distributed.size():
        raise ArcwiseError(
            f"--batch {config.batch} over {distributed.size()} processes; expected a multiple of "
            "their number, and at least 2 pictures for each"
        )
    if config.centre_step == "swept" and distributed.size() > 1:
        raise ArcwiseError(
            f"--centre-step swept over {distributed.size()} processes, whose gradients of the "
            "centres have to meet; expected one process, or --centre-step ordinary"
        )
    seen = np.zeros(len(pictures), np.int64) if seen is None else seen
    while True:
        try:
            return _train(config, pictures, choose, folder, preparation, keep, report, resume, seen)
        except _NoWayOn as found:
            resume = checkpoint.drop_latest(folder / "checkpoints")
            report(found.step, {"no way on": found.step})


class _NoWayOn(NonFiniteError):
    """The weights of a checkpoint give no finite loss in the step that follows it.

    Attributes:
        step: of the checkpoint.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step}: no finite loss from there")
        self.step = step


def _train(
    config: TrainConfig,
    pictures: Manifest,
    choose: Manifest | None,
    folder: Path,
    preparation: Preparation,
    keep: Keep,
    report: Report,
    resume: bool,
    seen: np.ndarray,
) -> Outcome:
    """`train` from the latest checkpoint, or from the start."""
    device = build.device(config)
    # A resumed run has its weights in the checkpoint: what it once started from may be gone.
    run = Run(config.replace(init="") if resume else config, len(pictures.classes), device)
    run.seen = seen
    if resume:
        run.restore(*checkpoint.load(folder / "checkpoints"))
        report(run.step, {"resumed": run.step})
    began = run.step
    source = stream(config, pictures, preparation, run.step)
    diary = Diary(config, folder, run, choose, preparation, keep, report)
    names = pictures.images
    different = len(set(names))
    failures: dict[str, ImageError] = {}
    clock = Clock()

    with interruptible() as interrupted, diary:
        while run.step < config.steps and not distributed.anywhere(bool(interrupted())):
            with clock.waiting():
                batch = next(source)
            failures.update({error.name: error for error in batch.failures})
            if len(failures) > different - 2:
                first = next(iter(failures.values()))
                raise ArcwiseError(
                    f"{pictures.name}: {len(failures)} of {different} pictures cannot be read, "
                    f"expected at least 2 that can; the first: {first}"
                )
            values = {}
            if not distributed.anywhere(len(batch.rows) < 2):  # batch statistics need two
                try:
                    values = _step(config, run, batch, preparation, device, names)
                except NonFiniteError:
                    if resume and run.step == began:
                        raise _NoWayOn(began) from None
                    raise
                run.seen[batch.rows.numpy()] = batch.digests
            run.step += 1
            clock.pictures += len(batch.rows) * distributed.size()
            if diary.due(config.log_every):
                times = {"images_per_second": clock.rate(), "waiting": clock.share_waited()}
                diary.record(values | times)
            if epoch := _epoch_ended(config, len(pictures), run.step):
                speed, waiting = clock.lap()
                diary.record({"epoch": epoch, "images_per_second": speed, "waiting": waiting})
            with clock.paused():
                if diary.due(config.validate_every):
                    run.gather_seen()
                    diary.validate()
                if diary.due(config.checkpoint_every):
                    run.gather_seen()
                    diary.checkpoint()
        run.gather_seen()  # all ranks stop after the same step, finished or interrupted
    return Outcome(
        steps=run.step,
        finished=run.step >= config.steps,
        began=began,
        stopped_by=interrupted(),
        best=run.best,
        best_step=run.best_step,
        seconds=clock.seconds(),
        images_per_second=clock.rate(),
        waiting=clock.share_waited(),
        failures=(*failures.values(), *diary.failures),
    )


def _step(
    config: TrainConfig,
    run: Run,
    batch: LoadedBatch,
    preparation: Preparation,
    device: torch.device,
    names: list[str],
) -> dict[str, float]:
    """One update; what was measured."""
    # Dropout, sampled classes, drawn margins: this step's own randomness.
    rng = np.random.default_rng((config.seed, 2, run.step, distributed.rank()))
    torch.manual_seed(int(rng.integers(2**63)))
    factor = rate(config, run.step)
    for group in run.groups:
        group["lr"] = config.lr * factor * group["multiple"]
    strength = margin_strength(config, run.step)
    run.encoder.train()
    try:
        loss, norm = update(
            run.encoder,
            run.head,
            run.optimiser,
            normalise(views(config, batch, run.step, device), preparation),
            batch.labels.to(device),
            strength=strength,
            clip=config.clip,
            autocast=build.autocast(config, device),
            centres=run.centres,
        )
    except NonFiniteError as error:
        seen = [names[row] for row in batch.rows.tolist()]
        raise sentence(error, run.step, seen, remedies(config) if run.step else ()) from None
    if run.average:
        run.average.update(run.encoder, run.step)
    values = {"loss": loss, "gradient": norm, "lr": config.lr * factor, "strength": strength}
    return values | (run.head.metrics if isinstance(run.head, CentreHead) else {})


def _epoch_ended(config: TrainConfig, pictures: int, step: int) -> int:
    """The number of the epoch that ended with the last update, 0 for none.

    Of epochs shorter than `log_every` steps, every second, third, … counts.
    """
    before, done = ((step - back) * config.batch // pictures for back in (1, 0))
    every = max(1, config.log_every * config.batch // pictures)
    return done if done // every > before // every else 0


def views(config: TrainConfig, batch: LoadedBatch, step: int, device: torch.device) -> Tensor:
    """(N, 3, V, V) float32: what this step sees of a batch, from 0 to 255."""
    places = distributed.share(np.arange(config.batch))[batch.positions.numpy()]
    return augment(
        batch.pixels.to(device),
        config.augment,
        config.view or config.size,
        view_keys(config.seed, step, places),
    )


def stream(
    config: TrainConfig,
    pictures: Manifest,
    preparation: Preparation,
    start: int,
) -> Iterator[LoadedBatch]:
    """This rank's part of every batch from step `start`, on the canvas that views are cut from."""
    side = round((config.view or config.size) * config.canvas)
    canvas = replace(preparation, height=side, width=side)
    source = CachedImages(pictures, pictures.labels, canvas, int(config.keep_gb * 1e9))
    sampler = _sampler(config, pictures)
    plan = (distributed.share(sampler.batch(step)) for step in range(start, config.steps))
    return batches(source, plan, workers=config.workers)


def _sampler(config: TrainConfig, pictures: Manifest) -> Sampler:
    if config.sampling == "balanced":
        identities = config.batch // config.pictures_per_identity
        return Balanced(pictures.labels, identities, config.pictures_per_identity, config.seed)
    rare = _outside_the_most_frequent_domain(pictures)
    extra = round(config.rare_domains * config.batch) if len(rare) else 0
    rows, batch = len(pictures), config.batch - extra
    if config.sampling == "windowed":
        every = Windowed(rows, batch, config.seed)
    else:
        every = Shuffled(np.arange(rows), batch, config.seed)
    return Mixed(every, Shuffled(rare, extra, config.seed)) if extra else every


def _outside_the_most_frequent_domain(pictures: Manifest) -> np.ndarray:
    domains = pictures.column("domain")
    if domains is None:
        return np.empty(0, np.int64)
    names, codes, counts = np.unique(
        [str(domain) for domain in domains], return_inverse=True, return_counts=True
    )
    return np.flatnonzero(codes != counts.argmax()) if len(names) > 1 else np.empty(0, np.int64)
