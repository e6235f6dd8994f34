"""What alignment does on real photographs: `python studies/alignment.py [--pictures N]`.

The 300 photographs of LFW that ARCWISE_DATA holds unaligned (lfw112/raw_sample_250.zip) become
112 x 112 crops, once by the landmarks that the packed crops were made with, once by a detector's,
and are compared with the packed crops: their pixels, and the embeddings that a published network
makes of them. A Markdown table is printed.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.images import Preparation, decode
from arcwise.verbs.data_align import Aligned, Policies, align

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
IMAGENET = Preparation(
    112,
    112,
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
    std=(255 * 0.229, 255 * 0.224, 255 * 0.225),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pictures", type=int, default=300)
    options = parser.parse_args()
    data = os.environ.get("ARCWISE_DATA")
    if not data or not Path(data).is_dir():
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    with tempfile.TemporaryDirectory() as folder:
        print(table(Path(data).resolve(), Path(folder), options.pictures))


def table(data: Path, folder: Path, pictures: int) -> str:
    """The comparison of three alignments with the packed crops, as Markdown."""
    detector = data / "models" / "yunet_n_dynamic.onnx"
    network = data / "models" / "mobilefacenet_foamliu.onnx"
    model = runtime.load(network, preparation=IMAGENET)
    tables = photographs(data / "lfw112", folder, pictures)
    packed = open_manifest(folder / "packed.csv")
    wanted = dict(zip(packed.identities, decoded(packed), strict=True))
    known = dict(zip(packed.identities, model.embed(decoded(packed)), strict=True))
    lines = [
        "| landmarks | crops | difference, mean / worst | cosine, median / 5 % | several | none | "
        "profile |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, source, policies in (
        ("of the packed crops", tables["marked"], Policies()),
        ("YuNet, the largest face", tables["plain"], Policies("largest")),
        ("YuNet, the most central face", tables["plain"], Policies("central")),
    ):
        out = folder / title.replace(" ", "-")
        done = align(source, out, detector=detector, policies=policies)
        crops = open_manifest(out)
        pixels = decoded(crops)
        apart = [
            np.abs(crop.astype(int) - wanted[name]).mean()
            for name, crop in zip(crops.identities, pixels, strict=True)
        ]
        embedded = model.embed(pixels)
        cosines = (embedded * np.stack([known[name] for name in crops.identities])).sum(1)
        lines.append(line(title, done, np.array(apart), cosines))
    return "\n".join(lines)


def line(title: str, done: Aligned, apart: np.ndarray, cosines: np.ndarray) -> str:
    return (
        f"| {title} | {done.crops} | {apart.mean():.2f} / {apart.max():.2f} grey levels | "
        f"{np.median(cosines):.3f} / {np.quantile(cosines, 0.05):.3f} | {len(done.several)} | "
        f"{len(done.faceless)} | {len(done.profiles)} |"
    )


def decoded(manifest: Manifest) -> list[np.ndarray]:
    return [decode(manifest.read(row), manifest.image(row)) for row in range(len(manifest))]


def photographs(lfw: Path, folder: Path, pictures: int) -> dict[str, Path]:
    """Tables of the photographs with and without landmarks, and of their packed crops.

    The name of a picture is its identity, so that crops are found again.
    """
    with (lfw / "images.csv").open(newline="") as file:
        about = {row["path"]: row for row in csv.DictReader(file)}
    raw = open_manifest(lfw / "raw_sample_250.zip", identities=False)
    names = [image.partition("/")[2] for image in raw.images][:pictures]
    rows = {
        "plain": [{"image": f"{lfw}/raw_sample_250.zip/{one}", "identity": one} for one in names],
        "packed": [{"image": f"{lfw}/{about[one]['zip']}/{one}", "identity": one} for one in names],
    }
    marks = [
        " ".join(about[one][f"{point}_{axis}"] for point in POINTS for axis in "xy")
        for one in names
    ]
    rows["marked"] = [
        row | {"landmarks": points} for row, points in zip(rows["plain"], marks, strict=True)
    ]
    for name, found in rows.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]))
            writer.writeheader()
            writer.writerows(found)
    return {name: folder / f"{name}.csv" for name in rows}


if __name__ == "__main__":
    main()
