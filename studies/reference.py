"""Write the generated pages of the site: `python studies/reference.py`, part of `make docs`.

docs/reference/command-line.md is what `--help` of every command says; it is made anew for each
build and not kept. docs/reference/http.md, what the OpenAPI and the settings of `arcwise serve`
say, the drawing of the rooms, docs/images/rooms.svg, and the tables of results in README.md, from
docs/starts.json and docs/promises.json, are kept; `--check` says whether they are up to date.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import statistics
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from xml.sax.saxutils import escape

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
DRAWING = DOCS / "images" / "rooms.svg"
README = ROOT / "README.md"
HTTP = REFERENCE / "http.md"
WIDTH = 100  # characters of a help text


def main() -> None:
    kept = {DRAWING: rooms(), README: with_results(README.read_text()), HTTP: http()}
    if "--check" in sys.argv[1:]:
        old = [path for path, text in kept.items() if not path.exists() or path.read_text() != text]
        sys.exit(f"{', '.join(map(str, old))}: out of date; run `make docs`" if old else 0)
    for path, text in kept.items():
        path.write_text(text)
    (REFERENCE / "command-line.md").write_text(command_line())


def with_results(page: str) -> str:
    """Return the page with the tables of results between their marks."""
    tables = {"starts": starts(), "promises": promises()}
    for name, lines in tables.items():
        begin, end = f"<!-- {name}: written by `make docs` -->\n", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        page = "\n".join([head + begin, *lines, "", end + rest.partition(end)[2]])
    return page


ORDER = ["nothing", "frozen", "last blocks", "whole"]
"""The starts in their order: how much of a pretrained network is trained."""


def starts() -> Iterator[str]:
    """Yield the lines of the table of starts: products that no run was trained on."""
    groups = defaultdict(list)
    for run in json.loads((DOCS / "starts.json").read_text()):
        if run["split"] == "test":
            groups[run["identities"], run["start"]].append(run)
    yield "| products trained on | start | seeds | TAR at FAR 1 % | rank 1 from one studio image |"
    yield "|---|---|---|---|---|"
    for (products, start), runs in sorted(
        groups.items(), key=lambda item: (-item[0][0], ORDER.index(item[0][1]))
    ):
        cells = (spread([run[name][0] for run in runs]) for name in ("TAR at FAR 1 %", "rank 1"))
        yield f"| {products} | {start} | {len(runs)} | {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    """Return the mean, and the lowest to the highest where there are several."""
    ends = f" ({min(values):.3f} – {max(values):.3f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{ends}"


def promises() -> Iterator[str]:
    """Yield the lines of the table of promised rates."""
    groups = defaultdict(list)
    for cell in json.loads((DOCS / "promises.json").read_text()):
        for rate in ("fpir", "dir"):
            if cell[rate] and cell["promise"] not in ("second", "first"):  # of other splits
                low, high, measured = cell[rate]
                groups[cell["set"], rate].append(low <= measured <= high)
    yield "| data | FPIR | DIR |"
    yield "|---|---|---|"
    for data in dict.fromkeys(name for name, _ in groups):
        cells = (groups[data, rate] for rate in ("fpir", "dir"))
        shares = (f"{sum(one)} of {len(one)} ({sum(one) / len(one):.1%})" for one in cells)
        yield f"| {data} | {' | '.join(shares)} |"


def command_line() -> str:
    os.environ |= {"COLUMNS": f"{WIDTH}", "TERM": "dumb", "NO_COLOR": "1"}
    from arcwise import cli

    lines = ["# Command line", "", "What `--help` says.", "", "```", helped([]), "```"]
    for name in cli.VERBS:
        option = "--help-all" if name == "train" else "--help"
        lines += ["", f"## arcwise {name}", "", "```", helped([*name.split(), option]), "```"]
    return "\n".join(lines) + "\n"


def helped(words: list[str]) -> str:
    """Return what a command prints when it is asked for help."""
    from arcwise import cli

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        cli.main(words or ["--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).strip()


def http() -> str:
    """Return the page of the server: its calls, its errors and its settings."""
    from arcwise.serving.app import described
    from arcwise.serving.metrics import ServerMetrics
    from arcwise.serving.problems import CODES
    from arcwise.serving.service import Service
    from arcwise.serving.settings import Settings

    settings = Settings.model_validate({"galleries": {"shop": {"path": "shop.gallery"}}})
    api = described(Service(settings, {}, ServerMetrics())).openapi()
    lines = ["# HTTP", "", api["info"]["description"].strip(), ""]
    lines += [
        "The whole is at `/v1/openapi.json` of every server: parameters, answers, examples.",
        "",
    ]
    lines += ["| call | role | |", "|---|---|---|"]
    for path, ways in api["paths"].items():
        for method, one in ways.items():
            names = [
                f"`{given['name']}`"
                for given in one.get("parameters", ())
                if given["in"] == "query"
            ]
            about = " ".join(one["description"].split())
            asked = f" Parameters: {', '.join(names)}." if names else ""
            lines.append(
                f"| `{method.upper()} {path}` | {one.get('x-role', '')} | {about}{asked} |"
            )
    lines += ["", "## Errors", "", "| code | what to do |", "|---|---|"]
    lines += [f"| `{code}` | {advice} |" for code, advice in CODES.items()]
    lines += ["", "## Settings", "", "| in the TOML file | default | |", "|---|---|---|"]
    lines += settings_of(Settings, "")
    return "\n".join(lines) + "\n"


def settings_of(section: Any, place: str) -> Iterator[str]:
    """Yield a line for each setting of a section, and of those in it."""
    for name, field in section.model_fields.items():
        inner = [one for one in sections_in(field.annotation) if hasattr(one, "model_fields")]
        if inner:
            many = {"galleries": "galleries.NAME", "keys": "keys[]"}.get(name, name)
            yield from settings_of(inner[0], f"{place}{many}.")
            continue
        default = "" if field.is_required() else f"`{json.dumps(field.default, default=list)}`"
        yield f"| `{place}{name}` | {default} | {' '.join(field.description.split())} |"


def sections_in(kind: Any) -> Iterator[Any]:
    """Yield the types that a type is made of, itself among them."""
    yield kind
    for one in get_args(kind):
        yield from sections_in(one)


def rooms() -> str:
    """Return the drawing: a row for each layer, top to bottom, a box for each room."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one for one in contracts["contracts"] if one["type"] == "layers")["layers"]
    rows = [[room.strip() for room in layer.split("|")] for layer in layers]
    rows = [row for row in rows if row != ["__main__"]]
    width, height, gap, left = 860, 46, 12, 20
    parts = []
    for place, row in enumerate(rows):
        box = (width - 2 * left - gap * (len(row) - 1)) / len(row)
        top = 20 + place * (height + gap)
        for number, room in enumerate(row):
            x = left + number * (box + gap)
            parts.append(
                f'<rect x="{x:.0f}" y="{top}" width="{box:.0f}" height="{height}" rx="6" '
                'fill="none" stroke="#797979"/>'
                f'<text x="{x + box / 2:.0f}" y="{top + height / 2 + 5:.0f}" '
                f'text-anchor="middle">{escape(room)}</text>'
            )
    end = 20 + len(rows) * (height + gap)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {end}" role="img" '
        'font-family="sans-serif" font-size="15" fill="#797979">\n'
        "<title>The rooms of Arcwise: each may import those below it</title>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
