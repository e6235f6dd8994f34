"""Measured figures in a Markdown page: between two marks, in tables, with the machine's name."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path


def write(path: Path, begin: str, end: str, text: str) -> None:
    """Put the text between the page's two marks, at its end where it has none."""
    page = path.read_text() if path.exists() else "# Performance\n"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    path.write_text(f"{head.rstrip()}\n\n{begin}\n\n{text}\n{end}\n{tail.lstrip()}")


def markdown(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    table = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n"


def goal(value: float | None, limit: float | None, form: str, unit: float = 1) -> str:
    """The limit, and whether the value keeps it; nothing where one of them is missing."""
    if limit is None or value is None:
        return ""
    return f"≤ {form.format(limit / unit)} {'✓' if value <= limit else '✗'}"


def seconds(value: float) -> str:
    """Three digits of a time."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def machine(*packages: str) -> dict[str, str]:
    """Processor model and cores, the releases of these packages, and today's date."""
    info = Path("/proc/cpuinfo")
    facts = info.read_text().splitlines() if info.exists() else []
    named = (fact.partition(":")[2].strip() for fact in facts if fact.startswith("model name"))
    model = next(named, platform.processor() or platform.machine())
    return {
        "machine": f"{model}, {os.cpu_count()} cores",
        **{package: version(package) for package in packages},
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }
