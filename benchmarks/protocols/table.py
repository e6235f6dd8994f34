"""From the measured lines to the table of docs/performance.md: no figure is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measured import page

from .lines import TASKS

BEGIN = "<!-- measured: written by benchmarks/evaluation.py -->"
END = "<!-- end of what evaluation measured -->"
MIB = 2**20

Record = dict[str, Any]


def write(path: Path, records: Sequence[Record]) -> None:
    """Put the table between the page's two marks, at its end where it has none."""
    page.write(path, BEGIN, END, table(records))


def table(records: Sequence[Record]) -> str:
    """The machine, and a row a line."""
    first = records[0]
    part = "" if first["scale"] == 1 else f" At {first['scale']:g} of the sizes named."
    about = (
        f"Measured {first['date']} on {first['machine']}, threads: {first['threads']}, numpy "
        f"{first['numpy']}, scikit-learn {first['scikit-learn']}.{part}"
    )
    memory = ["peak, MiB", "its own, MiB"]
    names = ["protocol", "way", "wall, s", "goal", *memory, "goal", "times"]
    rows = []
    for record in records:
        task = TASKS[record["task"]]
        ours = record["way"] == "arcwise"
        start = [task.about, f"arcwise: {task.ours.about}" if ours else f"peer: {record['about']}"]
        if "absent" in record:
            rows.append([*start, record["absent"], *[""] * 5])
            continue
        goals = page.goal(record["peak"], task.peak, "{:,.0f} in all", MIB)
        goals += page.goal(record["growth"], task.growth, "{:,.0f} its own", MIB)
        rows.append(
            [
                *start,
                page.seconds(record["seconds"]),
                page.goal(record["seconds"], task.seconds, "{:g}") if ours else "",
                *(
                    f"{record[key] / MIB:,.0f}" if record[key] else "?"
                    for key in ("peak", "growth")
                ),
                goals if ours else "",
                str(record["repetitions"]),
            ]
        )
    return f"## Evaluation\n\n{about}\n\n{page.markdown(names, rows)}\n{agreement(records)}"


def agreement(records: Sequence[Record]) -> str:
    """How far the two ways to each task are apart in the numbers that both find."""
    lines = []
    figures = {(record["task"], record["way"]): record.get("figures") for record in records}
    for name, task in TASKS.items():
        ours, theirs = figures.get((name, "arcwise")), figures.get((name, "peer"))
        if ours and theirs:
            common = [key for key in ours if key in theirs]
            far = max(common, key=lambda key: abs(ours[key] - theirs[key]))
            lines.append(
                f"- {task.about}: {', '.join(common)}; farthest apart: {far}, {ours[far]:.6g} "
                f"and {theirs[far]:.6g}."
            )
    return "What both ways find:\n\n" + "\n".join(lines) + "\n" if lines else ""
