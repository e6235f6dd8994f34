"""Every identity of a data set has one written form, and what became one is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.digests import identity_digest, possible_digests, text_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.data_check import check

AFolder = Callable[..., Path]
NFC, NFD = "Jos\u00e9", "Jose\u0301"


@pytest.fixture
def table(a_folder: AFolder, tmp_path: Path) -> Callable[..., Path]:
    """A maker of a table with an image for each of these identities and domains."""

    def make(*identities: str, domains: tuple[str, ...] = (), name: str = "set.csv") -> Path:
        a_folder(*(f"{row}.png" for row in range(len(identities))))
        lines = [
            f'photos/{row}.png,"{one}","{domains[row] if domains else "d"}"'
            for row, one in enumerate(identities)
        ]
        path = tmp_path / name
        path.write_text("\n".join(["image,identity,domain", *lines, ""]), encoding="utf-8")
        return path

    return make


def test_forms_become_the_most_frequent_one(table: Callable[..., Path]) -> None:
    found = open_manifest(table("x1", NFD, NFC, NFD, "007", "7", "7.0", "007"))
    assert found.identities == ["x1", NFC, NFC, NFC, "007", "007", "007", "007"]
    (note,) = found.notes
    assert note.startswith("identities written in several forms")
    assert "'007' = '7' = '7.0'" in note
    assert r"'Jos\xe9' = 'Jose\u0301'" not in note.partition(":")[0]
    assert r"'Jose\u0301'" in note


def test_one_form_stays_as_it_is_written(table: Callable[..., Path]) -> None:
    found = open_manifest(table("001", "0012A", " ann ", NFD, "002.0"))
    assert found.identities == ["001", "0012A", "ann", NFC, "002.0"]
    assert found.notes == ()


def test_domains_without_blanks(table: Callable[..., Path]) -> None:
    found = open_manifest(table("a", "b", "c", domains=("shop", " shop", "shop\u00a0")))
    assert found.column("domain") == ["shop"] * 3
    (note,) = found.notes
    assert note.startswith("domains written in several forms")
    assert r"' shop' = 'shop' = 'shop\xa0'" in note


def test_folders(a_folder: AFolder) -> None:
    found = open_manifest(a_folder("1/a.png", "001/a.png", "2/a.png"))
    assert found.classes == ["001", "2"]
    assert "'001' = '1'" in found.notes[0]


def test_digests() -> None:
    assert identity_digest("001") == identity_digest(" 1.0") == text_digest("1")
    assert identity_digest(NFC) == identity_digest(NFD)
    assert identity_digest("1") != identity_digest("1e0")
    for older in ("001", "1", "1.0", "0000001"):
        assert text_digest(older) in possible_digests("1")
    assert text_digest(NFD) in possible_digests(NFC)


def test_other_data_sets_are_compared_by_what_is_meant(table: Callable[..., Path]) -> None:
    report = check(table("1", NFC, "x"), against=[table("001", NFD, "y", name="b.csv")])
    assert report.shared == ("001", NFC)
    assert report.mislabelled == [report.duplicates[2]]  # x and y, but not 1 and 001


def test_numbers_of_another_data_set_may_be_others(table: Callable[..., Path]) -> None:
    first, second = table("0", "1", "x"), table("00", "1", "y", name="b.csv")
    report = check(first, against=[second])
    assert report.shared == ("0", "1")
    assert "bare numbers" in report.notes[-1]
    report = check(first, against=[second], other_identities=True)
    assert report.shared == ()
    assert len(report.mislabelled) == 3
    assert report.notes == ()
