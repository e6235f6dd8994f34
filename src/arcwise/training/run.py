"""The state of a run: everything that changes from step to step."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from arcwise import distributed
from arcwise.data.loader import CachedImages
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, Dominant
from arcwise.objectives import Objective
from arcwise.training import build, wise_ft
from arcwise.training.batches import stage_rows
from arcwise.training.config import TrainConfig
from arcwise.training.feature_cache import FeatureCache
from arcwise.training.finetuning import freeze
from arcwise.training.start_centres import class_digests
from arcwise.training.validation import Validation


class Ema:
    """Exponential moving average of a module's parameters and statistics (arXiv 1806.05594).

    The decay starts low, min(decay, (1 + t)/(10 + t)), so that the random start is soon forgotten.

    Attributes:
        module: the averaged copy, in evaluation mode and without gradients.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module after this step (counted from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        own, new = _numbers(self.module), _numbers(module)
        torch._foreach_lerp_(own, new, weight)
        for kept, counter in zip(_counters(self.module), _counters(module), strict=True):
            kept.copy_(counter)


def _numbers(module: nn.Module) -> list[Tensor]:
    statistics = [one for one in module.buffers() if one.dtype.is_floating_point]
    return [*(p.detach() for p in module.parameters()), *statistics]


def _counters(module: nn.Module) -> list[Tensor]:
    return [one for one in module.buffers() if not one.dtype.is_floating_point]


class Run:
    """Encoder, objective, optimisers and moving average, and how far they have come.

    A run goes through the stages of its config. `advance` begins the next one: the encoder stays,
    and with it the class centres where objective and identities are those of the stage before.

    Attributes:
        images: what the current stage trains on.
        rows: (n,) which rows of the whole training data these are.
        config: the current stage as a config of its own.
        source: the current stage's images, as far as they are decoded; None before its start.
        features: of the current stage's images, where they are computed once; None before, and
            where they are not.
        renewed: whether the objective of the current stage began anew.
        start: the weights that the current stage began with, where they are averaged with the last.
        begins: updates done when the current stage began.
        step: updates done.
        sound: whether every loss and gradient since the last look was finite, on the device.
        seen: (N,) the digest of each image that was trained on, 0 for those that were not yet.
    """

    def __init__(
        self,
        config: TrainConfig,
        images: Manifest,
        device: torch.device,
        stage: int = 0,
        *,
        restored: bool = False,
    ) -> None:
        self.whole = config
        self.every_image = images
        self.device = device
        self.stage = stage
        torch.manual_seed(config.run.seed % 2**63)  # all that torch takes; other draws see all
        # A restored run has its weights in a checkpoint: what it once started from may be gone. Of
        # an imported network, the model folder says how it is run.
        new = restored and config.encoder.name != "onnx"
        start = replace(config.encoder, init="") if new else config.encoder
        self.encoder = build.encoder(start, device)
        self._begin(renew=True)
        self.step = self.begins
        self.best: Validation | None = None
        self.best_step = 0
        self.sound = torch.ones((), dtype=torch.bool, device=device)
        self.seen = np.zeros(0, np.int64)

    def _begin(self, renew: bool) -> None:
        """Make what the current stage has of its own."""
        lengths = [one.steps for one in self.whole.stages]
        self.begins = sum(lengths[: self.stage])
        self.config = self.whole.stage(self.stage)
        self.renewed = renew
        self.start = wise_ft.start_state(self.encoder) if self.config.optim.wise_ft else None
        self.source: CachedImages | None = None
        self.features: FeatureCache | None = None
        self.rows = stage_rows(self.whole, self.stage, self.every_image)
        self.images = self.every_image.select(self.rows) if self.whole.stages else self.every_image
        classes = len(self.images.classes)
        if classes < 2:
            raise ArcwiseError(
                f"{self.images.name}: got {classes} identity; expected at least 2 to tell apart"
            )
        if renew:
            sizes = torch.from_numpy(np.bincount(self.images.labels, minlength=classes))
            self.objective: Objective = build.objective(
                self.config, classes, sizes, self.encoder, self.images
            )
            self._module.to(self.device)
        freeze(self.encoder, self.config.optim)
        distributed.same_start(self.encoder, self._module)
        self.centres = build.centre_optimiser(self.config, self.objective)
        self.optimiser = build.optimiser(self.config, self.encoder, self.objective, self.centres)
        decay = self.config.optim.ema_decay
        self.ema = Ema(self.encoder, decay) if decay else None

    @property
    def _module(self) -> nn.Module:
        """The objective as the module that it is, too."""
        return cast(nn.Module, self.objective)

    @property
    def head(self) -> CentreHead | None:
        """The class centres of the current stage, where it has some on the sphere."""
        heads = (one for one in self._module.modules() if isinstance(one, CentreHead))
        return next(heads, None)

    @property
    def dominant(self) -> Dominant | None:
        """The dominant queues of the current stage, where it has some."""
        selection = self.head and self.head.selection
        return selection if isinstance(selection, Dominant) else None

    @property
    def refreshes(self) -> bool:
        """Whether dominant queues are brought up to date before the next step."""
        return self.dominant is not None and self.dominant.due

    def refreshed_queues(self) -> np.ndarray | None:
        """Return the dominant queues to draw batches from, up to date; None without any."""
        dominant, head = self.dominant, self.head
        if dominant is None or head is None:
            return None
        if dominant.due:
            dominant.refresh(head.centres)
        return dominant.drawn

    @property
    def ends(self) -> int:
        """Updates done when the current stage ends."""
        return self.begins + self.config.run.steps

    def advance(self) -> None:
        """Begin the next stage, from the encoder of this one."""
        before, identities = self.config.objective, self.images.classes
        self.stage += 1
        rng = np.random.default_rng((self.whole.run.seed, 3, self.stage))
        torch.manual_seed(int(rng.integers(2**63)))
        rows = stage_rows(self.whole, self.stage, self.every_image)
        same = self.every_image.select(rows).classes == identities
        self._begin(renew=not same or self.whole.stage(self.stage).objective != before)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """What has a learning rate of its own."""
        fused = self.centres.param_groups if self.centres else []
        return [*self.optimiser.param_groups, *fused]

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured and kept."""
        return self.ema.module if self.ema else self.encoder

    def gather_seen(self) -> None:
        """Take in what the other ranks were trained on; all ranks have to call this together."""
        self.seen[:] = distributed.largest(self.seen)

    def is_sound(self) -> bool:
        """Return whether every loss and gradient so far was finite; a GPU is waited for."""
        return not distributed.anywhere(not bool(self.sound))

    def state(self) -> dict[str, Any]:
        """Return what to save."""
        return {
            "stage": self.stage,
            "encoder": self.encoder.state_dict(),
            "objective": self._module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "centres": self.centres and self.centres.state_dict(),
            "ema": self.ema and self.ema.module.state_dict(),
            "start": self.start,
            "classes": class_digests(self.images.classes),
            "best": self.best and self.best.as_dict(),
            "best_step": self.best_step,
            "seen": torch.from_numpy(self.seen),
        }

    def restore(self, step: int, state: dict[str, Any]) -> None:
        """Go back to a saved state of the current stage."""
        self.encoder.load_state_dict(state["encoder"])
        self._module.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.centres:
            self.centres.load_state_dict(state["centres"])
        if self.ema:
            self.ema.module.load_state_dict(state["ema"])
        self.start = state.get("start")
        self.best = Validation(**state["best"]) if state["best"] else None
        self.best_step = state["best_step"]
        self.seen[:] = state["seen"].numpy()
        self.step = step
