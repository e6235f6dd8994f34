"""A training that is kept in a folder, and taken up where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arcwise.clustering.linkage.network import LinkageNetwork
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write

_FILE = "state.pt"


def request_of(
    unit: np.ndarray, identity: np.ndarray, settings: Mapping[str, Any], seed: int
) -> str:
    """Return a digest of all that decides what a training gives."""
    about = json.dumps([dict(settings), seed, unit.shape]).encode()
    return hashlib.sha256(about + unit.tobytes() + identity.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class TrainingState:
    """A network and its optimiser, kept in a file.

    Attributes:
        folder: where the file is.
        request: of `request_of`; a file of another training is not taken up.
        network: the network.
        optimiser: of its parameters.
    """

    folder: Path
    request: str
    network: LinkageNetwork
    optimiser: torch.optim.Optimizer

    def load(self, sums: list[float]) -> int:
        """Take up the training, and return the steps that were done; 0 where there is none.

        Args:
            sums: of the losses of each epoch; filled.

        Raises:
            ArcwiseError: the file is damaged.
        """
        path = self.folder / _FILE
        if not path.is_file():
            return 0
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as problem:  # torch raises many kinds for one damaged file
            raise ArcwiseError(
                f"{path}: damaged ({type(problem).__name__}); delete it to train from the beginning"
            ) from problem
        if state["request"] != self.request:
            return 0
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        sums[:] = state["sums"]
        return state["done"]

    def save(self, sums: list[float], done: int) -> None:
        """Keep the training as it is after so many steps.

        Args:
            sums: of the losses of each epoch.
            done: steps.

        Raises:
            ArcwiseError: the file cannot be written.
        """
        state = {
            "request": self.request,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "sums": sums,
            "done": done,
        }
        with atomic_write(self.folder / _FILE) as path:
            torch.save(state, path)
