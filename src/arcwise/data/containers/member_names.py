"""Names of members: one and the same, however it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_ODD = re.compile(r"\\|//|^/|^\./|/\./")


def plain(name: str) -> str:
    """A member's name with forward slashes, none of them at its begin or twice, and no `./`."""
    if not _ODD.search(name):
        return name
    name = name.replace("\\", "/")
    end = "/" if name.endswith("/") else ""
    return "/".join(part for part in name.split("/") if part not in ("", ".")) + end


def spellings(name: str) -> Iterator[str]:
    """How a member may be called that is meant by a name; the name itself first."""
    yield name
    if (short := plain(name)) != name:
        yield short
    if not short.isascii():
        for form in ("NFC", "NFD"):
            yield unicodedata.normalize(form, short)


def alike(names: pa.Array | pa.ChunkedArray, title: str) -> tuple[str, ...]:
    """A note where names differ only in case or Unicode form; none where there are none."""
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
