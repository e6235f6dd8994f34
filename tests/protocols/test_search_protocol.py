"""Which templates search which: as the data set states it, or as the seed draws it."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Identification, TwoGalleries
from arcwise.protocols.search_protocol import search_protocol
from tests.protocols.tables import people, templates, vectors

IDS = people(12, 4)


def splits(of: dict[int, str], known: int = 12) -> list[object]:
    """The split of every row by its place in its identity; beyond `known` all are queries."""
    return [of[row % 4] if row < 4 * known else "query" for row in range(len(IDS))]


def test_the_rows_of_the_gallery() -> None:
    stated = splits({0: "gallery", 1: "gallery", 2: "query", 3: "probe"}, known=8)
    searched = templates(identity=IDS, split=stated)
    found = search_protocol(searched, 0)
    assert found.stated
    assert found.description == "the rows of split gallery"
    made = vectors(IDS)
    closed, open_ = found.identify(made, searched.ids, 0)
    assert isinstance(closed, Identification)
    assert closed is open_
    assert (len(closed.rank_of_mate), len(closed.unknown), closed.identities) == (16, 16, 8)
    entries, probes = np.array(stated) == "gallery", np.array(stated) != "gallery"
    ids, rows = np.array(IDS, str), vectors(IDS)
    direct = evaluation.identification(rows[probes] @ rows[entries].T, ids[probes], ids[entries])
    assert closed.rank(1) == direct.rank(1)
    assert open_.dir_at(0.1) == direct.dir_at(0.1)
    retrieved = evaluation.retrieval(
        rows[probes], ids[probes], gallery=rows[entries], gallery_ids=ids[entries]
    )
    assert found.retrieve(made, searched.ids, 0).map_at_r == retrieved.map_at_r
    assert found.retrieve(made, searched.ids, 0).left_out == 16


def test_everybody_known_is_no_open_set() -> None:
    searched = templates(
        identity=IDS, split=splits({0: "gallery", 1: "query", 2: "query", 3: "query"})
    )
    closed, open_ = search_protocol(searched, 0).identify(vectors(IDS), searched.ids, 0)
    assert closed is not None
    assert open_ is None


def test_two_galleries_are_averaged() -> None:
    stated = ["query" if row % 4 else f"gallery{1 + row // 4 % 2}" for row in range(len(IDS))]
    searched = templates(identity=IDS, split=stated)
    found = search_protocol(searched, 0)
    closed, open_ = found.identify(vectors(IDS), searched.ids, 0)
    assert isinstance(closed, TwoGalleries)
    assert closed is open_
    assert [len(part.unknown) for part in (closed.first, closed.second)] == [18, 18]
    assert found.retrieve(vectors(IDS), searched.ids, 0).queries == 36


def test_the_rare_domain_or_one_each() -> None:
    domain = ["studio" if row % 4 == 3 else "shop" for row in range(len(IDS))]
    searched = templates(identity=IDS, image=[str(row) for row in range(48)], domain=domain)
    found = search_protocol(searched, 0)
    assert (found.description, found.stated) == ("studio images", False)
    assert found.galleries[0].tolist() == list(range(3, 48, 4))
    closed, open_ = found.identify(vectors(IDS), searched.ids, 0)
    assert isinstance(closed, Identification)
    assert isinstance(open_, Identification)
    assert (closed.identities, open_.identities) == (12, 6)
    assert len(open_.unknown) == 18

    searched = templates(identity=IDS, domain=[*domain[:3], "shop", *domain[4:]])
    found = search_protocol(searched, 0)
    assert found.description == "one vector each"
    assert len(set(searched.ids[found.galleries[0]])) == 12
    assert not np.intersect1d(found.galleries[0], found.probes).size


def test_of_equally_rare_domains_the_first_row_decides() -> None:
    ids = ["a", "a", "b", "b"]
    for domain in (["studio", "field"] * 2, ["field", "studio"] * 2):
        found = search_protocol(templates(identity=ids, domain=domain), 0)
        assert found.description == f"{domain[0]} vectors"
        assert "column split" in found.note
        assert found.galleries[0].tolist() == [0, 2]


def test_one_image_each_leaves_nobody_to_search() -> None:
    searched = templates(identity=["a", "b", "b", "c"], domain=["x", "x", "y", "x"])
    found = search_protocol(searched, 0)
    closed, open_ = found.identify(vectors(["a", "b", "b", "c"]), searched.ids, 0)
    assert closed is not None
    assert open_ is None


def test_near_duplicates_are_not_answers() -> None:
    media = [f"burst{row // 2}" for row in range(len(IDS))]
    searched = templates(identity=IDS, media=media)
    found = search_protocol(searched, 0).retrieve(vectors(IDS), searched.ids, 0)
    direct = evaluation.retrieval(vectors(IDS), np.array(IDS, str), media=np.array(media))
    assert found.map_at_r == direct.map_at_r
    plain = evaluation.retrieval(vectors(IDS), np.array(IDS, str))
    assert found.map_at_r != plain.map_at_r


def test_queries_of_others_only() -> None:
    searched = templates(
        identity=["a", "a", "b", "b"], split=["gallery", "gallery", "query", "query"]
    )
    with pytest.raises(ArcwiseError, match="no query is of an identity in the gallery"):
        search_protocol(searched, 0)


@pytest.mark.parametrize(("split", "lacking"), [("gallery2", "query"), ("probe", "gallery")])
def test_a_side_of_which_nothing_is_left(split: str, lacking: str) -> None:
    with pytest.raises(ArcwiseError, match=f"no row of split {lacking} is left; expected some"):
        search_protocol(templates(identity=IDS, split=[split] * len(IDS)), 0)
