"""What two processes do together; started by torch.distributed.run for tests/test_distributed.py.

Each rank writes what it saw; the test compares.
"""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

from arcwise import distributed
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead
from arcwise.margins import ArcFace, CurricularFace
from arcwise.training.step import update
from tests.training import runs


def network(seed: int) -> tuple[nn.Module, CentreHead]:
    """Without batch statistics: those are each rank's own."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 4))
    return encoder, CentreHead(5, 4, margin=ArcFace(0.3), scale=8.0)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(7)
    return torch.randn(10, 3, 2, 2), torch.arange(10) % 5


def step(encoder, head, rows, **fields):
    pictures, labels = batch()
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.SGD(parameters, 0.1)
    inputs = fields.get("inputs", pictures[rows])
    loss, norm = update(
        encoder, head, optimiser, inputs, labels[rows], strength=1.0, clip=0.0,
        autocast=nullcontext(),
    )  # fmt: skip
    return {"loss": loss, "norm": norm, "gradients": [p.grad for p in parameters]}


def statistics() -> list[torch.Tensor]:
    """Of a margin's, after a step in which each rank had pictures of its own."""
    encoder, _ = network(0)
    torch.manual_seed(1)
    head = CentreHead(5, 4, margin=CurricularFace(alpha=0.5), scale=8.0)
    step(encoder, head, distributed.share(torch.arange(10)))
    return list(head.buffers())


def one_nan() -> str:
    """The message on this rank when the other one's pictures are broken."""
    encoder, head = network(0)
    rows = distributed.share(torch.arange(10))
    inputs = batch()[0][rows]
    if distributed.rank() == 1:
        inputs[0] = float("nan")
    try:
        step(encoder, head, rows, inputs=inputs)
    except ArcwiseError as error:
        return str(error)
    return "no error"


def refused(config, manifest, folder) -> str:
    try:
        runs.train(config, manifest, folder)
    except ArcwiseError as error:
        return str(error)
    return "no error"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with distributed.started(torch.device("cpu")):
        rank = distributed.rank()
        encoder, head = network(seed=rank)
        distributed.same_start(encoder, head)
        weights = [p.detach().clone() for p in (*encoder.parameters(), *head.parameters())]
        rows = distributed.share(torch.arange(10))
        seen = {
            "size": distributed.size(),
            "rows": rows,
            "weights": weights,
            "step": step(encoder, head, rows),
            "statistics": statistics(),
            "nan": one_nan(),
            "anywhere": [distributed.anywhere(rank == 1), distributed.anywhere(False)],
        }
        whole, broken = (open_manifest(folder / name) for name in ("whole", "broken"))
        seen["odd batch"] = refused(runs.config(batch=9), whole, folder / "odd")
        swept = runs.config(centre_step="swept")
        seen["swept"] = refused(swept, whole, folder / "swept")
        # Each of these waits for the other rank for ever where the two do not do the same.
        outcome = runs.train(runs.config(batch=4), broken, folder / "broken run")
        seen["broken"] = (outcome.finished, [error.name for error in outcome.failures])

        def ctrl_c_on_one(step, values):
            if step == 3:  # the first rank alone reports
                signal.raise_signal(signal.SIGINT)

        config = runs.config(steps=6)
        outcome = runs.train(config, whole, folder / "stopped", report=ctrl_c_on_one)
        seen["stopped"] = (outcome.finished, outcome.steps)
        distributed.wait()
        runs.train(config, whole, folder / "stopped", resume=True)
        runs.train(config, whole, folder / "uninterrupted")
        torch.save(seen, folder / f"rank{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
