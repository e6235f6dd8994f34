"""The loss and the validation metrics of a training by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from arcwise.report.drawing import (
    WIDTH,
    check_results,
    label,
    legend,
    look,
    percent_axis,
    style,
    svg,
)

LABELS = MappingProxyType({"recall_at_1": "recall@1", "tar": "TAR at FAR 1 %"})


def training(
    rows: Sequence[Mapping[str, float]],
    losses: Sequence[str] = ("loss",),
    metrics: Sequence[str] = ("recall_at_1", "tar"),
    labels: Mapping[str, str] = LABELS,
) -> str:
    """Return the loss and the validation metrics by step.

    Args:
        rows: the rows of a run's `metrics.jsonl`; a name may be missing from some of them.
        losses: names for the upper panel.
        metrics: names for the lower panel, fractions.
        labels: names to show in place of the metrics' own.
    """
    panels = [
        (names, share)
        for names, share in ((losses, False), (metrics, True))
        if any(name in row for row in rows for name in names)
    ]
    check_results(panels)
    with look():
        figure = Figure(figsize=(WIDTH, 0.8 + 2.0 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for plot, (names, share) in zip(grid, panels, strict=True):
            for index, name in enumerate(names):
                points = [(row["step"], row[name]) for row in rows if name in row]
                if points:
                    steps, values = zip(*points, strict=True)
                    few = "o" if len(points) < 30 else None
                    plot.plot(
                        steps,
                        values,
                        marker=few,
                        markersize=3.5,
                        label=label(labels.get(name, name.replace("_", " "))),
                        **style(index),
                    )
            plot.set_ylabel("held-out identities" if share else "training")
            if share:
                percent_axis(plot)
            legend(plot, loc="best")
        grid[-1].set_xlabel("step")
        grid[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return svg(figure, "Training: " + ", ".join(name for names, _ in panels for name in names))
