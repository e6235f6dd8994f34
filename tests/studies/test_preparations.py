"""The study of preparations says what it promises to, on two draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies import preparations


def test_a_wrong_scale_is_seen(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparations, "OF", 10)
    monkeypatch.setattr(preparations.weight_sources, "installed", lambda name: None)
    head, _, faces = preparations.table(data_dir.resolve(), tmp_path, 1).splitlines()
    cells = dict(zip(head.split(" | "), faces.split(" | "), strict=True))
    assert (cells["right"], cells["0 to 255"]) == ("0%", "100%")
