"""What exactly was measured, on what, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from arcwise.evaluation.intervals import DRAWS
from arcwise.report import Facts
from arcwise.report.sections import Cell
from arcwise.verbs.evaluate_report.tables import everywhere

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

DRAWN = (
    f"95 %, from drawing identities with replacement ({DRAWS} draws), because pairs of one person "
    "are not independent; Wilson's where nothing, or everything, goes wrong"
)
ALONE = (
    "95 %, Wilson's (of the area under the ROC, Hanley and McNeil's), which take the pairs for "
    "independent: too narrow if one person is in many, and who is in them is not known"
)

_LETTERS = 16  # of a fingerprint; results.json has it whole


def measured_on(result: Evaluation) -> Facts:
    """Return the data, who was left out and why, and with what it can be done again."""
    about = result.about
    known = result.path is not None and result.people is not None
    items: list[tuple[str, Cell]] = [
        ("data", f"{about.data}, {about.rows}"),
        (rows_are(result), len(result.manifest)),
        ("identities", "not known" if result.people is None else result.people),
        ("identities left out, because a model was made with them", about.left_out),
        ("images that a model was trained on", _known(about.trained_images)),
        ("used before", about.used or ("never" if known else "not known")),
        ("pictures that could not be read", len(about.failures)),
        ("files that are no pictures", len(about.ignored)),
        ("gallery", "none" if result.search is None else result.search.words),
        ("table of pairs", about.pairs or "none: every pair"),
        ("mated and impostor pairs", _pairs(result)),
        ("seed", about.seed),
    ]
    if result.items.kind == "templates":
        items.insert(2, ("templates", len(result.items.names)))
    for name, one in result.models.items():
        items.append((f"model {name}", _short(one.fingerprint) or "not known"))
    items.append(("fingerprint of the data", _short(about.fingerprint)))
    items.append(("computed with", ", ".join(f"{k} {v}" for k, v in about.versions.items())))
    return Facts("Measured on", items, " ".join(about.notes))


def _known(count: int | None) -> Cell:
    return "not known" if count is None else count


def rows_are(result: Evaluation) -> str:
    """Return what the rows of the data are."""
    return "pictures" if result.manifest.has_images else "vectors"


def protocols(result: Evaluation) -> Facts:
    """Return which protocols fit the data, and why the others do not."""
    items = [
        (one.name, one.why if one.measured else f"not measured: {one.why}")
        for one in result.protocols
    ]
    return Facts("Protocols", items)


def definitions(result: Evaluation) -> Facts:
    """Return what each number counts, and the conventions of all of them."""
    said: dict[str, tuple[list[str], str]] = {}
    for measure in everywhere(result):
        names, _ = said.setdefault(measure.definition, ([], counted(measure.counts)))
        names.append(measure.name.partition(",")[0])
    items: list[tuple[str, Cell]] = [
        (" · ".join(names), f"{definition}. Rests on {counts}.")
        for definition, (names, counts) in said.items()
    ]
    items += [
        ("accepted", "a similarity at or above the threshold; of equal ones the wrong comes first"),
        ("similarity", "cosine of the angle between two embeddings"),
        ("interval", DRAWN if result.people is not None else ALONE),
        ("resolved", "at least ten impostors would pass by chance at the error rate in question"),
    ]
    return Facts("How it is defined", items)


def counted(counts: Mapping[str, int]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _pairs(result: Evaluation) -> str:
    found = result.verification
    return f"{len(found.mated):,} and {found.impostors:,}"


def _short(fingerprint: str) -> str:
    return fingerprint[:_LETTERS]
