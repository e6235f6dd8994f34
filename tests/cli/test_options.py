"""What users type is frozen: a changed option is a conscious change of options.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arcwise.cli import VERBS, main

FROZEN = Path(__file__).with_name("options.txt")

OF_A_RUN = ("compare", "data views", "train")
"""Verbs whose --help shows the everyday options only."""

OPTION = re.compile(r"^\W{0,4}?((?:-\w, )?--\w[\w.-]*(?:, --\w[\w.-]*)*)", re.MULTILINE)
"""Names at the beginning of a line of help, with or without a box around it."""


def test_every_verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """To accept a change, edit options.txt by hand: one line an option."""
    monkeypatch.setenv("COLUMNS", "120")
    found = []
    for verb in VERBS:
        with pytest.raises(SystemExit) as ended:
            main([*verb.split(), "--help-all" if verb in OF_A_RUN else "--help"])
        assert ended.value.code == 0
        found += [f"{verb} {names}" for names in OPTION.findall(capsys.readouterr().out)]
    frozen = FROZEN.read_text().splitlines()
    assert {
        "new": [line for line in found if line not in frozen],
        "gone": [line for line in frozen if line not in found],
    } == {"new": [], "gone": []}
    assert "search --k" in frozen


@pytest.mark.parametrize("verb", ["enrol", "search", "gallery list", "gallery upgrade"])
def test_help_says_that_a_database_may_be_named(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*verb.split(), "--help"])
    assert "postgresql://" in capsys.readouterr().out


@pytest.mark.parametrize("verb", OF_A_RUN)
def test_help_is_short(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    found = [names.split(",")[0] for names in OPTION.findall(text)]
    own = 8 if verb == "compare" else 0
    assert 12 + own < len(found) < 20 + own
    assert {"--steps", "--split-seed"} < set(found)
    assert ("--loss" in found) == (verb != "compare")
    assert "--help-all" in text
    assert "--run.steps" not in found
