"""What a user does with a gallery, and what it refuses."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import Hit, open_gallery

MODEL = SimpleNamespace(fingerprint="abc123", dim=16, path="runs/a/model")


def test_enrolled_identities_are_found_with_their_metadata(path, unit):
    vectors = unit(3)
    with open_gallery(path, create=True, dim=16) as gallery:
        receipt = gallery.enrol([("ann", vectors[0], {"shelf": 4}), ("bob", vectors[1])])
        assert receipt.templates == (1, 2)
        assert len(receipt) == len(gallery) == 2
        (hits,) = gallery.search(vectors[0], k=5)
        assert [hit.identity for hit in hits] == ["ann", "bob"]
        assert hits[0] == Hit("ann", pytest.approx(1, abs=1e-6), 1, {"shelf": 4})
        assert hits[1].metadata == {}
        assert hits[1].similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)


def test_one_list_of_hits_a_query_and_one_for_a_single_vector(path, unit):
    vectors = unit(4)
    with open_gallery(path, create=True, dim=16) as gallery:
        assert gallery.search(vectors) == [[], [], [], []]
        gallery.enrol([(f"p{row}", vector) for row, vector in enumerate(vectors)])
        assert [hits[0].identity for hits in gallery.search(vectors, k=1)] == [
            "p0", "p1", "p2", "p3",
        ]  # fmt: skip
        assert gallery.search(vectors[2], k=2) == [gallery.search(vectors, k=2)[2]]
        assert gallery.search(np.empty((0, 16))) == []


def test_the_similarity_is_the_cosine_even_of_vectors_whose_length_is_a_little_off(path, unit):
    a, b = unit(2).astype(np.float64)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("long", a * 1.0009), ("short", a * 0.9991)])
        hits = gallery.search(b * 0.9995)[0]
        assert [hit.similarity for hit in hits] == pytest.approx([a @ b, a @ b], abs=1e-6)


def test_verify_takes_the_closest_template(path, unit):
    vectors = unit(4)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("ann", vector) for vector in vectors[:3]])
        verified = gallery.verify("ann", vectors[3])
        assert verified.templates == 3
        assert verified.similarity == pytest.approx(max(vectors[:3] @ vectors[3]), abs=1e-6)
        assert verified.similarity == gallery.search(vectors[3])[0][0].similarity


def test_an_unknown_identity_is_an_error_that_suggests_a_close_one(path, unit):
    (vector,) = unit(1)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("annabel", vector)])
        with pytest.raises(GalleryError, match="'anabel' is not enrolled; did you mean 'annabel'"):
            gallery.verify("anabel", vector)
        with pytest.raises(GalleryError, match="'zzz' is not enrolled"):
            gallery.remove("zzz")
        with pytest.raises(GalleryError, match="not enrolled"):
            gallery.verify(None, vector)


def test_removed_identities_are_gone_and_their_ids_are_not_used_again(path, unit):
    vectors = unit(4)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("ann", vectors[0]), ("bob", vectors[1]), ("ann", vectors[2])])
        assert gallery.remove("ann") == 2
        assert gallery.identities() == ["bob"]
        assert [hit.identity for hit in gallery.search(vectors[0])[0]] == ["bob"]
        assert gallery.remove("bob") == 1
        assert gallery.search(vectors[0]) == [[]]
        assert gallery.enrol([("ann", vectors[3])]).templates == (4,)


def test_replace_removes_the_old_templates_of_the_batch_and_of_nobody_else(path, unit):
    vectors = unit(6)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("ann", vectors[0]), ("ann", vectors[1]), ("bob", vectors[2])])
        receipt = gallery.enrol([("ann", vectors[3]), ("ann", vectors[4])], replace=True)
        assert (receipt.templates, receipt.replaced) == ((4, 5), 2)
        assert gallery.verify("ann", vectors[0]).templates == 2
        assert gallery.verify("bob", vectors[2]).similarity == pytest.approx(1, abs=1e-6)


def test_everything_is_there_again_after_reopening(path, unit):
    vectors = unit(9)
    with open_gallery(path, create=True, model=MODEL) as gallery:
        gallery.enrol([(f"p{row % 4} é\0", v, {"row": row}) for row, v in enumerate(vectors)])
        gallery.remove("p2 é\0")
        before = gallery.search(vectors)
    assert os.listdir(path.parent) == [path.name]  # one file, nothing beside it
    with open_gallery(path) as gallery:
        assert gallery.search(vectors) == before
        assert (gallery.dim, gallery.fingerprint) == (16, "abc123")
        assert gallery.model_path == os.path.abspath("runs/a/model")
        health = gallery.check()
        assert (health.templates, health.identities) == (7, 3)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("bad", np.full(16, np.nan)), r"item 1 \('bad'\): the vector holds a NaN"),
        (("bad", np.full(16, 1e300)), r"item 1 \('bad'\): the vector holds a NaN or an infinity"),
        (("bad", np.zeros(16)), r"item 1 \('bad'\): the vector has length 0; expected 1"),
        (("bad", np.full(16, 0.2502)), None),
        (("bad", np.full(16, 0.2503)), r"length 1\.001; expected 1: divide it by its length"),
        (("bad", np.ones(3)), r"item 1 \('bad'\): the vector has the shape \(3,\)"),
        (("bad", np.ones((1, 16)) / 4), r"shape \(1, 16\)"),
        (("bad", ["x"] * 16), r"item 1 \('bad'\): expected an array of real numbers"),
        (("bad", [[1], [2, 3]]), r"item 1 \('bad'\): expected an array of real numbers"),
        (("", np.full(16, 0.25)), "item 1: the identity is ''"),
        (("  ", np.full(16, 0.25)), "item 1: the identity is '  '"),
        ((7, np.full(16, 0.25)), "item 1: the identity is 7"),
        (("\ud800", np.full(16, 0.25)), "item 1: the identity .* is not text"),
        (("bad", np.full(16, 0.25), {1: 2}), "metadata is an object with string keys"),
        (("bad", np.full(16, 0.25), [1]), "metadata is an object with string keys"),
        (("bad", np.full(16, 0.25), {"a": np.nan}), "cannot be written as JSON"),
        (("bad", np.full(16, 0.25), {"a": {1, 2}}), "cannot be written as JSON"),
        (("bad",), r"item 1 is tuple; expected \(identity, vector\)"),
        ("bad", "item 1 is str"),
    ],
)
def test_one_bad_item_refuses_the_whole_batch(path, unit, item, message):
    with open_gallery(path, create=True, dim=16) as gallery:
        items = [("good", unit(1)[0]), item, ("good", unit(1)[0])]
        if message is None:
            assert len(gallery.enrol(items)) == 3
            return
        with pytest.raises(GalleryError, match=message):
            gallery.enrol(items)
        assert len(gallery) == 0
        assert gallery.check().templates == 0


def test_a_batch_that_breaks_while_it_is_read_leaves_nothing(path, unit):
    def items():
        yield "ann", unit(1)[0]
        raise KeyboardInterrupt

    with open_gallery(path, create=True, dim=16) as gallery:
        with pytest.raises(KeyboardInterrupt):
            gallery.enrol(items())
        assert len(gallery) == 0
        assert gallery.enrol([]).templates == ()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.ones(5), r"shape \(1, 5\); this gallery takes \(N, 16\)"),
        (np.ones((2, 2, 16)), r"shape \(2, 2, 16\)"),
        (np.float32(1), r"shape \(1, 1\)"),
        ([[0.25] * 16, [1.0] * 16], "query 1: the vector has length 4; expected 1"),
        ([[np.inf] * 16, [0.25] * 16], "query 0: the vector holds a NaN or an infinity"),
    ],
)
def test_bad_queries_are_refused(path, query, message):
    with (
        open_gallery(path, create=True, dim=16) as gallery,
        pytest.raises(GalleryError, match=message),
    ):
        gallery.search(query)


@pytest.mark.parametrize("k", [0, -1, 2.5, None])
def test_k_is_a_count(path, unit, k):
    with (
        open_gallery(path, create=True, dim=16) as gallery,
        pytest.raises(GalleryError, match=r"k is .* 1 or more"),
    ):
        gallery.search(unit(1), k=k)


def test_verify_compares_one_vector(path, unit):
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("ann", unit(1)[0])])
        with pytest.raises(GalleryError, match="one vector; got 2"):
            gallery.verify("ann", unit(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is no such gallery; `arcwise enrol GALLERY"),
        ({"create": True}, "needs model=..., or dim=..."),
        ({"create": True, "dim": 0}, "dim is 0"),
        ({"create": True, "dim": 1.5}, "dim is 1.5"),
        ({"create": True, "dim": 8, "model": MODEL}, "dim is 8 and the model's vectors have 16"),
        ({"create": True, "model": "runs/a/model"}, r"expected a loaded model: arcwise.load"),
        ({"create": True, "dim": 16, "mode": "r"}, "choose one"),
        ({"mode": "w"}, "expected 'rw' or 'r'"),
    ],
)
def test_openings_that_are_refused_create_nothing(path, options, message):
    with pytest.raises(GalleryError, match=message):
        open_gallery(path, **options)
    assert not os.listdir(path.parent)


def test_a_missing_folder_and_an_address_of_another_kind_are_refused(path):
    with pytest.raises(GalleryError, match=r"the folder .* does not exist"):
        open_gallery(path / "deeper", create=True, dim=16)
    with pytest.raises(GalleryError, match="redis:// addresses are not supported"):
        open_gallery("redis://host:6379/shop", create=True, dim=16)


def test_a_new_gallery_has_the_settings_it_promises(path):
    with open_gallery(path, create=True, dim=16) as gallery:
        connection = gallery._file._connection
        for name, value in {
            "page_size": 16384,
            "journal_mode": "wal",
            "synchronous": 2,
            "secure_delete": 1,
            "application_id": 0x41726377,
        }.items():
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)
