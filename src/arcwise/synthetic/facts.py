"""The other sides of a pack: nutrition table, bar code, paragraphs, the brand once more."""

from __future__ import annotations

import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.design import Design, luminance
from arcwise.synthetic.front import Panel

_BLACK = (26, 26, 28)
_PAPER = (250, 250, 247)


def _bar_code(
    panel: Panel, rng: np.random.Generator, x: float, y: float, w: float, h: float
) -> None:
    panel.rectangle(x, y, x + w, y + h, _PAPER)
    bars = max(6, int(w * panel.width / 2.2))
    for i in range(bars):
        if rng.random() < 0.55:
            at = x + w * (0.08 + 0.84 * i / bars)
            panel.rectangle(at, y + 0.1 * h, at + w * 0.5 / bars, y + 0.85 * h, _BLACK)


def _paragraph(
    panel: Panel, rng: np.random.Generator, y: float, lines: int, ink: tuple[int, ...]
) -> None:
    for i in range(lines):
        at, start = y + i * 0.03, 0.12
        while start < 0.84:  # words, not rules: gaps make it read as text
            end = min(0.88, start + rng.uniform(0.05, 0.17))
            brush.line(
                panel.canvas, [panel.at(start, at), panel.at(end, at)], ink, panel.height * 0.009
            )
            start = end + 0.035


def paint_side(panel: Panel, d: Design, which: int) -> None:
    """Paint a side: 0 has the nutrition table, 1 the brand upright and a bar code."""
    rng = np.random.default_rng((d.detail_seed, which))
    ink = _BLACK if luminance(d.base) > 0.45 else _PAPER
    if which == 0:
        panel.rectangle(0.1, 0.12, 0.9, 0.56, _PAPER)
        panel.rectangle(0.1, 0.12, 0.9, 0.185, _BLACK)
        for i in range(8):
            at = 0.225 + 0.042 * i
            panel.rectangle(0.15, at, 0.15 + rng.uniform(0.2, 0.42), at + 0.014, _BLACK)
            panel.rectangle(0.7, at, 0.85, at + 0.014, _BLACK)
        _paragraph(panel, rng, 0.63, 8, ink)
        return
    mask = brush.lettering(d.family, panel.height * 0.42, panel.width * 0.4, d.weight, d.slant)
    brush.stamp(panel.canvas, np.ascontiguousarray(np.rot90(mask)), panel.at(0.5, 0.28), ink)
    _paragraph(panel, rng, 0.55, 5, ink)
    _bar_code(panel, rng, 0.16, 0.76, 0.68, 0.16)
