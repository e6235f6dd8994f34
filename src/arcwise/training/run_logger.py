"""What a run leaves behind: rows, validations, checkpoints and encoders worth keeping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor, nn

from arcwise import distributed
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError, NonFiniteError
from arcwise.images import Preparation
from arcwise.training import build, checkpoint
from arcwise.training.batches import cached_images
from arcwise.training.config import TrainConfig
from arcwise.training.metrics import Metrics
from arcwise.training.run import Run
from arcwise.training.schedule import remedies
from arcwise.training.validation import Validation, validate
from arcwise.training.wise_ft import best_average

Report = Callable[[int, dict[str, float]], None]
"""Called with the number of updates done and what was measured."""

OnBest = Callable[[nn.Module, int, Validation | None, bool], None]
"""Called with an encoder to keep, the updates done, its validation, and whether it is the last."""


class RunLogger:
    """Writes for the first rank; the others only wait where it takes its time.

    As a context it closes the files at the end, and leaves a checkpoint when the run was stopped
    early between two steps, by the first signal or by an error that is not the machine's.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        run: Run,
        validation: Manifest | None,
        preparation: Preparation,
        on_best: OnBest,
        report: Report,
    ) -> None:
        self.settings = config.run
        self.folder = folder
        self.run = run
        self.on_best = on_best
        self.report = report
        self.writes = distributed.rank() == 0
        self.saved_at = run.step
        self.held_out = None
        self.pooled: dict[tuple[int, bool], Tensor] = {}
        self.failures: tuple[ImageError, ...] = ()
        if validation is not None and self.writes:
            self.held_out = cached_images(config, validation, preparation)

    def __enter__(self) -> Self:
        self.metrics = (
            Metrics(self.folder, start=self.run.step, tensorboard=self.settings.tensorboard)
            if self.writes
            else None
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C comes at any point, in the middle of an update too: nothing to keep.
        stopped = kind is None or issubclass(kind, ArcwiseError)
        if kind is not None and issubclass(kind, NonFiniteError):
            stopped = self._of_use()
        try:
            if stopped and self.run.step > self.saved_at and bool(self.run.sound):
                self.checkpoint()
            if kind is None and self.writes and self.run.step >= self.settings.steps:
                self._average_with_start()
                last = self.run.best if self.run.best_step == self.run.step else None
                self.on_best(self.run.evaluated, self.run.step, last, True)
        finally:
            if self.metrics:
                self.metrics.close()

    def _of_use(self) -> bool:
        """Return whether the weights that led to a loss that is not finite are of use.

        Checkpoints are dropped if not. Weights that grew beyond reason make nothing finite,
        whatever is changed from there on.
        """
        if checkpoint.is_sane(self.run.state()):
            return True
        if self.writes:
            checkpoint.drop_insane(self.folder / "checkpoints")
        return False

    def due(self, every: int) -> bool:
        """Return whether something done every so many steps is to be done after this one."""
        return self.run.step % every == 0 or self.run.step == self.run.ends

    def record(self, values: dict[str, float]) -> None:
        """Write one row, and report it."""
        if self.metrics:
            self.metrics.row(self.run.step, **values)
            self.report(self.run.step, values)

    def _average_with_start(self) -> None:
        """Keep the average of the last weights and the first, if it is the best."""
        run = self.run
        if run.start is None or self.held_out is None:
            return
        average = best_average(run.evaluated, run.start, self._validated)
        result = average.validation
        self.record({"wise_ft": average.share} | result.as_dict())
        if run.best is None or result.score > run.best.score:
            run.best, run.best_step = result, run.step
            self.on_best(average.encoder, run.step, result, False)

    def _validated(self, encoder: nn.Module) -> Validation:
        """Measure a network on the held-out identities."""
        assert self.held_out is not None
        device = next(self.run.encoder.parameters()).device
        autocast = build.autocast(self.settings, device)
        pooled = self.pooled if self.run.config.data.cached_views else None
        result, self.failures = validate(encoder, self.held_out, device, autocast, pooled)
        return result

    def validate(self) -> None:
        """Measure the network on identities it was not trained on; keep it if it is the best."""
        run = self.run
        if self.held_out is not None:
            try:
                result = self._validated(run.evaluated)
            except NonFiniteError as error:
                self.saved_at = run.step  # such weights are not worth keeping
                what = " or ".join(remedies(run.config))
                raise NonFiniteError(f"step {run.step}: {error}. To go on, {what}") from None
            self.record(result.as_dict())
            if run.best is None or result.score > run.best.score:
                run.best, run.best_step = result, run.step
                self.on_best(run.evaluated, run.step, result, False)
        distributed.wait()

    def checkpoint(self) -> None:
        """Save everything."""
        if self.writes:
            checkpoint.save(self.folder / "checkpoints", self.run.step, self.run.state())
        self.saved_at = self.run.step
