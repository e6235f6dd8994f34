"""How fast images are read from every form of data set, compared with decoding alone.

    python benchmarks/data_loading.py [--data photos/manifest.csv] [--write docs/performance.md]

Four measurements of the same images in one run (--only reading memory converting training):

reading     images per second, decoded and resized to 112 x 112, with one worker on one core and two
            on two: the bare OpenCV loop over files in memory (the limit), a plain PyTorch data set
            with Pillow over a folder, and the trainer's loader over every form. The lines take
            turns, each in its own process. Ratios are medians over the rounds.
memory      a RecordIO file and shards of --records tiny records, opened and read: peak resident
            memory above that before.
converting  one container into another, compared with copying the source file, both to the disk.
training    how long the trainer waits for images in each epoch of the `products` recipe.

Results are kept in the folder, so that one part can be measured again.
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
    images = forms.source(options.data, options.folder)
    path = options.folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results |= {"images": forms.about(images), "records": options.records}
    results |= page.machine("opencv-python-headless", "torch", "pillow", "pyarrow")
    for part in options.only:
        print(part, flush=True)
        measure = importlib.import_module(f"loading.{part}").measure
        results[part] = measure(images, options.folder, options.rounds, options.records)
        path.write_text(json.dumps(results, indent=1))
    if options.write:
        table.write(options.write, results)
    print(table.text(results))


if __name__ == "__main__":
    main()
