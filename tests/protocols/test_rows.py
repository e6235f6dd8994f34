"""What is measured is what the `split` says, and never what was trained on."""

from __future__ import annotations

import pytest

from arcwise.errors import ArcwiseError
from arcwise.protocols.rows import ALL, rows_to_measure
from tests.protocols.tables import manifest


@pytest.mark.parametrize(
    ("splits", "taken", "words"),
    [
        (["train", "test", "val", "test"], [1, 3], "rows of split 'test'"),
        (["train", "val", "val", "train"], [1, 2], "rows of split 'val'"),
        (["train", "val", "dev", None], [1, 2], "rows of split 'dev', 'val'"),
        (["gallery", "query", "test", "probe"], [0, 1, 3], "rows of split 'gallery', 'probe', 'qu"),
        (["gallery1", "gallery2", "query", "train"], [0, 1, 2], "rows of split 'gallery1', 'gall"),
        ([None, "", None, ""], [0, 1, 2, 3], ALL),
    ],
)
def test_which_rows(splits: list[object], taken: list[int], words: str) -> None:
    found, said = rows_to_measure(manifest(identity=list("abcd"), split=splits))
    assert found.identities == ["abcd"[row] for row in taken]
    assert said.startswith(words)


def test_without_a_split_all() -> None:
    every = manifest(identity=list("abcd"))
    assert rows_to_measure(every) == (every, ALL)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["train", "train"], "split is 'train' in every row; expected rows to measure on"),
        (["gallery", "test"], "split is 'gallery', 'test'; expected 'gallery' .* together with"),
        (["query", "test"], "split is 'query', 'test'; expected 'gallery'"),
        (["gallery1", "query"], "expected 'gallery' \\(or 'gallery1' and 'gallery2'\\)"),
        (["gallery1", "gallery", "query"], "expected 'gallery'"),
    ],
)
def test_splits_that_make_no_sense(splits: list[object], said: str) -> None:
    with pytest.raises(ArcwiseError, match=said):
        rows_to_measure(manifest(identity=["a"] * len(splits), split=splits))
