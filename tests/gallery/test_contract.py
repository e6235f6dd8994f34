"""What every store promises, against a list and loops: `new_address` goes through the stores."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import GalleryError
from arcwise.gallery import Gallery, NewTemplate, StoredTemplates, open_gallery
from arcwise.identity import identity_key
from arcwise.verbs.gallery_info import gallery_info
from tests.gallery.conftest import NewAddress
from tests.gallery.oracle import Oracle
from tests.gallery.test_reference import POINTS

NAMES = ["ann", "bob", "cid", "dee", "007"]
WHERES = [
    None,
    'shop == "Berlin"',
    'shop != "Berlin" and price >= 2',
    "not (price < 3) or sold == true",
    'shop in ("Berlin", "Ördög") and not sold == false',
    'price == 1 or metadata["a b"] > "m"',
]
metadata = st.fixed_dictionaries(
    {},
    optional={
        "shop": st.sampled_from(["Berlin", "Paris", "Ördög", 3, True, None]),
        "price": st.sampled_from([0, 1, 2.5, 3, -1e300, 10**30, "3", False]),
        "sold": st.booleans(),
        "a b": st.sampled_from(["a", "z", "ä"]),
    },
)
new = st.builds(
    NewTemplate,
    identity=st.sampled_from(NAMES),
    vector=st.sampled_from(POINTS),
    metadata=metadata,
    quality=st.sampled_from([None, 0.0, 0.5]),
    thumbnail=st.sampled_from([None, b"\0\xff picture"]),
)
step = st.one_of(
    st.tuples(st.just("enrol"), st.lists(new, max_size=6), st.booleans()),
    st.tuples(st.just("enrol"), st.lists(new, min_size=1, max_size=6), st.just(False)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("remove templates"), st.integers(0, 5), st.none()),
    st.tuples(st.just("assign"), st.integers(0, 5), st.sampled_from(NAMES)),
    st.tuples(st.just("annotate"), st.integers(0, 5), metadata),
    st.tuples(st.just("quarantine"), st.integers(0, 5), st.sampled_from(["blurred", "twice"])),
    st.tuples(st.just("release"), st.integers(0, 5), st.none()),
    st.tuples(st.sampled_from(["purge", "reopen"]), st.none(), st.none()),
)


@pytest.mark.filterwarnings("ignore:.*dropTolerance")  # what a server of Milvus keeps for a while
def test_any_sequence_of_changes(new_address: NewAddress, request: pytest.FixtureRequest) -> None:
    slow = "milvus" in request.node.name

    @settings(max_examples=8 if slow else 40, deadline=None)
    @given(steps=st.lists(step, max_size=12), k=st.integers(1, 6), where=st.sampled_from(WHERES))
    def run(steps: list[tuple[str, Any, Any]], k: int, where: str | None) -> None:
        answers_after(new_address(), steps, k, where)

    run()


def answers_after(
    address: str, steps: list[tuple[str, Any, Any]], k: int, where: str | None
) -> None:
    """Check every answer of a new gallery after some changes."""
    oracle = Oracle()
    gallery = open_gallery(address, create=True, dim=4)
    watcher = open_gallery(address, mode="r")
    for what, subject, value in steps:
        if what == "purge":
            watcher.close()  # no other may read
        gallery = done(gallery, address, oracle, what, subject, value)
        if what == "purge":
            watcher = open_gallery(address, mode="r")
    for one in (gallery, watcher):
        answers_as(one, oracle, k, where)
    gallery.close()
    with open_gallery(address) as again:
        answers_as(again, oracle, k, where)
    watcher.close()


def done(
    gallery: Gallery, address: str, oracle: Oracle, what: str, subject: Any, value: Any
) -> Gallery:
    """Do one step to both, and return the gallery, which may have been opened again."""
    if what == "enrol":
        receipt = gallery.enrol(subject, replace=value)
        assert (list(receipt.templates), receipt.replaced) == oracle.enrol(subject, replace=value)
    elif what == "remove":
        if any(identity_key(one.identity) == identity_key(subject) for one in oracle.kept):
            assert gallery.remove(subject) == oracle.remove(subject)
        else:
            with pytest.raises(GalleryError, match="not enrolled"):
                gallery.remove(subject)
    elif what == "reopen":
        gallery.close()
        return open_gallery(address)
    elif what == "purge":
        gallery.purge()
    elif oracle.kept:
        those = [one.template for one in oracle.kept[subject : subject + 2]]
        if what == "remove templates":
            gallery.remove_templates(those)
            oracle.remove_templates(those)
        elif what == "assign":
            gallery.assign(those, value)
            oracle.change(those, identity=value)
        elif what == "annotate" and those:
            gallery.annotate(those[0], value)
            oracle.change(those[:1], metadata=value)
        elif what == "quarantine":
            gallery.quarantine(those, value)
            oracle.change(those, quarantine=value)
        elif what == "release":
            held = [one.template for one in oracle.held()]
            gallery.release(held)
            oracle.change(held, quarantine=None)
    return gallery


def answers_as(gallery: Gallery, oracle: Oracle, k: int, where: str | None) -> None:
    """Check every answer of a gallery."""
    for query, hits in zip(POINTS, gallery.search(POINTS, k, where=where), strict=True):
        assert hits == oracle.search(query, k, where)
    for query, hits in zip(POINTS, gallery.above(POINTS, 0.5, where=where), strict=True):
        assert hits == oracle.above(query, 0.5, where)
    assert gallery.search(POINTS[3], k)[0] == oracle.search(POINTS[3], k)
    assert gallery.templates(where=where) == oracle.templates(where)
    assert {identity_key(one): n for one, n in gallery.counts().items()} == oracle.counts()
    assert gallery.identities() == list(gallery.counts())
    for name, count in gallery.counts().items():
        assert len(gallery.templates(name)) == len(gallery.metadata(name)) == count
        verified = gallery.verify(name, POINTS[0])
        hits = oracle.above(POINTS[0], -2)
        assert verified.templates == count
        assert verified.similarity == next(
            hit.similarity for hit in hits if identity_key(hit.identity) == identity_key(name)
        )
    part, held = oracle.part(), oracle.held()
    assert len(gallery) == gallery.size().templates == len(part)
    assert gallery.size().newest == max((one.template for one in part), default=0)
    assert [(one.template, one.identity, why) for one, why in gallery.quarantined()] == [
        (one.template, one.identity, one.quarantine) for one in held
    ]
    for one in oracle.kept:
        assert gallery.thumbnail(one.template) == one.thumbnail
    stored = [row for chunk in gallery.stored() for row in rows_of(chunk)]
    assert stored == [
        (one.template, one.identity, one.vector, one.metadata, one.quality, one.thumbnail,
         one.quarantine)
        for one in oracle.kept
    ]  # fmt: skip
    health = gallery.check()
    assert (health.templates, health.quarantined) == (len(oracle.kept), len(held))


def rows_of(chunk: StoredTemplates) -> list[tuple[Any, ...]]:
    columns = (chunk.identities, map(tuple, chunk.vectors.tolist()), chunk.metadata,
               chunk.qualities, chunk.thumbnails, chunk.quarantined)  # fmt: skip
    return list(zip(chunk.templates.tolist(), *columns, strict=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda gallery: gallery.remove_templates([1, 9]),
        lambda gallery: gallery.assign([9], "ann"),
        lambda gallery: gallery.assign([1], "  "),
        lambda gallery: gallery.annotate(9, {}),
        lambda gallery: gallery.annotate(1, {"a": float("nan")}),
        lambda gallery: gallery.quarantine([1, 9], "blurred"),
        lambda gallery: gallery.quarantine([1], " "),
        lambda gallery: gallery.release([1]),
        lambda gallery: gallery.thumbnail(9),
        lambda gallery: gallery.search(POINTS[0], where="price"),
        lambda gallery: gallery.above(POINTS[0], float("nan")),
        lambda gallery: gallery.templates(where="price = 3"),
        lambda gallery: gallery.enrol([NewTemplate("ann", POINTS[0], thumbnail=b"")]),
        lambda gallery: gallery.enrol([NewTemplate("ann", POINTS[0], quality=-1.0)]),
    ],
)
def test_what_is_refused_changes_nothing(new_address: NewAddress, call: Any) -> None:
    oracle = Oracle()
    items = [NewTemplate("ann", POINTS[0], {"price": 3}), NewTemplate("bob", POINTS[1])]
    oracle.enrol(items)
    with open_gallery(new_address(), create=True, dim=4) as gallery:
        gallery.enrol(items)
        with pytest.raises(GalleryError):
            call(gallery)
        answers_as(gallery, oracle, 3, None)


def test_threads_that_search_see_whole_batches(new_address: NewAddress) -> None:
    """Each batch enrols two identities at one point: both are found, or neither."""
    address = new_address()
    batches, seen, errors = 30, set(), []
    with open_gallery(address, create=True, dim=4) as gallery, open_gallery(address) as writer:

        def search() -> None:
            try:
                while len(found := gallery.search(POINTS[5], 1000)[0]) < 2 * batches:
                    seen.add(len(found))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for one in threads:
            one.start()
        for number in range(batches):
            writer.enrol([(f"{side}{number}", POINTS[5]) for side in "ab"])
        for one in threads:
            one.join(60)
    assert not errors
    assert all(count % 2 == 0 for count in seen)


def test_every_change_of_the_templates_shows(new_address: NewAddress) -> None:
    changes = [
        lambda gallery: gallery.enrol([("ann", POINTS[0]), ("bob", POINTS[1])]),
        lambda gallery: gallery.enrol([("ann", POINTS[2])], replace=True),
        lambda gallery: gallery.assign([3], "bob"),
        lambda gallery: gallery.annotate(3, {"shelf": 3}),
        lambda gallery: gallery.quarantine([3], "blurred"),
        lambda gallery: gallery.release([3]),
        lambda gallery: gallery.remove_templates([2]),
        lambda gallery: gallery.remove("bob"),
    ]
    with open_gallery(new_address(), create=True, dim=4) as gallery:
        seen = [gallery.about()]
        for change in changes:
            change(gallery)
            seen.append(gallery.about())
        gallery.purge()
        assert gallery.about() == seen[-1]
    assert all(before.changes < after.changes for before, after in pairwise(seen))
    assert (seen[2].dim, seen[2].templates, seen[2].fingerprint) == (4, 2, None)


def test_a_range_search_finds_everybody(new_address: NewAddress) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(400, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors.astype(np.float32)
    names = [f"p{row % 150:03}" for row in range(400)]
    with open_gallery(new_address(), create=True, dim=4) as gallery:
        gallery.enrol(
            [
                (name, v, {"row": row})
                for row, (name, v) in enumerate(zip(names, vectors, strict=True))
            ]
        )
        for query, hits in zip(vectors[:20], gallery.above(vectors[:20], 0.8), strict=True):
            similar = vectors.astype(np.float64) @ query.astype(np.float64)
            assert {hit.identity for hit in hits} == {
                name for name, one in zip(names, similar, strict=True) if one >= 0.8
            }
            assert all(a.similarity >= b.similarity for a, b in pairwise(hits))
        few = gallery.search(vectors[0], 150, where="row < 7")[0]
        assert {hit.identity for hit in few} == set(names[:7])


def test_what_is_enrolled_is_said_of_every_store(new_address: NewAddress) -> None:
    address = new_address()
    with open_gallery(address, create=True, dim=4) as gallery:
        gallery.enrol([("ann", POINTS[0]), ("ann", POINTS[1]), ("bob", POINTS[2])])
    info = gallery_info(address)
    assert (info.identities, info.templates, info.dim) == (2, 3, 4)


def test_a_gallery_belongs_to_its_model(new_address: NewAddress) -> None:
    address = new_address()
    model = SimpleNamespace(fingerprint="abc123", dim=4, path="runs/a/model")
    with open_gallery(address, create=True, model=model) as gallery:
        assert (gallery.fingerprint, gallery.dim) == ("abc123", 4)
        assert gallery.model_path == os.path.abspath("runs/a/model")
    other = SimpleNamespace(fingerprint="fff", dim=4, path="runs/b/model")
    for create in (True, False):
        with pytest.raises(GalleryError, match=r"belongs to the model abc123 .*runs/a/model.* fff"):
            open_gallery(address, create=create, model=other)
    moved = SimpleNamespace(fingerprint="abc123", dim=4, path="elsewhere")
    open_gallery(address, model=moved).close()  # where a model lies does not matter
    open_gallery(address, dim=4).close()  # bare vectors: only their size and length are checked
    with pytest.raises(GalleryError, match="vectors of 4 dimensions, and 5 were asked for"):
        open_gallery(address, dim=5)
    of_none = new_address()
    open_gallery(of_none, create=True, dim=4).close()
    with open_gallery(of_none, model=model) as gallery:
        assert gallery.fingerprint is gallery.model_path is None


def test_read_only_and_closed(new_address: NewAddress) -> None:
    address = new_address()
    with open_gallery(address, create=True, dim=4) as gallery:
        gallery.enrol([("ann", POINTS[0])])
    gallery = open_gallery(address, mode="r")
    for call in (
        lambda: gallery.enrol([("bob", POINTS[1])]),
        lambda: gallery.remove("ann"),
        gallery.purge,
    ):
        with pytest.raises(GalleryError, match="opened with mode='r'"):
            call()
    assert gallery.search(POINTS[0])[0][0].identity == "ann"
    assert gallery.check().templates == 1
    gallery.close()
    gallery.close()
    assert "closed" in repr(gallery)
    with pytest.raises(GalleryError, match="closed; open it again"):
        gallery.search(POINTS[0])
