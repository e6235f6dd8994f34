"""Turn a real data set into manifests: `python studies/prepare.py grocery|omniglot|lfw OUT`.

The data sets are looked for in the folder that ARCWISE_DATA names. Pictures stay where they are
(Omniglot's, which are one array, are written as PNG files into a zip in OUT); OUT gets CSV files:

grocery   train.csv  products at positions not divisible by 5 in the sorted class ids
          tune.csv   of those, positions 1 modulo 5: what recipes are chosen on
          tune_train.csv  the rest of train.csv, for that
          test.csv   positions divisible by 5: never trained on, never chosen on
omniglot  train.csv  background characters; test.csv evaluation characters
lfw       train.csv  people of folds 1 to 6 with at least two pictures; pairs.csv and test.csv the
          pairs of folds 7 and 8 and their pictures
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
    found: dict[str, Rows] = {"train.csv": [], "test.csv": []}
    with zipfile.ZipFile(out / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        for picture, char, drawer, evaluation in zip(
            ink, arrays["char"], arrays["drawer"], arrays["evaluation"], strict=True
        ):
            name = f"{char:04d}/{drawer:02d}.png"
            archive.writestr(name, cv2.imencode(".png", 255 * (1 - picture))[1].tobytes())
            row = {"image": f"images.zip/{name}", "identity": f"{char:04d}"}
            found["test.csv" if evaluation else "train.csv"].append(row)
    return found


def lfw(data: Path, out: Path) -> dict[str, Rows]:
    folder = data / "lfw112"
    images = read(folder / "images.csv")
    where = {row["path"]: f"{folder}/{row['zip']}/{row['path']}" for row in images}
    person = {row["path"]: row["person"] for row in images}
    learn = [row for row in images if row["fold"] in "123456"]
    pictures = Counter(row["person"] for row in learn)
    train = [
        {"image": where[row["path"]], "identity": row["person"]}
        for row in learn
        if pictures[row["person"]] >= 2
    ]
    pairs = [row for row in read(folder / "pairs.csv") if row["fold"] in "78"]
    used = sorted({row[side] for row in pairs for side in ("path_a", "path_b")})
    test = [{"image": where[path], "identity": person[path]} for path in used]
    listed = [
        {"a": where[r["path_a"]], "b": where[r["path_b"]], "same": r["same"], "fold": r["fold"]}
        for r in pairs
    ]
    return {"train.csv": train, "test.csv": test, "pairs.csv": listed}


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
