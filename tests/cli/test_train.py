from __future__ import annotations

import pytest

from arcwise.cli.train import training_progress


def test_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress() as (_, report):
        report(40, {"loss": 3.0, "images_per_second": 999.0, "waiting": 0.5})
        report(40, {"epoch": 12, "images_per_second": 1234.4, "waiting": 0.0123})
    assert capsys.readouterr().out == (
        "epoch 12: 1,234 pictures/s, 1.2% of the time waiting for pictures\n"
    )
