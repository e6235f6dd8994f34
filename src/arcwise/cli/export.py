"""`arcwise export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import ModelFolder
from arcwise.verbs.export import export


def command(
    model: ModelFolder,
    data: Annotated[Path | None, Positional, arg(metavar="[DATA]")] = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    opset: int | None = None,
    other_identities: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Write encoder.onnx into a model folder, if it computes what torch computes.

    With --precision fp16 or int8 the file is smaller. It is kept only if the true-accept rate at
    the model's thresholds stays within its interval, on your own labelled images.

    Args:
        model: Model folder.
        data: Images of your own: for fp32, to compare on besides random and built-in ones; for
            int8, labelled images, which set its ranges and decide; for fp16 they decide too, or are
            left out.
        precision: Numbers in the file: fp16 has half the size, int8 about a quarter.
        opset: Version of the ONNX operators, 18 to 23; 18 where none is given. An imported network
            keeps its own.
        other_identities: Identities are others than in training, though they may be called alike
            (0, 1, …); only those of images that were trained on are left out.
        naming: Names of the columns and folders of a table.
    """
    manifest = None if data is None else naming.open(data, identities=precision != "fp32")
    report = export(
        model, manifest, precision=precision, opset=opset, other_identities=other_identities
    )
    print(report)
    for note in () if report.smaller is None else report.smaller.notes:
        print(f"note: {note}")
    return 0
