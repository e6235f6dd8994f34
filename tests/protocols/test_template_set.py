"""Images are compared one by one, templates as the vectors they are pooled to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import templates as pooling
from arcwise.protocols.template_set import (
    ALL_ROWS,
    names_of_rows,
    rows_to_measure,
    template_set,
    with_names,
)
from tests.protocols.tables import manifest, people, templates, vectors

IDS: list[object] = ["x", "x", "y", "y", "y", "x"]
TEMPLATES: list[object] = ["t2", "t2", "t1", "t3", "t1", "t0"]
MEDIA: list[object] = ["a", "b", "c", "d", "c", "e"]


def test_every_row_is_a_template() -> None:
    found = templates(identity=IDS, image=[f"{row}.jpg" for row in range(6)])
    assert found.kind == "images"
    assert found.names == [f"{row}.jpg" for row in range(6)]
    assert found.ids.tolist() == IDS
    pooled = found.pool(vectors(IDS))
    np.testing.assert_array_equal(pooled, vectors(IDS))
    assert (found.kind, found.first_row.tolist()) == ("images", list(range(6)))


def test_templates_are_pooled() -> None:
    found = templates(identity=IDS, template=TEMPLATES, media=MEDIA)
    pooled = found.pool(vectors(IDS))
    assert found.kind == "templates"
    assert found.names == ["t0", "t1", "t2", "t3"]
    assert found.ids.tolist() == ["x", "y", "x", "y"]
    assert found.first_row.tolist() == [5, 2, 0, 3]
    direct = pooling.pool(vectors(IDS), np.array(TEMPLATES), np.array(MEDIA))
    np.testing.assert_array_equal(pooled, direct.vectors)


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ([], "not weighted: no column 'quality'"),
        ([1.0, 2.0, 0.0, 1.0, 1.0, 3.0], "weighted by their 'quality'"),
        ([1.0, None, 1.0, 1.0, 1.0, 1.0], "missing, or below 0, in 1 rows"),
        ([1.0, -2.0, float("nan"), 1.0, 1.0, 1.0], "missing, or below 0, in 2 rows"),
        ([None] * 6, "missing, or below 0, in 6 rows"),
    ],
)
def test_quality_weights_images(quality: list[object], said: str) -> None:
    column = {"quality": pa.array(quality, pa.float64())} if quality else {}
    table = pa.table({"identity": IDS, "template": TEMPLATES, "media": MEDIA, **column})
    found = template_set(replace(manifest(identity=IDS), table=table))
    weights = np.array(quality) if said.startswith("weighted") else None
    pooled = pooling.pool(
        vectors(IDS), np.array(TEMPLATES), np.array(MEDIA), detector_scores=weights
    )
    np.testing.assert_array_equal(found.pool(vectors(IDS)), pooled.vectors)
    assert said in found.weighting


def test_a_templates_value_is_its_rows_or_none() -> None:
    found = templates(
        identity=IDS,
        template=TEMPLATES,
        media=MEDIA,
        domain=["shop", "shop", "shop", None, "studio", "studio"],
    )
    assert found.column("domain") == ["studio", None, "shop", None]
    assert found.column("nothing") is None


def test_what_pairs_call_the_rows() -> None:
    assert names_of_rows(manifest(identity=IDS, image=MEDIA, name=TEMPLATES)) == MEDIA
    assert names_of_rows(with_names(manifest(identity=IDS, name=TEMPLATES))) == TEMPLATES
    counted = with_names(manifest(identity=IDS)).select([4, 2])
    assert names_of_rows(counted) == ["5", "3"]  # as in the file, whatever is left out


def test_a_row_without_a_medium_has_its_own() -> None:
    found = templates(identity=IDS, media=["a", None, "a", "", "r1", None])
    assert found.media is not None
    assert len(set(found.media.tolist())) == 5


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"template": TEMPLATES}, "has templates and no column 'media'"),
        ({"template": [*TEMPLATES[:5], None], "media": MEDIA}, "template is empty in 1 of 6 rows"),
        ({"template": TEMPLATES, "media": ["", *MEDIA[1:]]}, "media is empty in 1 of 6 rows"),
        (
            {"template": ["t"] * 6, "media": MEDIA},
            "template t has images of more than one identity",
        ),
        (
            {"template": TEMPLATES, "media": MEDIA, "split": ["query", "gallery", *["query"] * 4]},
            "template t2 has images of more than one split",
        ),
    ],
)
def test_templates_that_make_no_sense(columns: dict[str, list[object]], said: str) -> None:
    with pytest.raises(ArcwiseError, match=said):
        template_set(manifest(identity=IDS, **columns))


def test_many_templates_are_quick() -> None:
    ids = people(2000, 5)
    count = [f"{row // 2}" for row in range(len(ids))]
    same = [ids[2 * (row // 2)] for row in range(len(ids))]
    found = templates(identity=same, template=count, media=[str(row) for row in range(len(ids))])
    assert found.column("identity") == found.ids.tolist()


@pytest.mark.parametrize(
    ("splits", "taken", "words"),
    [
        (["train", "test", "val", "test"], [1, 3], "rows of split 'test'"),
        (["train", "val", "val", "train"], [1, 2], "rows of split 'val'"),
        (["train", "val", "dev", None], [1, 2], "rows of split 'dev', 'val'"),
        (["gallery", "query", "test", "probe"], [0, 1, 3], "rows of split 'gallery', 'probe', 'qu"),
        (["gallery1", "gallery2", "query", "train"], [0, 1, 2], "rows of split 'gallery1', 'gall"),
        ([None, "", None, ""], [0, 1, 2, 3], ALL_ROWS),
    ],
)
def test_which_rows(splits: list[object], taken: list[int], words: str) -> None:
    found, said = rows_to_measure(manifest(identity=list("abcd"), split=splits))
    assert found.identities == ["abcd"[row] for row in taken]
    assert said.startswith(words)


def test_without_a_split_all() -> None:
    every = manifest(identity=list("abcd"))
    assert rows_to_measure(every) == (every, ALL_ROWS)


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


def test_a_model_s_quality_weights_the_rows() -> None:
    quality: list[object] = [1.0, 0.5, 0.2, 0.1, 0.9, 0.3]
    found = templates(identity=IDS, template=TEMPLATES, media=MEDIA, quality=quality)
    own = np.array([0.1, 0.9, 0.8, 0.5, 0.1, 0.4])
    direct = pooling.pool(vectors(IDS), np.array(TEMPLATES), np.array(MEDIA), detector_scores=own)
    np.testing.assert_array_equal(found.pool(vectors(IDS), own), direct.vectors)
    assert not np.array_equal(found.pool(vectors(IDS)), direct.vectors)
    assert found.sizes is not None
    assert found.sizes.tolist() == [1, 2, 2, 1]  # of t0 to t3
    assert templates(identity=IDS, image=[f"{row}.jpg" for row in range(6)]).sizes is None
