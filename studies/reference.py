"""Write the generated pages of the site: `python studies/reference.py`, part of `make docs`.

docs/reference/command-line.md is what `--help` of every command says, docs/reference/config.md
has every field of the training config. Both are made anew for each build and are not kept. The
drawing of the rooms, docs/images/rooms.svg, is kept; `--check` says whether it is up to date.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
DRAWING = ROOT / "docs" / "images" / "rooms.svg"
SOURCE = ROOT / "src" / "arcwise"
WIDTH = 100  # characters of a help text


def main() -> None:
    drawing = rooms()
    if "--check" in sys.argv[1:]:
        old = DRAWING.read_text() if DRAWING.exists() else ""
        sys.exit(f"{DRAWING}: out of date; run `make docs`" if old != drawing else 0)
    DRAWING.write_text(drawing)
    (REFERENCE / "command-line.md").write_text(command_line())


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
