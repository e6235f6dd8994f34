"""Which written forms are one identity, and which are not."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.identity import identity_key, is_bare_number, older_forms, written_form

ONE = {
    "unicode": ("Jos\u00e9", "Jose\u0301"),
    "hangul": ("\ud55c", "\u1112\u1161\u11ab"),
    "blanks": ("ann", " ann", "ann\t", "\u00a0ann\u3000", "ann\r\n"),
    "invisible": ("ann", "\ufeffann", "ann\u200b", "\u200eann\u2060", "ann\0"),
    "number": ("1", "001", "1.0", "1.", "+1", "01.00", " 1 ", "\uff11", "\u0661", "1.\uff10"),
    "zero": ("0", "000", "0.0", "-0", "-0.0"),
    "negative": ("-1", "-1.0", "-01"),
    "nested": ("fruit/1", "fruit/001", " fruit / 1.0 "),
}
APART = (
    ("1", "10", "-1", "1.5", "1e0", "0x1", "1_0", "1,0", "1.0.0", "1..", ".1", "\u00b9", "I"),
    ("0012A", "12A"),
    ("1e3", "1000"),
    ("ann", "Ann", "a nn", "a\u200bnn", "ann.", "\uff41nn"),
    ("1.10", "1.1"),
    ("n000001", "n1"),
    ("a/b", "b", "a"),
)


@pytest.mark.parametrize("forms", ONE.values(), ids=ONE)
def test_forms_of_one(forms: tuple[str, ...]) -> None:
    assert len(set(map(identity_key, forms))) == 1


@pytest.mark.parametrize("names", APART, ids=lambda names: names[0])
def test_different_ones(names: tuple[str, ...]) -> None:
    assert len(set(map(identity_key, names))) == len(names)


@given(st.text())
def test_normal_forms_stay(text: str) -> None:
    assert written_form(written_form(text)) == written_form(text)
    assert identity_key(identity_key(text)) == identity_key(written_form(text))
    assert identity_key(unicodedata.normalize("NFD", text)) == identity_key(text)


def test_a_shown_form_keeps_its_zeros() -> None:
    assert written_form(" 001\u200b") == "001"
    assert written_form("\u200b\u3000") == ""


def test_bare_numbers() -> None:
    assert all(map(is_bare_number, ("7", "007", "7.0", "-1")))
    assert not any(map(is_bare_number, ("", "a7", "7/8", "7.5", "-")))


def test_older_forms_of_a_number() -> None:
    assert {"7", "07", "0000007", "7.0"} <= older_forms("007")


def test_a_long_name_takes_no_time() -> None:
    start = time.perf_counter()
    for text in ("0" * 10**5 + "x", "1" * 10**5 + "x", "1." + "0" * 10**5 + "1", "9" * 10**5):
        identity_key(text)
    assert time.perf_counter() - start < 1
