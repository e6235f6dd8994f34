"""What users type is frozen: a changed option is a conscious change of options.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arcwise.cli import VERBS, main

FROZEN = Path(__file__).with_name("options.txt")

OPTION = re.compile(r"^\W{0,4}?((?:-\w, )?--\w[\w.-]*(?:, --\w[\w.-]*)*)", re.MULTILINE)
"""Names at the beginning of a line of help, with or without a box around it."""


def test_every_verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """To accept a change, edit options.txt by hand: one line an option."""
    monkeypatch.setenv("COLUMNS", "120")
    found = []
    for verb in VERBS:
        with pytest.raises(SystemExit) as ended:
            main([*verb.split(), "--help"])
        assert ended.value.code == 0
        found += [f"{verb} {names}" for names in OPTION.findall(capsys.readouterr().out)]
    frozen = FROZEN.read_text().splitlines()
    assert {
        "new": [line for line in found if line not in frozen],
        "gone": [line for line in frozen if line not in found],
    } == {"new": [], "gone": []}
    assert "search --k" in frozen
