"""The study of alignments says what it promises to, on a few photographs."""

from __future__ import annotations

import re
from pathlib import Path

from studies.alignment import table


def test_crops_are_those_that_were_packed(data_dir: Path, tmp_path: Path) -> None:
    head, _, known, largest, central = table(data_dir.resolve(), tmp_path, 8).splitlines()
    assert head.startswith("| landmarks | crops |")
    mean, worst, median = map(float, re.findall(r"\d+\.\d+", known)[:3])
    assert mean < 2
    assert worst < 3
    assert median > 0.99
    for line in (largest, central):
        assert "| 8 |" in line
        assert float(re.findall(r"(\d\.\d{3}) /", line)[0]) > 0.85
