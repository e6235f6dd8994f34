"""`arcwise train-linkage`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import counted, progress
from arcwise.verbs.linkage import train_linkage


def command(
    embeddings: Annotated[Path, Positional, arg(metavar="EMBEDDINGS")],
    out: Path = Path("linkage"),
    aggregation: Literal["mean", "symmetric", "weighted", "attention"] = "mean",
    epochs: int = 12,
    lr: float = 0.05,
    seed: int = 0,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Train a network that says which neighbours are one identity, to cluster others with.

    A fifth of the identities is held out: the threshold is chosen on them. A training that was
    stopped goes on when the same command is given again.

    Args:
        embeddings: Labelled embeddings, as `arcwise embed` writes them.
        out: Model folder to write; it must not be there yet.
        aggregation: Weights of the neighbours of a node: all alike (mean), by the number of links
            of both (symmetric), by their cosines (weighted), or learned (attention).
        epochs: Passes over the embeddings.
        lr: Learning rate of SGD in the first epoch; it falls to a tenth in the last.
        seed: Seed of the weights, the order and the identities held out.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    with progress("training") as move:
        result = train_linkage(
            naming.open(embeddings),
            out,
            aggregation=aggregation,
            epochs=epochs,
            learning_rate=lr,
            seed=seed,
            progress=move,
        )
    if json:
        print_json(vars(result))
        return 0
    for note in result.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(
        f"{'was trained before, and is as it was: ' if result.earlier else ''}"
        f"trained on {counted(result.embeddings, 'embedding')} of "
        f"{counted(result.identities, 'identity')}: loss {result.losses[0]:.3f} in the first "
        f"epoch, {result.losses[-1]:.3f} in the last"
    )
    print(
        f"a link joins from probability {result.threshold:.2f} on, the best threshold for "
        f"{counted(result.held_out, 'held-out identity')}: BCubed F {result.bcubed_f:.3f}"
    )
    print(f"{result.path}: a linkage model")
    return 0
