"""Written forms of one identity are one in every call, also in galleries that hold several."""

from __future__ import annotations

import sqlite3

import pytest

from arcwise.gallery import open_gallery, vectors

pytestmark = pytest.mark.filterwarnings("ignore:.*equal numbers are one identity")

NFC, NFD = "Jos\u00e9", "Jose\u0301"
PAIRS = [(NFC, NFD), (NFD, NFC), ("ann", " ann\u3000"), ("7", "007"), ("7.0", "7")]


@pytest.fixture
def older(path, unit, monkeypatch):
    """A gallery that keeps names as they are given, with both forms of one and another name."""
    with monkeypatch.context() as patch:
        patch.setattr(vectors, "written_form", str)
        with open_gallery(path, create=True, dim=16) as gallery:
            a, b, c = unit(3)
            gallery.enrol([(NFD, a), (NFC, b), ("007", c), ("7", a), ("Ann", b)])
    return path


@pytest.mark.parametrize(("enrolled", "asked"), PAIRS)
def test_one_identity(path, unit, enrolled, asked):
    a, b = unit(2)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([(enrolled, a)])
        gallery.enrol([(asked, b)])
        assert len(gallery.identities()) == 1
        assert gallery.verify(asked, b).templates == 2
        assert len(gallery.search(a)[0]) == 1
        assert gallery.check().identities == 1
    with open_gallery(path) as gallery:
        assert gallery.remove(asked) == 2
        assert len(gallery) == 0


@pytest.mark.parametrize(("enrolled", "asked"), PAIRS)
def test_replacing(path, unit, enrolled, asked):
    a, b = unit(2)
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([(enrolled, a)])
        assert gallery.enrol([(asked, b), (enrolled, a)], replace=True).replaced == 1
        assert len(gallery) == 2


def test_what_is_stored_and_shown(path, unit):
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([(f" {NFD} ", unit(1)[0])])
        assert gallery.identities() == [NFC]
    (stored,) = sqlite3.connect(path).execute("SELECT identity FROM templates").fetchone()
    assert stored == NFC


def test_the_form_enrolled_first_is_shown(path, unit):
    with open_gallery(path, create=True, dim=16) as gallery:
        gallery.enrol([("007", unit(1)[0]), ("7", unit(2)[1])])
        assert gallery.identities() == ["007"]
        assert gallery.forms("7.0") == ["007", "7"]
        assert gallery.forms("8") == []
        assert gallery.counts() == {"007": 2}
        assert gallery.size().templates == 2


def test_a_deletion_deletes_all_forms_in_an_older_gallery(older):
    with open_gallery(older) as gallery:
        assert gallery.identities() == ["007", "Ann", NFC]
        assert gallery.remove(NFC) == 2
        assert gallery.forms("7") == ["007", "7"]
        assert gallery.remove("7") == 2
        assert gallery.identities() == ["Ann"]
    content = older.read_bytes()
    assert NFD.encode() not in content
    assert NFC.encode() not in content


def test_an_older_gallery_is_sound(older, unit):
    with open_gallery(older, mode="r") as gallery:
        assert (gallery.check().templates, gallery.check().identities) == (5, 3)
        assert gallery.search(unit(1)[0], k=9)[0][0].identity in ("007", NFC)
        assert len(gallery.metadata(NFD)) == 2


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\u3000\ufeff", "\0"])
def test_no_name_is_no_identity(path, unit, blank):
    with (
        open_gallery(path, create=True, dim=16) as gallery,
        pytest.raises(ValueError, match="not blank"),
    ):
        gallery.enrol([(blank, unit(1)[0])])


def test_numbers_that_are_joined_are_named(path, unit):
    a, b, c = unit(3)
    with open_gallery(path, create=True, dim=16) as gallery:
        with pytest.warns(UserWarning, match="'1.0' goes to '1'$"):
            gallery.enrol([("1", a), ("1.0", b), (NFC, c), (NFD, c)])
        with pytest.warns(UserWarning, match="'01' goes to '1'$"):
            gallery.enrol([("01", a), ("1", a), ("2", b), (NFD, c)])
