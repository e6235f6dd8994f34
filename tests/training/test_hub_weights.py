"""Weights from a Hugging Face hub, here one on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from arcwise.errors import ArcwiseError
from arcwise.training.weight_sources import resolve
from tests.hub_server import COMMIT, Hub, running

constants = pytest.importorskip("huggingface_hub.constants", reason="pip install 'arcwise[hub]'")

CARD = b"---\nlicense: apache-2.0\ntags:\n- image\n---\n# Weights\n"
WEIGHTS = {"stem.weight": np.arange(60_000, dtype=np.float32)}
SOURCE = "hf://people/network/parts/model.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running(Hub()) as hub:
        hub.files["people/network", "parts/model.safetensors"] = save(WEIGHTS)
        hub.files["people/network", "README.md"] = CARD
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield hub


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def files(folder: Path) -> list[str]:
    """Whatever holds content in a cache: not its locks, links and names of commits."""
    return sorted(one.name for one in (folder / "hub").rglob("blobs/*"))


def test_a_file_of_a_hub(hub: Hub) -> None:
    source = resolve(SOURCE, "small")
    assert source.path is not None
    assert np.array_equal(load_file(source.path)["stem.weight"], WEIGHTS["stem.weight"])
    assert source.description == f"{SOURCE}@{COMMIT}"
    assert source.licence == "apache-2.0"
    assert resolve(f"{SOURCE}@{COMMIT}", "small") == source


def test_it_is_downloaded_once(hub: Hub) -> None:
    for _ in range(2):
        resolve(SOURCE, "small")
    assert sum(one.startswith("GET") and "safetensors" in one for one in hub.requests) == 1


def test_offline_from_the_cache(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    online = resolve(SOURCE, "small")
    offline(monkeypatch)
    count = len(hub.requests)
    assert resolve(SOURCE, "small") == online
    assert len(hub.requests) == count
    with pytest.raises(ArcwiseError, match="HF_HUB_OFFLINE is set"):
        resolve("hf://people/other/model.safetensors", "small")


def test_the_usual_name_is_assumed(hub: Hub) -> None:
    hub.files["people/plain", "model.safetensors"] = save(WEIGHTS)
    source = resolve("hf://people/plain", "small")
    assert source.description == f"hf://people/plain/model.safetensors@{COMMIT}"
    assert source.licence == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://people/nothing/model.safetensors", "no repository people/nothing"),
        ("hf://people/network/other.safetensors", "no file other.safetensors"),
        (f"{SOURCE}@v9", "no revision v9"),
        ("hf://people", "expected hf://owner"),
        ("hf://people/network/../../../etc/passwd", "expected hf://owner"),
        ("hf://people/network/a@b@c", "expected hf://owner"),
    ],
)
def test_what_is_not_there(source: str, said: str, hub: Hub) -> None:
    with pytest.raises(ArcwiseError, match=said) as caught:
        resolve(source, "small")
    assert "\n" not in str(caught.value)


def test_terms_are_to_be_accepted(hub: Hub) -> None:
    hub.gated.add("people/network")
    with pytest.raises(ArcwiseError, match=f"terms first, at {hub.address}/people/network"):
        resolve(SOURCE, "small")


def test_a_wrong_digest(hub: Hub, tmp_path: Path) -> None:
    hub.digests["parts/model.safetensors"] = "0" * 64
    with pytest.raises(ArcwiseError, match="but the hub says 0000"):
        resolve(SOURCE, "small")
    assert files(tmp_path) == []


def test_damage_in_the_cache(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = resolve(SOURCE, "small").path
    assert path is not None
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\1\2\3\4")
    with monkeypatch.context() as patch:
        offline(patch)
        with pytest.raises(ArcwiseError, match="was removed"):
            resolve(SOURCE, "small")
    assert resolve(SOURCE, "small").path == path


def test_a_download_that_is_cut_off_goes_on(hub: Hub) -> None:
    hub.cut["parts/model.safetensors"] = 1
    path = resolve(SOURCE, "small").path
    assert path is not None
    assert np.array_equal(load_file(path)["stem.weight"], WEIGHTS["stem.weight"])


def test_a_server_that_always_cuts_off(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cut["parts/model.safetensors"] = 10**6
    with pytest.raises(ArcwiseError, match="download failed"):
        resolve(SOURCE, "small")
    assert not [one for one in files(tmp_path) if not one.endswith(".incomplete")]


def test_a_card_that_is_no_card(hub: Hub) -> None:
    hub.files["people/network", "README.md"] = b"---\nlicense: [\n---\n"
    assert resolve(SOURCE, "small").licence == ""


def test_the_environment_is_honoured(hub: Hub, tmp_path: Path) -> None:
    code = (
        f"from arcwise.training.weight_sources import resolve; print(resolve({SOURCE!r}, '').path)"
    )
    home = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
    said = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | home, capture_output=True, check=True
    )
    assert said.stdout.decode().startswith(str(tmp_path / "home"))
