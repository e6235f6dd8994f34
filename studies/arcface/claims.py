"""What the paper claims, as orderings, and whether they hold."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Seeds = Mapping[int, Mapping[str, Mapping[str, Any]]]
"""Measures by name, of each loss, of each seed."""


@dataclass(frozen=True)
class Claim:
    """A measure of one loss is below, or above, that of each of some others."""

    words: str
    measure: str
    loss: str
    relation: Literal["<", ">"]
    others: tuple[str, ...]
    unit: str = "°"

    def holds(self, measured: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it does for these losses."""
        sign = 1 if self.relation == "<" else -1
        own = sign * measured[self.loss][self.measure]
        return all(own < sign * measured[other][self.measure] for other in self.others)

    def verdict(self, seeds: Seeds) -> str:
        """In how many seeds it holds, whether in the mean, and the two numbers that decide."""
        held = sum(self.holds(measured) for measured in seeds.values())
        mean = {name: means(seeds)[name][self.measure] for name in (self.loss, *self.others)}
        hardest = min if self.relation == "<" else max
        other = hardest(self.others, key=lambda name: mean[name])
        numbers = " against ".join(f"{mean[name]:.2f}{self.unit}" for name in (self.loss, other))
        if held == len(seeds):
            return f"holds in {held} of {held} seeds ({numbers} of {other})"
        in_mean = (mean[self.loss] < mean[other]) == (self.relation == "<")
        tail = "in the mean it does" if in_mean else "nor in the mean"
        return f"**does not hold**: {held} of {len(seeds)} seeds, {tail} ({numbers} of {other})"


def means(seeds: Seeds) -> dict[str, dict[str, float]]:
    """Every numeric measure of every loss, mean over the seeds."""
    found: dict[str, dict[str, float]] = {}
    for loss in next(iter(seeds.values())):
        rows = [measured[loss] for measured in seeds.values()]
        numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
        found[loss] = {name: statistics.mean(row[name] for row in rows) for name in numbers}
    return found


def table(seeds: Seeds, columns: Mapping[str, str]) -> str:
    """A table: a loss a line, mean over the seeds ± half the range."""
    lines = [f"| loss | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for loss in next(iter(seeds.values())):
        rows = [measured[loss] for measured in seeds.values()]
        cells = [spread([row[name] for row in rows]) for name in columns]
        lines.append(f"| {loss} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(claims: Sequence[Claim], seeds: Seeds) -> str:
    """A list of what is claimed and what was found."""
    return "\n".join(f"- {claim.words}: {claim.verdict(seeds)}" for claim in claims)


def spread(values: Sequence[float | None]) -> str:
    """Mean and half the range; a dash where a loss has no such measure."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "–"
    return f"{statistics.mean(known):.1f} ± {(max(known) - min(known)) / 2:.1f}"
