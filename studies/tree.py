"""Write the tree of the sources, a line a file, into README.md: `python studies/tree.py`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- tree: written by `make tree`", "<!-- end of tree -->"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, _, rest = text.partition(BEGIN)
    mark, _, rest = rest.partition("\n")
    _, _, tail = rest.partition(END)
    new = f"{head}{BEGIN}{mark}\n{tree()}{END}{tail}"
    if "--check" in sys.argv[1:]:
        sys.exit("README.md: the tree is out of date; run `make tree`" if new != text else 0)
    readme.write_text(new)


def tree() -> str:
    lines = ["```"]
    for folder in ("src/arcwise", "benchmarks", "studies"):
        for path in sorted((ROOT / folder).rglob("*.py"), key=order):
            about = ast.get_docstring(ast.parse(path.read_text())) or ""
            first = about.split("\n", maxsplit=1)[0].split(": `python ")[0]
            if first:
                name = str(path.relative_to(ROOT)).removeprefix("src/")
                lines.append(f"{name:<44} {first}")
    return "\n".join([*lines, "```\n"])


def order(path: Path) -> tuple[str, bool, str]:
    """A folder's own file first, then the others."""
    return str(path.parent), path.name != "__init__.py", path.name


if __name__ == "__main__":
    main()
