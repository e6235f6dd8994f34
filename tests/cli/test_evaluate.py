"""What `arcwise evaluate` says of data that list pairs, and every verb of data with notes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.data.manifest import Manifest
from tests import ijb


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_pack(served: Path, new: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(6 * label, 6 * label + 1 + 6 * (label % 2)) for label in range(10)]
    images = [new.read(row) for pair in pairs for row in pair]
    Path("shop.bin").write_bytes(pickle.dumps((images, [True, False] * 5)))
    assert main(["evaluate", str(served), "shop.bin", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert " on 20 images of shop\n" in out
    assert "\nwarning: whose these are is not known" in out
    assert "identities left out" not in out
    assert "│ equal-error rate" in out
    for name in ("retrieval", "identification, closed set", "identification, open set"):
        assert f"not measured: {name}: no identities\n" in out
    assert (
        main(["evaluate", str(served), "shop.bin", "--out", "out"]) == 0
    )  # its own may be replaced


def test_ijb(served: Path, new: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    ijb.write(new, Path("IJBC"))
    assert main(["evaluate", str(served), "IJBC", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "on 72 images of 12 identities of IJBC, rows of split 'gallery1', 'gallery2', 'pr" in out
    assert "warning: not the published ijbc, no result to compare with others': 72 imag" in out
    assert "does not align faces, and these are not aligned" in out


def test_other_commands_print_the_notes_of_the_data(
    served: Path, new: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    ijb.write(new, Path("IJBC"))
    assert main(["embed", str(served), "IJBC"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("warning: not the published ijbc, no result to compare with others': 72")
    assert "warning" not in out
