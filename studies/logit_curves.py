"""ArcFace's figures 4b and 5: what each margin gives the target, and where two classes meet.

    python studies/logit_curves.py

Draws docs/images/arcface_logits.svg and arcface_boundaries.svg and writes their part of
docs/arcface.md. Nothing is trained.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcface import page
from arcface.curves import boundary, counted, psi
from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    NormSoftmax,
    SphereFace,
    SupportVector,
)
from arcwise.report import drawing

DEGREES = np.linspace(20.0, 100.0, 161)
PAPER = {
    "softmax": NormSoftmax(),
    "SphereFace, m = 4, λ = 5": SphereFace(4.0, annealed=True),
    "SphereFace, m = 1.35": SphereFace(1.35),
    "ArcFace, m = 0.5": ArcFace(0.5),
    "CosFace, m = 0.35": CosFace(0.35),
    "CM1: 1, 0.3, 0.2": Combined(1.0, 0.3, 0.2),
    "CM2: 0.9, 0.4, 0.15": Combined(0.9, 0.4, 0.15),
}
BINARY = ("softmax", "SphereFace, m = 1.35", "CosFace, m = 0.35", "ArcFace, m = 0.5",
          "CM1: 1, 0.3, 0.2", "CM2: 0.9, 0.4, 0.15")  # fmt: skip
TABLE = (20.0, 60.0, 90.0, 100.0)
TEXT = """\
## Figure 4b: what the target is given

{curves}

{table}

## Figure 5: where two classes meet

{meets}

Class 1 is sure of what lies above its line, class 2 of what lies right of its own; between the two
is the margin. Of these only ArcFace's is as wide everywhere.
"""
HARD = 0.1
"""ψ of the target in the third panel: other classes above it are hard."""


def main() -> None:
    curves = page.picture(
        "logits", logits(), "Target logits over s, by the angle to the own centre"
    )
    meets = page.picture("boundaries", boundaries(), "Decision boundaries of two classes")
    page.write("logit_curves", TEXT.format(curves=curves, table=table(), meets=meets))


def logits() -> Figure:
    with drawing.look():
        figure, (paper, rest, others) = page.panels(3, 1, 6.6, 3.2)
        for index, (name, margin) in enumerate(PAPER.items()):
            line(paper, index, DEGREES, psi(margin, DEGREES), name)
        paper.set_title("the paper's", loc="left")
        state = {"mean": torch.tensor(20.0), "std": torch.tensor(5.0)}
        curves = {
            "ArcFace, CurricularFace": psi(ArcFace(0.5), DEGREES),
            "AdaFace, short": psi(AdaFace(), DEGREES, 1.0, state),
            "AdaFace, average": psi(AdaFace(), DEGREES, 20.0, state),
            "AdaFace, long": psi(AdaFace(), DEGREES, 40.0, state),
            "MagFace, length 10": psi(MagFace(), DEGREES, 10.0),
            "MagFace, length 110": psi(MagFace(), DEGREES, 110.0),
        }
        for index, (name, curve) in enumerate(curves.items()):
            line(rest, index, DEGREES, curve, name)
        wide = ElasticFace()
        low, high = (psi(ArcFace(wide.m + n * wide.sigma), DEGREES) for n in (2, -2))
        rest.fill_between(DEGREES, low, high, color=drawing.COLOURS[0], alpha=0.35, linewidth=0,
                          label="ElasticFace, two deviations")  # fmt: skip
        rest.set_title("those that came after", loc="left")
        for plot in (paper, rest):
            plot.set_xlabel("angle θ to the own centre, degrees")
            plot.set_ylabel("ψ(θ)")
            beside(plot)
        draw_others(others)
    return figure


def draw_others(plot: Axes) -> None:
    cosines = np.linspace(-0.3, 0.8, 221)
    target = ArcFace(0.5)
    curves = {
        "as it is": counted(target, cosines, HARD, {}),
        "SupportVector, t = 1.2": counted(SupportVector(target), cosines, HARD, {}),
        "CurricularFace, early: t = 0.1": counted(
            CurricularFace(), cosines, HARD, {"t": torch.tensor(0.1)}
        ),
        "CurricularFace, late: t = 0.7": counted(
            CurricularFace(), cosines, HARD, {"t": torch.tensor(0.7)}
        ),
        "Filtered at 0.4": counted(Filtered(target, 0.4, "exclude"), cosines, HARD, {}),
    }
    for index, (name, curve) in enumerate(curves.items()):
        line(plot, index, cosines, np.where(curve < -1, np.nan, curve), name)
    plot.axvline(HARD, color=drawing.INK, linewidth=1, linestyle=":")
    plot.annotate("ψ of the target", (HARD, 0.9), (5, 0), textcoords="offset points", fontsize=9)
    plot.set_title("what another class counts as", loc="left")
    plot.set_xlabel("cosine to the other centre")
    plot.set_ylabel("counts as")
    beside(plot)


def boundaries() -> Figure:
    degrees = np.linspace(0.0, 180.0, 541)
    with drawing.look():
        figure, grid = page.panels(len(BINARY), 3, 2.2, 2.4, sharex=True, sharey=True)
        for plot, name in zip(grid, BINARY, strict=True):
            second = boundary(PAPER[name], degrees)
            there = ~np.isnan(second)
            first, second = degrees[there], second[there]
            plot.plot(first, second, color=page.COLOURS[0], label="class 1")
            plot.plot(second, first, color=page.COLOURS[1], linestyle="--", label="class 2")
            corner = [first[-1], 180.0, 180.0]
            across = np.concatenate([[0.0], first, corner, second[::-1]])
            along = np.concatenate([[0.0], second, corner[::-1], first[::-1]])
            plot.fill(across, along, color=drawing.INK, alpha=0.14, linewidth=0)
            plot.set_title(name, loc="left")
            plot.set(xlim=(0, 180), ylim=(0, 180), aspect="equal")
            plot.set_xticks([0, 90, 180])
            plot.set_yticks([0, 90, 180])
        for plot in grid[3:]:
            plot.set_xlabel("θ₁, degrees")
        for plot in grid[::3]:
            plot.set_ylabel("θ₂, degrees")
        drawing.legend(grid[0], loc="lower right")
    return figure


def line(plot: Axes, index: int, x: np.ndarray, y: np.ndarray, name: str) -> None:
    style = drawing.LINES[index % len(drawing.LINES)]
    plot.plot(x, y, color=page.COLOURS[index], linestyle=style, label=name)


def beside(plot: Axes) -> None:
    drawing.legend(plot, loc="center left", bbox_to_anchor=(1.0, 0.5))


def table() -> str:
    heads = " | ".join(f"{degrees:.0f}°" for degrees in TABLE)
    lines = [f"| ψ(θ) at | {heads} |", "|---" * (len(TABLE) + 1) + "|"]
    for name, margin in PAPER.items():
        cells = " | ".join(f"{value:.3f}" for value in psi(margin, np.array(TABLE)))
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
