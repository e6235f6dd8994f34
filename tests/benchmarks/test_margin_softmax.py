"""The benchmark's pure parts: the resampler keeps what it promises, the page shows the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.head_step import errors, goals, resample, table
from benchmarks.head_step.lines import LINES
from torch.nn import functional


@pytest.fixture
def trained() -> resample.Trained:
    """200 clustered centres in 64 dimensions, embeddings at a cosine of 0.5 to 0.9 to theirs."""
    draw = torch.Generator().manual_seed(1)
    groups = torch.randn(40, 64, generator=draw)
    centres = functional.normalize(
        groups.repeat_interleave(5, 0) + torch.randn(200, 64, generator=draw)
    )
    labels = torch.randint(0, 200, (1000,), generator=draw)
    cosine = 0.5 + 0.4 * torch.rand(1000, 1, generator=draw)
    aside = torch.randn(1000, 64, generator=draw)
    aside -= (aside * centres[labels]).sum(1, keepdim=True) * centres[labels]
    embeddings = cosine * centres[labels] + (1 - cosine**2).sqrt() * functional.normalize(aside)
    return resample.Trained(centres, embeddings, labels)


def test_resampled_classes_lie_as_the_trained_ones(trained: resample.Trained) -> None:
    draw = torch.Generator().manual_seed(2)
    centres = trained.centres_like(2000, draw)
    x, labels = trained.embeddings_like(centres, 500, draw)
    ones = torch.ones(2000)
    torch.testing.assert_close(centres.norm(dim=1), ones, rtol=0, atol=1e-5)
    measured, found = resample.nearest(trained.centres).median(), resample.nearest(centres).median()
    assert abs(measured - found) < 0.02
    cosine = (x * centres[labels]).sum(1)
    assert cosine.min() > 0.5 - 1e-5
    assert cosine.max() < 0.9 + 1e-5
    assert abs(cosine.mean() - 0.7) < 0.02


def test_resampling_is_repeatable(trained: resample.Trained) -> None:
    first, second = (trained.centres_like(500, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_torch_s_own_peer_is_the_softmax_without_margin() -> None:
    x, labels, centres = errors.problem(0.7)
    found = LINES["linear-ce"].build(x, labels, centres.clone()).loss()
    cosines = functional.normalize(x) @ functional.normalize(centres).T
    expected = functional.cross_entropy(64 * cosines, labels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=64 * 2.0**-23)


def test_peers_compute_the_same_loss() -> None:
    """All lines of the table solve one problem: their losses agree, and with arcwise's."""
    x, labels, centres = errors.problem(0.7)
    losses = [
        LINES[name].build(x, labels, centres.clone()).loss()
        for name in ("none", "fp32", "ordinary", "gather", "partialfc")
    ]
    rounding = 64 * 2.0**-23  # of a logit at scale 64: no float32 loss is surer than that
    torch.testing.assert_close(torch.stack(losses), losses[0].expand(5), rtol=1e-4, atol=rounding)


def test_errors_name_what_is_wrong() -> None:
    _, labels, centres = errors.problem(None)
    dx, dw = torch.randn(96, 8), torch.randn(len(centres), 8)
    wrong = dw.clone()
    wrong[labels] = 0
    found = errors.relative((dx, wrong), (dx, dw), labels)
    assert found["dx"] == found["others"] == 0
    assert found["dw"] > 0


def record(line: str, **values: Any) -> dict[str, Any]:
    return {
        "kind": "step", "line": line, "data": "init", "batch": 128, "classes": 100_000,
        "floor": 0.5, "repetitions": 3, "report": {},
        "date": "2026-01-02", "machine": "CPU, 2 cores",
        "torch": "2.13", **values,
    }  # fmt: skip


def test_the_page_puts_goals_beside_what_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Speed\n\nBefore.\n\n" + table.BEGIN + "\nold\n" + table.END + "\n\nAfter.\n")
    records = [
        record("fp32", seconds=0.6, ratio=1.2, extra_bytes=60 * goals.MIB),
        record("none", seconds=1.0, ratio=2.0, extra_bytes=80 * goals.MIB),
        record("compile", absent="no compiler"),
    ]
    table.write(page, records)
    once = page.read_text()
    assert once.startswith("# Speed\n\nBefore.\n")
    assert once.endswith("\nAfter.\n")
    assert "old" not in once
    assert "| arcwise, fp32, kept | 0.6 | 0.5 | 1.20 | ≤ 1.30 ✓ | 60 | ≤ 65 ✓ | 3 |" in once
    assert "| arcwise, fp32, nothing kept | 1 | 0.5 | 2.00 | ≤ 1.55 ✗ | 80 | ≤ 64 ✗ | 3 |" in once
    assert "no compiler" in once
    table.write(page, records)
    assert page.read_text() == once
