"""Score files: read, written, and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.scores import Scores, read_scores, write_scores
from arcwise.errors import ArcwiseError
from arcwise.evaluation import verification

names = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6
).filter(lambda name: not name.startswith("#") and len(name.split()) == 1)
numbers = st.floats(allow_infinity=False)


def a_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "dev.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def texts(values: list[str]) -> np.ndarray:
    return np.array(values, object)


def equal(first: Scores, second: Scores) -> bool:
    columns = ("claimed", "real", "probe", "model")
    alike = [
        (one is None and other is None) or (one is not None and one.tolist() == other.tolist())
        for one, other in ((getattr(first, name), getattr(second, name)) for name in columns)
    ]
    return (
        np.array_equal(first.scores, second.scores, equal_nan=True)
        and first.same.tolist() == second.same.tolist()
        and all(alike)
    )


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.tuples(names, names, names, names, numbers, st.booleans()), min_size=1),
    st.sampled_from([2, 4, 5]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple], columns: int
) -> None:
    claimed, model, real, probe, values, same = zip(*rows, strict=True)
    if columns == 2:
        scores = Scores(np.array(values), np.array(same))
    else:
        truth = np.array([one == other for one, other in zip(claimed, real, strict=True)])
        sides = [texts(list(one)) for one in (claimed, real, probe)]
        more = texts(list(model)) if columns == 5 else None
        scores = Scores(np.array(values), truth, *sides, more)
    path = tmp_path_factory.mktemp("scores") / "dev.txt"
    write_scores(scores, path)
    assert len(path.read_text("utf-8").splitlines()[0].split()) == columns
    assert equal(read_scores(path), scores)


def test_blanks_comments_and_ways_to_write_a_number(tmp_path: Path) -> None:
    text = "\n# of system 1\r\n1  .5\r\n-1\t-1e-3\n+1 5.\n -1 NaN \n"
    scores = read_scores(a_file(tmp_path, text))
    np.testing.assert_array_equal(scores.scores, [0.5, -0.001, 5.0, np.nan])
    assert scores.same.tolist() == [True, False, True, False]
    assert scores.claimed is scores.model is None


def test_comparisons_without_a_score_are_told_apart(tmp_path: Path) -> None:
    scores = read_scores(a_file(tmp_path, "a m a p1 1\na m b p2 nan\nb m b p3 nan\nb m a p4 0\n"))
    assert scores.failed.tolist() == [False, True, True, False]
    kept = scores.acquired()
    assert kept.scores.tolist() == [1.0, 0.0]
    assert kept.same.tolist() == [True, False]
    assert [one.tolist() for one in (kept.claimed, kept.real, kept.probe, kept.model)] == [
        ["a", "b"],
        ["a", "a"],
        ["p1", "p4"],
        ["m", "m"],
    ]
    assert len(read_scores(a_file(tmp_path, "1 nan\n")).acquired()) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no score in it"),
        ("# nothing\n\n", "no score in it"),
        ("a b 1\n", r"line 1 has 3 words; expected 'claimed-id real-id probe score'"),
        ("\n1 2 3 4 5 6\n", "line 2 has 6 words"),
        ("a a p 1\n\na m a p 1\n", "line 3 has 5 words, and the ones before have 4"),
        ("1 0.5\n0 0.5\n", "line 2 has '0'"),
        ("2 0.5\n", "line 1 has '2'"),
        ("a a p 1\na a p one\n", "line 2 has the score 'one'; expected a number, or nan"),
        ("a a p inf\n", "line 1 has the score 'inf'"),
        ("1 0\n1 1e999\n", "line 2 has the score '1e999'"),
        ("1 0x10\n", "line 1 has the score '0x10'"),
        (b"1 0\n\xff 1\n", "line 2 is not UTF-8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = a_file(tmp_path, text)
    with pytest.raises(ArcwiseError, match=message) as caught:
        read_scores(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match=r"none\.txt: cannot be read"):
        read_scores(tmp_path / "none.txt")


@pytest.mark.parametrize("name", ["", "a b", "#a", "a\n"])
def test_a_name_that_would_end_early_is_not_written(tmp_path: Path, name: str) -> None:
    column = texts(["a", name])
    scores = Scores(np.zeros(2), np.ones(2, bool), column, column, column)
    with pytest.raises(ArcwiseError, match="comparison 2 has the name"):
        write_scores(scores, tmp_path / "dev.txt")


def test_the_published_files_are_measured(data_dir: Path) -> None:
    """Against the rates counted by hand at each threshold."""
    folder = data_dir / "reference" / "scores"
    four, five = read_scores(folder / "dev-4col.txt"), read_scores(folder / "dev-5col.txt")
    assert (len(four), int(four.same.sum()), int(four.failed.sum())) == (910, 390, 0)
    assert four.model is None
    assert five.model is not None
    assert set(five.model) == {"x"}
    found = verification(four.scores, four.same, folds=None)
    assert (len(found.mated), found.impostors) == (390, 520)
    mated, impostor = four.scores[four.same], four.scores[~four.same]
    assert found.auc == pytest.approx((mated[:, None] > impostor).mean(), abs=2e-4)
    threshold = found.threshold_at(0.01)
    assert (impostor >= threshold).mean() <= 0.01
    assert found.tar_at(0.01) == pytest.approx((mated >= threshold).mean())
    with_five = verification(five.scores, five.same, folds=None)
    assert with_five.auc == pytest.approx(found.auc)


def test_published_comparisons_without_a_score(data_dir: Path) -> None:
    scores = read_scores(data_dir / "reference" / "scores" / "dev-1.txt")
    assert (len(scores), int(scores.failed.sum())) == (1000, 54)
    with pytest.raises(ArcwiseError, match="similarity"):
        verification(scores.scores, scores.same, folds=None)
    kept = scores.acquired()
    found = verification(kept.scores, kept.same, folds=None)
    assert len(found.mated) + found.impostors == len(kept) == 946
