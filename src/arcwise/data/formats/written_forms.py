"""One written form for each identity of a data set, whichever reader read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute

from arcwise.data.manifest import Manifest
from arcwise.identity import identity_key, written_form

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_TRIMMED = ("domain", "split")
_SHOWN = 3
_MEND = (
    "if they are different, give them names that differ in more than Unicode form, blanks or zeros"
)


def with_one_form_each(manifest: Manifest) -> Manifest:
    """Return the manifest with one written form for each identity, domain and split.

    Identities that `arcwise.identity` takes for one get the form that most of their rows have, and
    a note lists them. All others stay as they are written (`001` stays `001`), but for
    NFC and blanks at the ends.
    """
    table, notes = manifest.table, manifest.notes
    if "identity" in table.column_names:
        forms, merged = _forms(_counts(table.column("identity")), identity_key)
        table = _renamed(table, "identity", forms)
        if merged:
            notes = (*notes, f"{_merged_note('identities', merged)}; {_MEND}")
    for name in _TRIMMED:
        if name in table.column_names and pa.types.is_string(table.column(name).type):
            forms, merged = _forms(_counts(table.column(name)), written_form)
            table = _renamed(table, name, forms)
            if merged:
                notes = (*notes, _merged_note(f"{name}s", merged))
    return manifest if table is manifest.table else replace(manifest, table=table, notes=notes)


def _forms(
    counts: Mapping[str, int], key: Callable[[str], str]
) -> tuple[dict[str, str], list[list[str]]]:
    """Return the form that each written one becomes, and the groups of several that became one.

    Args:
        counts: how often each is written.
        key: what the forms of one have in common.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for form in counts:
        groups[key(form) or form].append(form)
    forms: dict[str, str] = {}
    for group in groups.values():
        most = max(sorted(group), key=lambda one: counts[one])
        forms |= dict.fromkeys(group, _tidy(most))
    return forms, sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how many rows have each value."""
    pairs = pc.value_counts(column)
    values, counts = pairs.field("values").to_pylist(), pairs.field("counts").to_pylist()
    return {one: count for one, count in zip(values, counts, strict=True) if one is not None}


def _tidy(text: str) -> str:
    """Return the written form; the text itself where nothing would be left."""
    return written_form(text) or text


def _renamed(table: pa.Table, name: str, forms: Mapping[str, str]) -> pa.Table:
    """Return the table with a column's values replaced; the table itself where none changes."""
    if all(old == new for old, new in forms.items()):
        return table
    column = table.column(name).cast(pa.string())
    old, new = pa.array(forms.keys(), pa.string()), pa.array(forms.values(), pa.string())
    return table.set_column(
        table.column_names.index(name), name, new.take(pc.index_in(column, value_set=old))
    )


def _merged_note(what: str, merged: list[list[str]]) -> str:
    """Return a note on forms that became one; those that look alike are written with escapes."""
    shown = []
    for group in merged[:_SHOWN]:
        alike = len(set(map(_tidy, group))) < len(group)
        shown.append(" = ".join(map(ascii if alike else repr, group)))
    more = f" and {len(merged) - _SHOWN:,} more" if len(merged) > _SHOWN else ""
    return f"{what} written in several forms, each taken as one: {', '.join(shown)}{more}"
