"""Which rows of a data set are measured: what its `split` says."""

from __future__ import annotations

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

ALL = "all rows"
"""What was taken where no `split` says otherwise."""

GALLERY = "gallery"
TWO = ("gallery1", "gallery2")
QUERY = ("query", "probe")


def rows_to_measure(manifest: Manifest) -> tuple[Manifest, str]:
    """The manifest of the rows to measure on, and in words which they are.

    Galleries and the queries to them come first, then "test", then whatever is not "train".

    Raises:
        ArcwiseError: there is only "train", or galleries without queries, or queries without.
    """
    splits = manifest.column("split")
    if splits is None:
        return manifest, ALL
    found = {value for value in splits if value}
    galleries = found & {GALLERY, *TWO}
    if galleries or found & set(QUERY):
        if galleries not in ({GALLERY}, set(TWO)) or not found & set(QUERY):
            raise ArcwiseError(
                f"{manifest.name}: split is {_listed(found)}; expected 'gallery' (or 'gallery1' "
                "and 'gallery2') together with 'query' or 'probe'"
            )
        wanted = galleries | (found & set(QUERY))
    elif "test" in found:
        wanted = {"test"}
    elif wanted := found - {"train"}:
        pass
    elif found:
        raise ArcwiseError(
            f"{manifest.name}: split is 'train' in every row; expected rows to measure on: 'test', "
            "or 'gallery' and 'query'"
        )
    else:
        return manifest, ALL
    rows = [row for row, value in enumerate(splits) if value in wanted]
    return manifest.select(rows), f"rows of split {_listed(wanted)}"


def _listed(values: set[str]) -> str:
    return ", ".join(repr(value) for value in sorted(values))
