"""Compare losses: one budget, several seeds, and the same held-out identities for all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from arcwise import evaluation
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import cores
from arcwise.data.split import Split, hold_out
from arcwise.errors import ArcwiseError
from arcwise.evaluation import RunComparison
from arcwise.files import atomic_write, locked
from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.described_loss import described
from arcwise.verbs.compare_plan import Plan, Variant, agreed, variants, write_plan
from arcwise.verbs.compare_result import ComparedLoss, LossComparison, TunedVariant, as_dict
from arcwise.verbs.compare_training import (
    EMBEDDINGS,
    HeldOutImages,
    SeedTraining,
    Trained,
    known_result,
    pace_of,
    prepared_images,
    small_images,
    train_all,
)
from arcwise.verbs.reporting import can_report
from arcwise.verbs.train import training_rows

LOSSES = ("softmax", "normsoftmax", "cosface", "arcface", "adaface", "triplet")
"""What is compared where no losses are named."""

BUDGET = 10.0
"""Minutes, where neither a budget nor steps are given."""

TUNING_SEEDS = 2
"""Trainings of each variant of a loss, where margins or scales are varied."""

_LEAST_STEPS = 50

Progress = Callable[[int, int, str], object]
"""Called with how many trainings have ended, how many there are, and which ended last, or what is
done before the first one."""


def compare(
    data: str | Path | Manifest | Split,
    out: str | Path,
    config: TrainConfig,
    *,
    losses: Sequence[str] = LOSSES,
    baseline: str = "arcface",
    margins: Sequence[float] = (),
    scales: Sequence[float] = (),
    seeds: int = 5,
    budget: float | None = BUDGET,
    far: float = 1e-2,
    processes: int | None = None,
    progress: Progress = lambda done, total, last: None,
) -> LossComparison:
    """Train every loss with every seed, and measure all on the same identities; go on where it is.

    Identities are held out as `config.data.holdout` and `config.run.split_seed` say. Half of these
    choose among the margins and scales of a loss, the other half is measured; where nothing is
    varied, all of them are measured. Each training keeps its last weights.

    Args:
        data: a folder of folders, a table, a zip, a manifest; or a split, of which nobody is held
            out, as its parts are what is trained on, what chooses and what is measured.
        out: the folder of the comparison.
        config: what the trainings share; its loss has no part in it.
        losses: by name, as `TrainConfig.with_loss` takes them.
        baseline: the one that the others are compared with.
        margins: that each loss is tried with; those of the recipe and the papers without any.
        scales: that each loss is tried with.
        seeds: trainings of each loss.
        budget: minutes of all trainings together, from which the steps of each follow; None for the
            steps of the config.
        far: false-accept rate at which losses are compared.
        processes: trainings at a time; by default one a core. They do not change a result.
        progress: called when a training has ended.

    Raises:
        ArcwiseError: data or losses that do not fit, another comparison in the folder, or a budget
            that is too small.
        KeyboardInterrupt: it was stopped; the same call goes on.
    """
    out = Path(out)
    config = config.replace(data={"workers": 0}, run={"validate_every": 10**9})
    tried = variants(config, losses, margins, scales)
    if baseline not in losses or len(losses) < 2 or seeds < 1:
        raise ArcwiseError(
            f"losses {', '.join(losses)} with {seeds} seeds, baseline {baseline}; expected two "
            "losses or more, the baseline among them, and a seed at least"
        )
    encoder, notes = build.as_the_network_takes(build.as_the_weights_say(config.encoder))
    if isinstance(data, Split):
        parts = data
    else:
        manifest = training_rows(open_manifest(data), config)
        parts = hold_out(manifest, config.data.holdout, config.run.split_seed)
    config = config.replace(encoder=encoder, data={"holdout": 0.0})
    plan = Plan(
        losses=tuple(losses),
        margins=tuple(margins),
        scales=tuple(scales),
        baseline=baseline,
        seeds=seeds,
        far=far,
        steps=0 if budget else config.with_steps(len(parts.train)).run.steps,
        data="-".join(one.fingerprint()[:16] for one in parts),
        config=config.replace(run={"steps": 1}).as_dict(),
    )
    with locked(out, "a comparison"):
        plan = agreed(plan, out)
        write_plan(plan, out)
        pixels = out / "held-out.npy"
        images = small_images(config, parts.train, out / "images")
        choosing, measured = prepared_images(config, (parts.validation, parts.calibration), pixels)
        unread = (*choosing.notes, *measured.notes)
        common = _Common(out, config, images, pixels)
        processes, total = processes or cores(), _trainings(tried, seeds)
        if not plan.steps:
            assert budget is not None, "without a budget the steps are the config's"
            progress(0, total, "measuring how long a step takes")
            plan = replace(plan, steps=_steps(common, baseline, budget, total, processes))
            write_plan(plan, out)
        common = replace(common, config=config.replace(run={"steps": plan.steps}))
        ended: set[str] = set()

        def report(training: SeedTraining, trained: Trained) -> None:
            ended.add(training.folder.name)
            progress(len(ended), total, training.folder.name)

        varied = [one for those in tried.values() if len(those) > 1 for one in those]
        first = range(min(TUNING_SEEDS, seeds))
        train_all([common.training(one, k) for k in first for one in varied], processes, report)
        tuned = _tuned(common, varied, choosing, first, far)
        best = {one.variant.loss: one.variant for one in tuned if one.chosen}
        chosen = [best.get(loss, those[0]) for loss, those in tried.items()]
        every = [common.training(one, seed) for seed in range(seeds) for one in chosen]
        train_all(every, processes, report)
    if not varied:  # nothing was chosen: all of them are measured
        measured = HeldOutImages((*choosing.identities, *measured.identities), slice(None))
    compared = {one.loss: _compared(common, one, plan, len(parts.train.classes)) for one in chosen}
    result = LossComparison(
        folder=out,
        data=parts.train.name,
        plan=plan,
        split=(len(parts.train.classes), len(parts.validation.classes) if varied else 0,
               len(set(measured.identities))),
        losses=compared,
        table=_table(common, compared, measured, plan),
        tuned=tuned,
        notes=(*notes, *images.notes, *unread),
    )  # fmt: skip
    return _written(result)


def _written(result: LossComparison) -> LossComparison:
    """Write results.json and report.html."""
    with atomic_write(result.folder / "results.json") as unfinished:
        text = json.dumps(as_dict(result), indent=1, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8")
    if not can_report():
        return result
    from arcwise.verbs.compare_report import write_compare_report  # matplotlib may not be there

    return replace(result, report=write_compare_report(result.folder / "report.html", result))


@dataclass(frozen=True)
class _Common:
    """What the trainings of a comparison share."""

    out: Path
    config: TrainConfig
    images: Manifest
    pixels: Path

    def training(self, variant: Variant, seed: int) -> SeedTraining:
        config = variant.config(self.config).replace(run={"seed": seed})
        return SeedTraining(self.folder(variant, seed), config, self.images, self.pixels)

    def folder(self, variant: Variant, seed: int) -> Path:
        return self.out / "trainings" / f"{variant.label}, seed {seed}"

    def embeddings(self, variant: Variant, seed: int) -> np.ndarray:
        """Return the (M, D) embeddings of the held-out images."""
        return np.load(self.folder(variant, seed) / EMBEDDINGS)

    def trained(self, variant: Variant, seed: int) -> Trained:
        found = known_result(self.folder(variant, seed))
        assert found is not None, "it has ended"
        return found


def _compared(common: _Common, variant: Variant, plan: Plan, classes: int) -> ComparedLoss:
    """Return what a loss cost, and why it cannot be compared, if so."""
    trained = [common.trained(variant, seed) for seed in range(plan.seeds)]
    failed = next((one.failed for one in trained if one.failed), "")
    return ComparedLoss(
        variant,
        described(variant.config(common.config).replace(run={"steps": plan.steps}), classes),
        float(np.mean([one.seconds for one in trained if one.seconds] or [0.0])),
        max(one.memory for one in trained),
        failed,
    )


def _table(
    common: _Common, compared: Mapping[str, ComparedLoss], measured: HeldOutImages, plan: Plan
) -> RunComparison:
    """Return what was measured of the losses that could be trained.

    Raises:
        ArcwiseError: there are not two of them, or the baseline could not.
    """
    failed = [one for one in compared.values() if one.failed]
    if len(compared) - len(failed) < 2 or compared[plan.baseline].failed:
        reasons = "; ".join(f"{one.variant.label}: {one.failed}" for one in failed)
        raise ArcwiseError(
            f"nothing is left to compare {plan.baseline} with ({reasons}); expected losses that "
            "train: a lower --lr, or other --losses"
        )
    runs = {
        name: [common.embeddings(one.variant, seed)[measured.rows] for seed in range(plan.seeds)]
        for name, one in compared.items()
        if not one.failed
    }
    return evaluation.compare_runs(runs, measured.identities, far=plan.far, baseline=plan.baseline)


def _trainings(tried: Mapping[str, Sequence[Variant]], seeds: int) -> int:
    """Return how many trainings there are: all seeds of one variant, the first ones of others."""
    others = sum(len(those) - 1 for those in tried.values())
    return len(tried) * seeds + others * min(TUNING_SEEDS, seeds)


def _steps(common: _Common, baseline: str, budget: float, total: int, processes: int) -> int:
    """Return the steps that each training may take, two digits of them.

    Raises:
        ArcwiseError: they are too few to learn anything.
    """
    began = perf_counter()
    training = common.training(Variant(baseline), 0)
    slowest = 60 * budget * processes / total / _LEAST_STEPS
    pace = pace_of(training, processes, slowest)
    left = 60 * budget - (perf_counter() - began)
    steps = int((left * processes / total - pace.rest) / pace.step)
    if steps < _LEAST_STEPS:
        each = _LEAST_STEPS * pace.step + pace.rest
        least = math.ceil(each * total / (60 * processes)) + 1
        raise ArcwiseError(
            f"{total} trainings in {budget:g} minutes are fewer than {_LEAST_STEPS} steps each, at "
            f"{pace.step:.2g} s a step; expected --budget {least} or more, --steps, fewer losses "
            "or seeds, or a machine that is less busy"
        )
    unit = 10 ** max(len(str(steps)) - 2, 0)
    return steps // unit * unit


def _tuned(
    common: _Common, varied: Sequence[Variant], choosing: HeldOutImages, seeds: range, far: float
) -> tuple[TunedVariant, ...]:
    """Return what each variant reached on the identities that choose, and which are chosen."""
    _, labels = np.unique(choosing.identities, return_inverse=True)
    found: dict[Variant, float] = {}
    for one in varied:
        rates = []
        for seed in seeds:
            if common.trained(one, seed).failed:
                rates.append(-1.0)  # worse than any
                continue
            vectors = common.embeddings(one, seed)[choosing.rows]
            (threshold,) = evaluation.calibrate(vectors, labels, fars=(far,), draws=2)
            rates.append(threshold.tar or 0.0)
        found[one] = float(np.mean(rates))
    best = {one.loss: one for one, _ in sorted(found.items(), key=lambda item: item[1])}
    return tuple(TunedVariant(one, tar, best[one.loss] == one) for one, tar in found.items())
