"""From the measured records to the Markdown of docs/performance.md: no figure is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from measured import page

from . import goals
from .lines import LINES

BEGIN = "<!-- measured: written by benchmarks/margin_softmax.py -->"
END = "<!-- end of what was measured -->"

Record = dict[str, Any]


def write(path: Path, records: Sequence[Record]) -> None:
    """Put the tables between the page's two marks, at its end where it has none."""
    page.write(path, BEGIN, END, tables(records))


def tables(records: Sequence[Record]) -> str:
    """Every table for which there are records."""
    parts = [_machines(records)]
    parts += [
        _steps([r for r in records if r["kind"] == "step" and _group(r) == group], *group)
        for group in sorted({_group(r) for r in records if r["kind"] == "step"})
    ]
    for kind, make in (
        ("threads", _threads), ("errors", _errors), ("resampled", _resampled), ("gpu", _gpu),
    ):  # fmt: skip
        of_kind = [record for record in records if record["kind"] == kind]
        parts += [make(of_kind)] if of_kind else []
    return "\n".join(parts)


def _group(record: Record) -> tuple[bool, int, int]:
    return record["data"] != "init", record["classes"], record["batch"]


def _machines(records: Sequence[Record]) -> str:
    lines = dict.fromkeys(
        f"Measured {record['date']} on {record['machine']}, torch {record['torch']}."
        for record in records
    )
    return "\n".join(lines) + "\n"


def _steps(records: Sequence[Record], trained: bool, classes: int, batch: int) -> str:
    data = ", centres and embeddings resampled from a trained model" if trained else ""
    rows = []
    order = ["floor", *LINES]
    for record in sorted(records, key=lambda r: order.index(r["line"])):
        line = record["line"]
        if "absent" in record:
            rows.append([LINES[line].title, record["absent"], *[""] * 6])
            continue
        if line == "floor":
            rows.append(["three fp32 products", "", page.seconds(record["floor"]), "1", *[""] * 4])
            continue
        ratio, extra = record["ratio"], record["extra_bytes"]
        share = record["report"].get("kept")
        rows.append(
            [
                LINES[line].title,
                page.seconds(record["seconds"]),
                page.seconds(record["floor"]),
                f"{ratio:.2f}",
                page.goal(ratio, goals.ratio(line, batch, classes), "{:.2f}"),
                _mib(extra),
                page.goal(extra, goals.memory(line, batch, classes, share), "{:.0f}", goals.MIB),
                str(record["repetitions"]),
            ]
        )
    extra = "extra memory, MiB"
    names = ["line", "step, s", "floor, s", "step / floor", "goal", extra, "goal", "times"]
    head = f"## N = {batch}, C = {classes:,}{data}\n\n"
    return head + page.markdown(names, rows) + _left_out(records)


def _left_out(records: Iterable[Record]) -> str:
    return "".join(
        f"\n{LINES[r['line']].title}: error of dX {r['errors']['dx']:.1e}, of dW "
        f"{r['errors']['dw']:.1e}, of dW's rows that are no target {r['errors']['others']:.1e}; "
        f"{100 * r['report']['kept']:.2f} % of the entries kept; probability dropped, a sample's "
        f"mean: {r['report']['dropped']:.3f} of a probability of 1.\n"
        for r in records
        if "errors" in r
    )


def _threads(records: Sequence[Record]) -> str:
    rows = []
    by_key = {(r["line"], r["batch"], r["classes"], r["threads"]): r for r in records}
    for (line, batch, classes, threads), record in by_key.items():
        one = by_key.get((line, batch, classes, 1))
        if threads == 1 or one is None:
            continue
        gain = one["seconds"] / record["seconds"]
        mark = "✓" if gain >= goals.SPEEDUP else "✗"
        rows.append(
            [LINES[line].title, f"{batch}", f"{classes:,}", page.seconds(one["seconds"]),
             f"{threads}", page.seconds(record["seconds"]), f"{gain:.2f}",
             f"≥ {goals.SPEEDUP} {mark}"]
        )  # fmt: skip
    names = ["line", "N", "C", "one thread, s", "threads", "with them, s", "times faster", "goal"]
    return "## Threads, wall time\n\n" + page.markdown(names, rows)


def _errors(records: Sequence[Record]) -> str:
    entries = records[-1]["entries"]
    regimes = list(dict.fromkeys(entry["regime"] for entry in entries))
    rows: dict[str, list[str]] = {}
    for entry in entries:
        against = "" if entry["against"] == "exact" else f" (against {entry['against']})"
        cell = " / ".join(f"{entry[name]:.1e}" for name in ("dx", "dw", "others"))
        rows.setdefault(LINES[entry["line"]].title + against, []).append(cell)
    about = (
        "dX / dW / rows of dW that are no target, relative in Frobenius norm; N = 96, C = 5,003."
    )
    body = page.markdown(["line", *regimes], [[name, *cells] for name, cells in rows.items()])
    return f"## Gradients against float64\n\n{about}\n\n{body}"


def _resampled(records: Sequence[Record]) -> str:
    entries = records[-1]["entries"]
    names = ["cosine", "side", *(f"{100 * q:g} %" for q in records[-1]["levels"])]
    order = list(dict.fromkeys(entry["of"] for entry in entries))
    rows = [
        [entry["of"], entry["side"], *(f"{value:.3f}" for value in entry["quantiles"])]
        for entry in sorted(entries, key=lambda e: order.index(e["of"]))
    ]
    head = "## The resampled centres and the trained ones\n\n"
    about = f"{records[-1]['trained']:,} trained centres; quantiles of cosines.\n\n"
    return head + about + page.markdown(names, rows)


def _gpu(records: Sequence[Record]) -> str:
    record = records[-1]
    rows = [[name, *values] for name, values in record["rows"]]
    about = f"{record['device']}; N = {record['batch']}, C = {record['classes']:,}.\n\n"
    return "## GPU\n\n" + about + page.markdown(["", "ms", "of the bound", "peak, GiB"], rows)


def _mib(value: int | None) -> str:
    return "not measured" if value is None else f"{value / goals.MIB:,.0f}"
