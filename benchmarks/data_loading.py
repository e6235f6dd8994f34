"""How fast pictures are read out of every form a data set has, beside the decoding alone.

    python benchmarks/data_loading.py [--data photos/manifest.csv] [--write docs/performance.md]

Four measurements of the same pictures in one run (--only reading memory converting training):

reading     pictures a second, decoded and resized to 112 x 112, with one worker on one core and two
            on two: the bare OpenCV loop over files in memory (the limit), a plain PyTorch data set
            with Pillow over a folder, and the trainer's loader over every form. The lines take
            turns, each in a process of its own; ratios are medians over the rounds.
memory      a RecordIO file and shards of --records tiny records, opened and read: how much more
            memory is resident at the highest than before.
converting  one container into another, beside copying the source file, both down to the disk.
training    how long the trainer waits for pictures in each epoch of the `products` recipe.

What was measured is kept in the folder, so that one part can be measured again.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from measured import page

PARTS = ("reading", "memory", "converting", "training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="photographs; rendered where none are named")
    parser.add_argument("--folder", type=Path, default=Path("runs/data_loading"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--write", type=Path, metavar="MD", help="put the tables into this page")
    options = parser.parse_args()

    from loading import forms, table

    options.folder.mkdir(parents=True, exist_ok=True)
    pictures = forms.source(options.data, options.folder)
    kept = options.folder / "found.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    found |= {"pictures": forms.about(pictures), "records": options.records}
    found |= page.machine("opencv-python-headless", "torch", "pillow", "pyarrow")
    for part in options.only:
        print(part, flush=True)
        measure = importlib.import_module(f"loading.{part}").measure
        found[part] = measure(pictures, options.folder, options.rounds, options.records)
        kept.write_text(json.dumps(found, indent=1))
    if options.write:
        table.write(options.write, found)
    print(table.text(found))


if __name__ == "__main__":
    main()
