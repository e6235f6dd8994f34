"""The page about an evaluation: all of it, and no number that the data do not resolve."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise.bundle import add_thresholds, read_bundle
from arcwise.data.manifest import Manifest
from arcwise.evaluation import ScoreMap
from arcwise.verbs.evaluate import EvaluationResult, evaluate
from arcwise.verbs.evaluate_report.curves import shown_threshold

from ...report import checks, chromium
from ..conftest import search_threshold


def titles(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r"<h2>(.*?)</h2>", page)]


def words(page: str) -> str:
    """What a reader sees."""
    seen = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", seen))).replace("\u202f", " ")


@pytest.fixture(scope="module")
def measured(
    model: Path, new: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationResult:
    return evaluate(model, new, out=tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def page(measured: EvaluationResult) -> str:
    assert measured.report is not None
    return measured.report.read_text()


def test_everything_is_there(page: str) -> None:
    assert titles(page) == [
        "Results",
        "Measured on",
        "Metrics",
        "Same or not (ROC)",
        "Both errors (DET)",
        "Similarities of pairs",
        "Angles of pairs",
        "Finding the identity (CMC)",
        "Finding it among strangers",
        "The model's own thresholds",
        "FAR, promised and here",
        "By domain",
        "Groups of domain",
        "The worst searches",
        "Searches at random",
        "Different identities that look alike",
        "One identity that does not look it",
        "Protocols",
        "How it is defined",
    ]


def test_what_it_was_measured_on(page: str, measured: EvaluationResult) -> None:
    said = words(page)
    about = measured.about
    for fact in (
        "72 images of 12 identities",
        "The model was not made with any of them.",
        "identities left out, because a model was made with them 0",
        "gallery studio images",
        "mated and impostor pairs 180 and 2,376",
        about.fingerprint[:16],
        measured.fingerprint[:16],
        f"numpy {np.__version__}",
        "listed pairs not measured: no table of pairs",
    ):
        assert fact in said, fact


def test_no_number_that_is_not_resolved(page: str, measured: EvaluationResult) -> None:
    known = {(one.name, f"{one.rate:.4f}") for one in measured.metrics if one.rate.resolved}
    thin = [one for one in measured.metrics if not one.rate.resolved]
    thin = [one for one in thin if (one.name, f"{one.rate:.4f}") not in known]  # of all images
    assert thin
    said = words(page)
    for one in thin:
        assert f"{one.name} {100 * one.rate:.2f} %" not in said
    assert "because there are too few cases: TAR at FAR 0.001" in said


def test_every_search_and_pair_is_shown(page: str, measured: EvaluationResult) -> None:
    missed = np.count_nonzero(measured.retrieval.rank > 1)
    worst = int(re.findall(r"among the ([\d,]+) of 72 queries", words(page))[0])
    assert worst == missed
    assert page.count("its first mate comes at place") + page.count("its nearest is right") > 10
    assert page.count('class="verdict">✓ right') + page.count('class="verdict">✗ wrong') >= 10 * 5
    assert "the model's own threshold for a false-accept rate of 10%" in words(page)


def test_the_line(measured: EvaluationResult, served: Path, new: Manifest) -> None:
    own = shown_threshold(measured)
    assert own is not None
    assert own.similarity == -1.0  # of the model, at FAR 10 %
    plain = evaluate(served, new)
    if not plain.thresholds:
        found = shown_threshold(plain)
        assert found is not None
        assert found.similarity == plain.verification.threshold_at(0.01)


@pytest.mark.skipif(chromium.executable() is None, reason="no Chromium: apt-get install chromium")
def test_in_a_browser(measured: EvaluationResult) -> None:
    assert measured.report is not None
    with chromium.running() as browser:
        for width in (360, 1280):
            assert checks.faults(browser.visit(measured.report, width), width) == []


def test_promises_of_searches_and_of_probabilities(
    model: Path, new: Manifest, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    bundle = read_bundle(folder)
    add_thresholds(
        folder,
        bundle.thresholds,
        search_thresholds=[search_threshold(0.1, 100, 0.5)],
        probability=ScoreMap(10.0, -5.0, 0.5, 100, 100),
        measured_on="nothing",
        digests=bundle.digests["calibrate"],
    )
    result = evaluate(folder, new, out=tmp_path / "out")
    assert result.report is not None
    text = result.report.read_text()
    assert "0.1, 100 identities, 1 template each 0.500 (0.500 – 0.500)" in words(text)
    assert {
        "The model's own search thresholds",
        "FPIR, promised and here",
        "Stated probabilities",
    } <= set(titles(text))


def test_two_models_side_by_side(
    model: Path, retrained: Path, new: Manifest, tmp_path: Path
) -> None:
    result = evaluate(model, new, baselines=[retrained], out=tmp_path)
    assert result.report is not None
    text = result.report.read_text()
    first, second = result.models
    said = words(text)
    assert f"{first} and {second} on {new.name}" in said
    assert f"metric {first} {second}" in said
    assert f"Answered by {first}." in said
    for drawing in ("ROC:", "DET:", "Cumulative match", "Open-set", "Similarities", "Angles"):
        (label,) = re.findall(f'aria-label="({drawing}[^"]*)"', text)
        assert first in label
        assert second in label


def test_vectors_without_images(measured: EvaluationResult, tmp_path: Path) -> None:
    vectors = measured.vectors
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = pa.table({"vector": flat, "identity": measured.manifest.identities})
    result = evaluate("-", Manifest(table, tmp_path, "vectors"), out=tmp_path / "out")
    assert result.report is not None
    text = result.report.read_text()
    assert "<img" not in text
    assert "The worst searches" not in titles(text)
    assert "Different identities that look alike" in titles(text)
    assert "What made the vectors is not known." in words(text)


def test_a_table_of_pairs(model: Path, new: Manifest, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids, lines = new.identities, ["a,b,same,gap"]
    for _ in range(120):
        a, b = rng.choice(len(ids), 2, replace=False)
        lines.append(f"{new.images[a]},{new.images[b]},{int(ids[a] == ids[b])},{rng.integers(9)}")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(lines) + "\n")
    result = evaluate(model, new, pairs=pairs, out=tmp_path / "out")
    assert result.report is not None
    text = result.report.read_text()
    assert "By gap" in titles(text)
    assert "Among the listed pairs." in words(text)
    assert "table of pairs pairs.csv" in words(text)
