"""The training loop: batches become steps, steps become checkpoints and model folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from arcwise import distributed
from arcwise.data.loader import LoadedBatch
from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.encoders.interface import layers_of
from arcwise.errors import ArcwiseError, ImageError, NonFiniteError
from arcwise.images import Preparation
from arcwise.objectives import Batch
from arcwise.training import build, checkpoint
from arcwise.training.batches import (
    crops,
    on_device,
    places,
    step_keys,
    stream,
    training_images,
)
from arcwise.training.config import TrainConfig
from arcwise.training.feature_cache import cached_stream, compute_features
from arcwise.training.finetuning import training_mode
from arcwise.training.interrupt import interruptible
from arcwise.training.losses import CentresConfig
from arcwise.training.run import Run
from arcwise.training.run_logger import OnBest, Report, RunLogger
from arcwise.training.schedule import margin_scale, rate, remedies
from arcwise.training.stage_check import check_stages
from arcwise.training.start_centres import (
    keep_centres,
    run_of_kept_centres,
    start_at_class_means,
)
from arcwise.training.step import StepResult, sentence, update
from arcwise.training.timer import Timer
from arcwise.training.validation import Validation, normalise


@dataclass(frozen=True)
class LoopResult:
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
        waiting: share of the training time spent waiting for images.
        failures: images that could not be read.
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


class _UnusableCheckpoint(Exception):
    """The weights of a checkpoint give no finite loss in the step that follows it.

    Attributes:
        step: of the checkpoint.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class _NotSound(Exception):
    """A step was not finite, and is to be repeated carefully from the last checkpoint.

    Attributes:
        step: at which this was seen.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def train(
    config: TrainConfig,
    images: Manifest,
    validation: Manifest | None,
    folder: Path,
    *,
    preparation: Preparation,
    on_best: OnBest,
    report: Report,
    resume: bool = False,
    seen: np.ndarray | None = None,
) -> LoopResult:
    """Train on the images until the last step, or until interrupted.

    A resumed run whose first step has no finite loss goes back to the checkpoint before, and in the
    end to the start: what such weights make of a batch depends on no learning rate.

    Args:
        config: the whole run.
        images: what to train on.
        validation: images of other identities, which choose the checkpoint that is kept.
        folder: where metrics.jsonl and checkpoints/ go.
        preparation: how an image becomes the encoder's input.
        on_best: called with every encoder worth keeping: the best so far, and the last.
        report: called after every logged step, and first with what a run resumes at.
        resume: whether to go on from the latest checkpoint.
        seen: (N,) int64 zeros, a number an image; whenever `on_best` is called, those that were
            trained on have their `content_digest` here.

    Raises:
        NonFiniteError: a loss or gradient was not finite; the last good step is checkpointed, if
            its weights are of use.
        ArcwiseError: nothing to resume, no two readable images, or a stage that cannot be made of
            the data (`check_stages`).
    """
    check_stages(config, images)
    seen = np.zeros(len(images), np.int64) if seen is None else seen
    checkpoints = folder / "checkpoints"
    by_user, careful_until = resume, -1
    while True:
        run = _run(config, images, checkpoints, seen, resume)
        key = "repeated from" if careful_until >= 0 else "resumed"
        if resume or careful_until >= 0:
            report(run.step, {key: run.step})
        began = run.step
        logger = RunLogger(config, folder, run, validation, preparation, on_best, report)
        try:
            return _train(run, logger, preparation, by_user, careful_until)
        except _NotSound as problem:
            careful_until = problem.step
            left = checkpoint.saved(checkpoints)
            by_user = by_user and checkpoint.step_of(left[-1]) == began
            resume = bool(left)
        except _UnusableCheckpoint as problem:
            resume = by_user = checkpoint.drop_latest(checkpoints)
            careful_until = -1
            report(problem.step, {"unusable checkpoint": problem.step})


def _run(
    config: TrainConfig, images: Manifest, checkpoints: Path, seen: np.ndarray, resume: bool
) -> Run:
    """A run at its start, or as the latest checkpoint has it."""
    seen[:] = 0
    device = build.device(config.run)
    if not resume:
        run = Run(config, images, device)
        run.seen = seen
        return run
    step, state = checkpoint.load(checkpoints)
    run = Run(config, images, device, state["stage"], restored=True)
    run.seen = seen
    run.restore(step, state)
    return run


def _train(
    run: Run, logger: RunLogger, preparation: Preparation, resumed: bool, careful_until: int
) -> LoopResult:
    """`train` from a state of the run.

    Args:
        run: the state.
        logger: of the same run.
        preparation: how an image becomes the encoder's input.
        resumed: whether a user resumed it, perhaps with another learning rate.
        careful_until: the last step that is to be made carefully.
    """
    began, steps = run.step, run.whole.run.steps
    settings = run.whole.run
    failures: dict[str, ImageError] = {}
    timer = Timer()
    source: Iterator[LoadedBatch] | None = None
    with interruptible() as interrupted, logger:
        while run.step < steps and not distributed.anywhere(bool(interrupted())):
            if source is None or run.step == run.ends or run.refreshes:
                source = _source(run, preparation)
            with timer.waiting():
                batch = next(source)
            if batch.failures:
                failures.update({error.name: error for error in batch.failures})
                _refuse_unreadable(run.images, failures)
            result = None
            if not distributed.anywhere(len(batch.rows) < 2):  # batch statistics need two
                try:
                    result = _step(run, batch, preparation, careful=run.step <= careful_until)
                except NonFiniteError:
                    if resumed and run.step == began:
                        raise _UnusableCheckpoint(began) from None
                    if run.step > careful_until:
                        raise _NotSound(run.step) from None
                    raise
                run.sound &= result.sound
                run.seen[run.rows[batch.rows.numpy()]] = batch.digests
            run.step += 1
            timer.images += len(batch.rows) * distributed.size()
            epoch = _epoch_ended(run)
            log, measure, save = map(
                logger.due,
                (settings.log_every, settings.validate_every, settings.checkpoint_every),
            )
            if (log or measure or save) and run.sound.is_cuda and not run.is_sound():
                raise _NotSound(run.step)
            if log:
                logger.record(_row(run, result) | timer.so_far())
            if epoch:
                logger.record({"epoch": epoch} | timer.interval())
            with timer.paused():
                if measure:
                    run.gather_seen()
                    logger.validate()
                if save:
                    run.gather_seen()
                    logger.checkpoint()
        run.gather_seen()  # all ranks stop after the same step, finished or interrupted
    times = timer.so_far()
    return LoopResult(
        steps=run.step,
        finished=run.step >= steps,
        began=began,
        stopped_by=interrupted(),
        best=run.best,
        best_step=run.best_step,
        seconds=timer.seconds(),
        images_per_second=times["images_per_second"],
        waiting=times["waiting"],
        failures=(*failures.values(), *logger.failures),
    )


def _start_centres(run: Run, preparation: Preparation) -> None:
    """Move the class centres of an objective that began anew to where the config says they start.

    Every process embeds all images, and so has the same centres.
    """
    config = run.config
    centres = config.objective
    if not run.renewed or not isinstance(centres, CentresConfig):
        return
    if centres.centres_start == "random":
        return
    head = run.head
    assert head is not None
    start_at_class_means(head, run.encoder, config, run.images, preparation)
    if centres.centres_start == "kept":
        keep_centres(head, run.images.classes, run_of_kept_centres(run.whole.encoder.init))


def _source(run: Run, preparation: Preparation) -> Iterator[LoadedBatch]:
    """Return the batches of the current stage that are to come, or of the next one at its end.

    Where there are dominant queues, these are brought up to date, and batches are drawn from them.
    """
    if run.step == run.ends:
        run.advance()
    if run.step == run.begins:
        _start_centres(run, preparation)
    queues = run.refreshed_queues()
    columns = training_columns(run.every_image, run.objective.columns).select(run.rows)
    if run.config.data.cached_views:
        if run.features is None:
            run.features = compute_features(
                run.encoder, run.config, run.images, preparation, run.device,
                views=run.config.data.cached_views,
            )  # fmt: skip
        return cached_stream(
            run.config, run.images, run.features, run.step - run.begins, columns, queues
        )
    if run.source is None:
        run.source = training_images(run.config, run.images, preparation, columns)
    return stream(run.config, run.source, run.step - run.begins, queues)


def _refuse_unreadable(images: Manifest, failures: dict[str, ImageError]) -> None:
    """Refuse data of which hardly an image is left."""
    different = len(set(images.images))
    if len(failures) > different - 2:
        first = next(iter(failures.values()))
        raise ArcwiseError(
            f"{images.name}: {len(failures)} of {different} images cannot be read, expected at "
            f"least 2 that can; the first: {first}"
        )


def _step(run: Run, batch: LoadedBatch, preparation: Preparation, *, careful: bool) -> StepResult:
    """Make one update."""
    config, device, local = run.config, run.device, run.step - run.begins
    # Dropout, sampled classes, drawn margins: this step's own randomness.
    rng = np.random.default_rng((config.run.seed, 2, run.step, distributed.rank()))
    torch.manual_seed(int(rng.integers(2**63)))
    for group in run.groups:
        group["lr"] = config.optim.lr * rate(config, local) * group["lr_multiple"]
    run.objective.set_margin_scale(margin_scale(config, local))
    training_mode(run.encoder, config.optim)
    network: nn.Module = run.encoder
    if run.features is None:
        inputs = normalise(crops(config, batch, run.step, device), preparation)
    else:
        network = layers_of(run.encoder)[-1]
        inputs = run.features.of(batch.rows, step_keys(config, batch, run.step))
    columns = {name: on_device(one, device) for name, one in batch.columns.items()}
    planned = torch.from_numpy(places(config, batch))
    try:
        result = update(
            network,
            run.objective,
            run.optimiser,
            Batch(inputs, on_device(batch.labels, device), columns, on_device(planned, device)),
            max_grad_norm=config.optim.max_grad_norm,
            autocast=build.autocast(config.run, device),
            centres=run.centres,
            careful=careful,
        )
    except NonFiniteError as error:
        names = run.images.images
        some = [names[row] for row in batch.rows.tolist()]
        raise sentence(error, run.step, some, remedies(config) if run.step else ()) from None
    if run.ema:
        run.ema.update(run.encoder, local)
    return result


def _row(run: Run, result: StepResult | None) -> dict[str, float]:
    """What the last step measured, as numbers; empty where no step was made."""
    if result is None:
        return {}
    local = run.step - 1 - run.begins
    lr = run.config.optim.lr * rate(run.config, local)
    return result.numbers() | {"lr": lr, "margin_scale": margin_scale(run.config, local)}


def _epoch_ended(run: Run) -> int:
    """The number of the epoch that ended with the last update, 0 for none.

    Of epochs shorter than `log_every` steps, every second, third, … counts.
    """
    images, batch, local = len(run.images), run.config.data.batch, run.step - run.begins
    before, done = ((local - back) * batch // images for back in (1, 0))
    every = max(1, run.config.run.log_every * batch // images)
    return done if done // every > before // every else 0
