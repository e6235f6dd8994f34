"""Pictures are compared one by one, templates as the vectors they are pooled to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import templates
from arcwise.protocols.layout import layout, named, names
from tests.protocols.tables import items, manifest, people, vectors

IDS: list[object] = ["x", "x", "y", "y", "y", "x"]
TEMPLATES: list[object] = ["t2", "t2", "t1", "t3", "t1", "t0"]
MEDIA: list[object] = ["a", "b", "c", "d", "c", "e"]


def test_every_row_is_an_item() -> None:
    found = items(identity=IDS, image=[f"{row}.jpg" for row in range(6)])
    assert found.kind == "pictures"
    assert found.names == [f"{row}.jpg" for row in range(6)]
    assert found.ids.tolist() == IDS
    made = found.items(vectors(IDS))
    np.testing.assert_array_equal(made.vectors, vectors(IDS))
    assert (made.kind, made.rows.tolist()) == ("pictures", list(range(6)))


def test_templates_are_pooled() -> None:
    found = items(identity=IDS, template=TEMPLATES, media=MEDIA)
    made = found.items(vectors(IDS))
    assert made.kind == "templates"
    assert made.names == ["t0", "t1", "t2", "t3"]
    assert made.ids.tolist() == ["x", "y", "x", "y"]
    assert made.rows.tolist() == [5, 2, 0, 3]
    pooled = templates.pool(vectors(IDS), np.array(TEMPLATES), np.array(MEDIA))
    np.testing.assert_array_equal(made.vectors, pooled.vectors)


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
def test_quality_weights_pictures(quality: list[object], said: str) -> None:
    column = {"quality": pa.array(quality, pa.float64())} if quality else {}
    table = pa.table({"identity": IDS, "template": TEMPLATES, "media": MEDIA, **column})
    found = layout(replace(manifest(identity=IDS), table=table))
    weights = np.array(quality) if said.startswith("weighted") else None
    pooled = templates.pool(
        vectors(IDS), np.array(TEMPLATES), np.array(MEDIA), detector_scores=weights
    )
    np.testing.assert_array_equal(found.items(vectors(IDS)).vectors, pooled.vectors)
    assert said in found.weighted


def test_a_templates_value_is_its_rows_or_none() -> None:
    found = items(
        identity=IDS,
        template=TEMPLATES,
        media=MEDIA,
        domain=["shop", "shop", "shop", None, "studio", "studio"],
    )
    assert found.column("domain") == ["studio", None, "shop", None]
    assert found.column("nothing") is None


def test_what_pairs_call_the_rows() -> None:
    assert names(manifest(identity=IDS, image=MEDIA, name=TEMPLATES)) == MEDIA
    assert names(named(manifest(identity=IDS, name=TEMPLATES))) == TEMPLATES
    counted = named(manifest(identity=IDS)).select([4, 2])
    assert names(counted) == ["5", "3"]  # as in the file, whatever is left out


def test_a_row_without_a_medium_has_its_own() -> None:
    found = items(identity=IDS, media=["a", None, "a", "", "r1", None])
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
            "template t has pictures of more than one identity",
        ),
        (
            {"template": TEMPLATES, "media": MEDIA, "split": ["query", "gallery", *["query"] * 4]},
            "template t2 has pictures of more than one split",
        ),
    ],
)
def test_templates_that_make_no_sense(columns: dict[str, list[object]], said: str) -> None:
    with pytest.raises(ArcwiseError, match=said):
        layout(manifest(identity=IDS, **columns))


def test_many_templates_are_quick() -> None:
    ids = people(2000, 5)
    count = [f"{row // 2}" for row in range(len(ids))]
    same = [ids[2 * (row // 2)] for row in range(len(ids))]
    found = items(identity=same, template=count, media=[str(row) for row in range(len(ids))])
    assert found.column("identity") == found.ids.tolist()
