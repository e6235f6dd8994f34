"""The state of a run: everything that changes from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from arcwise import distributed
from arcwise.training import build
from arcwise.training.average import Average
from arcwise.training.config import TrainConfig
from arcwise.training.validation import Validation


class Run:
    """Encoder, head, optimisers and average, and how far they have come."""

    def __init__(self, config: TrainConfig, classes: int, device: torch.device) -> None:
        torch.manual_seed(config.seed % 2**63)  # all that torch takes; other draws see all of it
        self.encoder = build.encoder(config, device)
        self.head = build.head(config, classes).to(device)
        distributed.same_start(self.encoder, self.head)
        self.optimiser = build.optimiser(config, self.encoder, self.head)
        self.centres = build.centre_optimiser(config, self.head)
        self.average = Average(self.encoder, config.average) if config.average else None
        self.step = 0
        self.best: Validation | None = None
        self.best_step = 0
        self.seen = np.zeros(0, np.int64)
        """(N,) the digest of each picture that was trained on, 0 for those that were not yet."""

    @property
    def groups(self) -> list[dict[str, Any]]:
        """What has a learning rate of its own."""
        swept = self.centres.param_groups if self.centres else []
        return [*self.optimiser.param_groups, *swept]

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured and kept."""
        return self.average.module if self.average else self.encoder

    def gather_seen(self) -> None:
        """Take in what the other ranks were trained on; all ranks have to call this together."""
        self.seen[:] = distributed.largest(self.seen)

    def state(self) -> dict[str, Any]:
        """What to save."""
        best = self.best and {"recall_at_1": self.best.recall_at_1, "tar": self.best.tar}
        return {
            "encoder": self.encoder.state_dict(),
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "centres": self.centres and self.centres.state_dict(),
            "average": self.average and self.average.module.state_dict(),
            "best": best,
            "best_step": self.best_step,
            "seen": torch.from_numpy(self.seen),
        }

    def restore(self, step: int, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.encoder.load_state_dict(state["encoder"])
        self.head.load_state_dict(state["head"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.centres:
            self.centres.load_state_dict(state["centres"])
        if self.average:
            self.average.module.load_state_dict(state["average"])
        self.best = Validation(**state["best"]) if state["best"] else None
        self.best_step = state["best_step"]
        if "seen" in state:  # a run of an older Arcwise did not look
            self.seen[:] = state["seen"].numpy()
        self.step = step
