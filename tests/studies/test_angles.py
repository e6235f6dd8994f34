"""ArcFace's table 3 with the small encoder: two steps on a few products."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies import angles_longer


def test_every_loss_has_a_row_and_every_claim_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what is measured goes into runs/
    for name, value in {"IDENTITIES": 16, "SHOTS": 4, "HELD_OUT": 4, "WATCHED": 8}.items():
        monkeypatch.setattr(f"angles.{name}", value)
    keys = [{"seed": 0, "loss": loss, "steps": 2} for loss in angles_longer.FIVE]
    runs = angles_longer.records.measure(angles_longer.RUNS, keys, angles_longer.longer)
    text = angles_longer.text(runs)
    assert [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")] == [
        "loss", *angles_longer.FIVE,
    ]  # fmt: skip
    verdicts = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(verdicts) == len(angles_longer.CLAIMS)
    assert all(": holds in " in one or "**does not hold**" in one for one in verdicts)
