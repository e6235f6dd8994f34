"""Turn a real data set into manifests: `python studies/prepare.py grocery|omniglot|lfw OUT`.

The data sets are looked for in the folder that ARCWISE_DATA names. Pictures stay where they are
(Omniglot's, which are one array, are written as PNG files into a zip in OUT); OUT gets CSV files:

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
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

Rows = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("name", choices=["grocery", "omniglot", "lfw"])
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    data = os.environ.get("ARCWISE_DATA")
    if not data or not Path(data).is_dir():
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    options.out.mkdir(parents=True, exist_ok=True)
    prepare = {"grocery": grocery, "omniglot": omniglot, "lfw": lfw}[options.name]
    for name, rows in prepare(Path(data).resolve(), options.out).items():
        write(options.out / name, rows)
        print(f"{options.out / name}: {len(rows)} rows")


def grocery(data: Path, out: Path) -> dict[str, Rows]:
    folder = data / "grocery"
    classes = read(folder / "classes.csv")
    position = {c: i for i, c in enumerate(sorted((r["class_id"] for r in classes), key=int))}
    names = {row["class_id"]: row["class_name"] for row in classes}
    found: dict[str, Rows] = {"train": [], "tune": [], "tune_train": [], "test": []}

    def add(path: str, class_id: str, domain: str) -> None:
        image = f"{folder}/images.zip/{path}"
        row = {"image": image, "identity": names[class_id], "domain": domain}
        fifth = position[class_id] % 5
        for part in ["test"] if fifth == 0 else ["train", "tune" if fifth == 1 else "tune_train"]:
            found[part].append(row)

    for row in read(folder / "images.csv"):
        add(row["path"], row["class_id"], "shop")
    for row in classes:
        add(row["iconic_path"], row["class_id"], "studio")
    return {f"{part}.csv": rows for part, rows in found.items()}


def omniglot(data: Path, out: Path) -> dict[str, Rows]:
    arrays = np.load(data / "omniglot" / "omniglot.npz")
    ink = np.unpackbits(arrays["ink"], axis=2)[:, :, :105]
    alphabets = arrays["alphabet"]
    tuned = set(np.unique(alphabets[~arrays["evaluation"]])[::5])
    found: dict[str, Rows] = {"train": [], "test": [], "tune": [], "tune_train": []}
    with zipfile.ZipFile(out / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        for picture, char, drawer, alphabet, evaluation in zip(
            ink, arrays["char"], arrays["drawer"], alphabets, arrays["evaluation"], strict=True
        ):
            name = f"{char:04d}/{drawer:02d}.png"
            archive.writestr(name, cv2.imencode(".png", 255 * (1 - picture))[1].tobytes())
            row = {"image": f"images.zip/{name}", "identity": f"{char:04d}"}
            choice = "tune" if alphabet in tuned else "tune_train"
            for part in ["test"] if evaluation else ["train", choice]:
                found[part].append(row)
    return {f"{part}.csv": rows for part, rows in found.items()}


def lfw(data: Path, out: Path) -> dict[str, Rows]:
    folder = data / "lfw112"
    images = read(folder / "images.csv")
    where = {row["path"]: f"{folder}/{row['zip']}/{row['path']}" for row in images}
    person = {row["path"]: row["person"] for row in images}
    pictures = Counter(row["person"] for row in images)

    def people(folds: str) -> Rows:
        return [
            {"image": where[row["path"]], "identity": row["person"]}
            for row in images
            if row["fold"] in folds and pictures[row["person"]] >= 2
        ]

    def pairs(folds: str) -> tuple[Rows, Rows]:
        chosen = [row for row in read(folder / "pairs.csv") if row["fold"] in folds]
        used = sorted({row[side] for row in chosen for side in ("path_a", "path_b")})
        return [{"image": where[path], "identity": person[path]} for path in used], [
            {"a": where[r["path_a"]], "b": where[r["path_b"]], "same": r["same"], "fold": r["fold"]}
            for r in chosen
        ]

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
