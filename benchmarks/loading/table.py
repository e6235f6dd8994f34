"""The tables of docs/performance.md, written from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measured import page

from .forms import SEQUENTIAL
from .reading import LIMIT, PEER

BEGIN = "<!-- measured: written by benchmarks/data_loading.py -->"
END = "<!-- end of what data loading measured -->"
ONE, TWO, MEMORY, COPY, WAIT = 0.9, 1.7, 100e6, 0.5, 0.05
"""Goals: share of the limit, gain by a second worker, bytes, share of copying, share of waiting."""

ABOUT = """\
Written by `python benchmarks/data_loading.py --write docs/performance.md`; its docstring says what
is measured and how. The lines take turns with the limit, half a second each. Ratios are medians.
"""

NAMES = {
    LIMIT: "the limit: OpenCV in a loop, files in memory",
    PEER: "a plain PyTorch data set over a folder, Pillow",
}


def write(path: Path, results: dict[str, Any]) -> None:
    """Write the tables between the two marks of the page, or at its end if it has none."""
    page.write(path, BEGIN, END, text(results))


def text(results: dict[str, Any]) -> str:
    """Return the machine and a table for each part that was measured."""
    releases = ("opencv-python-headless", "torch", "pillow", "pyarrow")
    about = (
        f"Measured {results['date']} on {results['machine']}, "
        f"{', '.join(f'{name} {results[name]}' for name in releases)}: {results['images']}."
    )
    parts = (("reading", _reading), ("memory", _memory), ("converting", _converting),
             ("training", _training))  # fmt: skip
    tables = [table(results[part]) for part, table in parts if part in results]
    return "\n".join(["## Reading images\n", ABOUT, about, "", *tables])


def _reading(rows: list[dict[str, Any]]) -> str:
    head = ["decoded to 112 x 112, images/s", "one worker, one core", "of the limit", "goal",
            "two workers, two cores", "of two limits", "two to one", "goal"]  # fmt: skip
    lines = []
    for row in rows:
        name, judged = row["line"], row["line"] in SEQUENTIAL
        lines.append(
            [
                NAMES.get(name, f"arcwise, {name}"),
                f"{row['one']:,.0f}",
                f"{row['of_limit']:.2f}",
                _least(row["of_limit"], ONE) if judged else "",
                f"{row['two']:,.0f}",
                f"{row['of_two_limits']:.2f}",
                f"{row['two_to_one']:.2f}",
                _least(row["two_to_one"], TWO) if judged else "",
            ]
        )
    return page.markdown(head, lines)


def _memory(rows: list[dict[str, Any]]) -> str:
    head = ["tiny records", "how many", "read front to back, MB more", "goal",
            "opened as a data set, MB more", "and read all over it, MB more", "goal"]  # fmt: skip
    return page.markdown(
        head,
        [
            [
                row["line"],
                f"{row['records']:,}",
                f"{row['streamed'] / 1e6:.0f}",
                page.goal(row["streamed"], MEMORY, "{:.0f}", 1_000_000),
                f"{row['opened'] / 1e6:.0f}",
                f"{row['read'] / 1e6:.0f}",
                page.goal(row["read"], MEMORY, "{:.0f}", 1_000_000),
            ]
            for row in rows
        ],
    )


def _converting(rows: list[dict[str, Any]]) -> str:
    head = ["conversion", "copying the source, MB/s", "converting it, MB/s", "ratio", "goal"]
    return page.markdown(
        head,
        [
            [
                row["line"],
                f"{row['copied'] / 1e6:,.0f}",
                f"{row['converted'] / 1e6:,.0f}",
                f"{row['ratio']:.2f}",
                _least(row["ratio"], COPY),
            ]
            for row in rows
        ],
    )


def _training(rows: list[dict[str, Any]]) -> str:
    epochs = len(rows[0]["waiting"])
    head = ["training, recipe `products`", "images/s",
            *(f"waited, epoch {number + 1}" for number in range(epochs)), "goal"]  # fmt: skip
    return page.markdown(
        head,
        [
            [
                row["line"],
                f"{row['rate']:,.0f}",
                *(f"{share:.1%}" for share in row["waiting"]),
                page.goal(max(row["waiting"]), WAIT, "{:.0f} %", 0.01),
            ]
            for row in rows
        ],
    )


def _least(value: float, goal: float) -> str:
    return f"≥ {goal:g} {'✓' if value >= goal else '✗'}"
