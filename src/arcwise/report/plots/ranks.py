"""How far down a list of answers the right one stands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from arcwise.evaluation import Identification, TwoGalleries
from arcwise.report.drawing import axes, legend_above, look, one_or_more, svg
from arcwise.report.plots.marks import band, draw, share_below


def cmc(results: Mapping[str, Identification | TwoGalleries], ranks: int = 20) -> str:
    """Return how often the right identity is among the best 1 to `ranks`, with 95 % bands."""
    one_or_more(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            best = np.arange(1, min(ranks, _identities(result)) + 1)
            draw(plot, index, name, band(best, [result.rank(int(k)) for k in best]))
        plot.set_xlabel("looking at the best … identities")
        plot.set_ylabel("right one among them")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
        share_below(plot)
        legend_above(figure)
        return svg(figure, f"Cumulative match characteristic of {', '.join(results)}")


def _identities(result: Identification | TwoGalleries) -> int:
    """Return how many identities can be found; of two galleries, in the smaller."""
    if isinstance(result, TwoGalleries):
        return min(result.first.identities, result.second.identities)
    return result.identities
