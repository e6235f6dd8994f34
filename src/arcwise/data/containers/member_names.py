"""Names of members in an archive, each the same however it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_ODD = re.compile(r"\\|//|^/|^\./|/\./")


def plain_name(name: str) -> str:
    """Return a member's name with single forward slashes, none at its begin, and no `./`."""
    if not _ODD.search(name):
        return name
    name = name.replace("\\", "/")
    end = "/" if name.endswith("/") else ""
    return "/".join(part for part in name.split("/") if part not in ("", ".")) + end


def name_spellings(name: str) -> Iterator[str]:
    """Yield the spellings that a member of this name may have, the name itself first."""
    yield name
    if (short := plain_name(name)) != name:
        yield short
    if not short.isascii():
        for form in ("NFC", "NFD"):
            yield unicodedata.normalize(form, short)


def alike_notes(names: pa.Array | pa.ChunkedArray, title: str) -> tuple[str, ...]:
    """Return a note where names differ only in case or Unicode form; none where there are none."""
    texts = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    lower = pc.utf8_lower(pc.utf8_normalize(texts, form="NFC")).dictionary_encode()
    count = len(lower) - len(lower.dictionary)
    if not count:
        return ()
    codes = pc.value_counts(lower.indices)
    often = codes.filter(pc.greater(codes.field("counts"), 1)).field("values")[0]
    rows = pc.indices_nonzero(pc.equal(lower.indices, often))[:2]
    first, second = texts.take(rows).to_pylist()
    return (
        f"{title}: {count:,} names differ from another only in case or Unicode form, the first "
        f"are {first!r} and {second!r}; each is read as it is written",
    )
