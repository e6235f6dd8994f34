"""Turn a real data set into manifests: `python studies/prepare.py grocery|omniglot|lfw OUT`.

OUT/data is made by `arcwise data get`, from the folder that ARCWISE_DATA names; OUT gets CSV files
of its rows:

grocery   train.csv  products at positions not divisible by 5 in the sorted class ids
          tune.csv   of those, positions 1 modulo 5: what recipes are chosen on
          tune_train.csv  the rest of train.csv, for that
          test.csv   positions divisible by 5: never trained on, never chosen on
omniglot  train.csv  background characters; test.csv evaluation characters; tune.csv and
          tune_train.csv every fifth background alphabet and the others
lfw       train.csv  people of folds 1 to 6 with at least two pictures; test.csv and pairs.csv the
          pictures and pairs of folds 7 and 8; tune.csv and tune_pairs.csv those of fold 6, and
          tune_train.csv the people of folds 1 to 5
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections import Counter
from pathlib import Path

from arcwise.verbs.data_get import get

Rows = list[dict[str, str]]
DATA = "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("name", choices=["grocery", "omniglot", "lfw"])
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if not os.environ.get("ARCWISE_DATA"):
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    get(options.name, options.out / DATA, say=print)
    prepare = {"grocery": grocery, "omniglot": omniglot, "lfw": lfw}[options.name]
    for name, rows in prepare(options.out / DATA).items():
        write(options.out / name, rows)
        print(f"{options.out / name}: {len(rows)} rows")


def grocery(data: Path) -> dict[str, Rows]:
    rows = read(data / "manifest.csv")
    classes = sorted({int(row["class_id"]) for row in rows})
    fifth = {str(number): position % 5 for position, number in enumerate(classes)}
    found: dict[str, Rows] = {"train": [], "tune": [], "tune_train": [], "test": []}
    for row in rows:
        place = fifth[row["class_id"]]
        for part in ["test"] if place == 0 else ["train", "tune" if place == 1 else "tune_train"]:
            found[part].append(some(row, "image", "identity", "domain"))
    return {f"{part}.csv": rows for part, rows in found.items()}


def omniglot(data: Path) -> dict[str, Rows]:
    rows = read(data / "manifest.csv")
    alphabets = sorted({row["superclass"] for row in rows if row["split"] == "train"})
    tuned = set(alphabets[::5])
    found: dict[str, Rows] = {"train": [], "test": [], "tune": [], "tune_train": []}
    for row in rows:
        choice = "tune" if row["superclass"] in tuned else "tune_train"
        for part in ["test"] if row["split"] == "test" else ["train", choice]:
            found[part].append(some(row, "image", "identity") | {"image": f"{DATA}/{row['image']}"})
    return {f"{part}.csv": rows for part, rows in found.items()}


def lfw(data: Path) -> dict[str, Rows]:
    images, listed = read(data / "manifest.csv"), read(data / "pairs.csv")
    person = {row["image"]: row["identity"] for row in images}
    pictures = Counter(person.values())

    def people(folds: str) -> Rows:
        return [
            some(row, "image", "identity")
            for row in images
            if row["fold"] in folds and pictures[row["identity"]] >= 2
        ]

    def pairs(folds: str) -> tuple[Rows, Rows]:
        chosen = [row for row in listed if row["fold"] in folds]
        used = sorted({row[side] for row in chosen for side in "ab"}, key=name_of)
        return [{"image": path, "identity": person[path]} for path in used], chosen

    test, test_pairs = pairs("78")
    tune, tune_pairs = pairs("6")
    halves = [row | {"fold": str(number % 2)} for number, row in enumerate(tune_pairs)]
    return {
        "train.csv": people("123456"),
        "tune_train.csv": people("12345"),
        "tune.csv": tune,
        "tune_pairs.csv": halves,
        "test.csv": test,
        "pairs.csv": test_pairs,
    }


def name_of(image: str) -> str:
    return image.partition(".zip/")[2]


def some(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: row[name] for name in names}


def read(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
