"""What an evaluation found: every number, what it is, and what exactly it was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest
from arcwise.errors import ImageError
from arcwise.evaluation import (
    Comparison,
    Identification,
    Rate,
    Retrieval,
    SearchThreshold,
    Threshold,
    TwoGalleries,
    Verification,
    search_in_words,
)
from arcwise.evaluation.search_calibration import FPIRS

if TYPE_CHECKING:
    from arcwise.protocols.search import Search

_FOUND = 0.5
"""The share of known probes that a rate has to find to be worth a sentence."""


@dataclass(frozen=True)
class Protocol:
    """A way to measure, and whether these data could be measured so.

    Attributes:
        name: as the field calls it.
        measured: whether it was.
        why: what it was measured on, or what the data lack for it; one line for the user.
    """

    name: str
    measured: bool
    why: str


@dataclass(frozen=True)
class Measure:
    """One number of the table.

    Attributes:
        protocol: the name of the `Protocol` it comes from.
        name: what is measured, say "TAR at FAR 0.01".
        rate: the value with its 95 % interval, and whether the data resolve it.
        definition: what exactly was counted, in words.
        counts: what it rests on, say {"mated pairs": 180, "impostor pairs": 2376}.
        std: the standard deviation over folds, where there are some.
        column: the column that the data were broken down by; empty for all of them.
        group: the group of that column.
    """

    protocol: str
    name: str
    rate: Rate
    definition: str
    counts: Mapping[str, int]
    std: float | None = None
    column: str = ""
    group: str = ""


@dataclass(frozen=True, eq=False)
class Items:
    """What is compared with each other: the pictures, or templates pooled from them.

    Attributes:
        kind: "pictures", "templates", or "vectors" where there are no pictures.
        vectors: (U, D) float32, unit length.
        identities: (U,) str; None where the data set does not know them.
        names: (U,) what a table of pairs calls them: image references, or template names.
        rows: (U,) int64, for each a row of the manifest that shows it: of a template its first.
    """

    kind: str
    vectors: np.ndarray
    identities: np.ndarray | None
    names: Sequence[str]
    rows: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        """(U,) the identities, of a data set that knows them."""
        assert self.identities is not None, "only listed pairs are measured without identities"
        return self.identities


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a list, with their scores by this model.

    Attributes:
        title: of the list, for an error.
        a: (P,) int32, each pair's first item, a position in `Items`.
        b: (P,) int32, its second.
        scores: (P,) float32 cosines.
        same: (P,) bool, whether both are of one identity.
        folds: (P,) labels of the folds; None where the list names none.
        columns: the list's further columns, (P,) text each.
    """

    title: str
    a: np.ndarray
    b: np.ndarray
    scores: np.ndarray
    same: np.ndarray
    folds: np.ndarray | None
    columns: Mapping[str, pa.ChunkedArray]


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Verification of each group of pairs.

    Attributes:
        column: what the pairs are grouped by.
        definition: what puts a pair into a group, in words.
        groups: by name, in their order.
        unmeasured: groups whose pairs are all mated or all impostors, and how many they are.
    """

    column: str
    definition: str
    groups: Mapping[str, Verification]
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ThresholdHere:
    """A threshold that the model was shipped with, and what it does to these data.

    Attributes:
        threshold: as calibrated, with the error rate that it promised.
        far: how many impostor pairs it accepts here.
        tar: how many mated pairs it accepts here.
    """

    threshold: Threshold
    far: Rate
    tar: Rate


@dataclass(frozen=True)
class SearchThresholdHere:
    """A threshold for searches that the model was shipped with, and what it does to these data.

    Attributes:
        threshold: as calibrated, for galleries at least as large as the one here.
        fpir: how many unknown probes it answers here.
        dir: how many known probes it answers rightly here.
    """

    threshold: SearchThreshold
    fpir: Rate
    dir: Rate


@dataclass(frozen=True, eq=False)
class Provenance:
    """What was measured on, the same for all models beside each other.

    Attributes:
        data: the data set's name.
        fingerprint: SHA-256 of the table of what was measured.
        rows: in words, which rows of the data set were taken.
        used: in words, what these identities were used for before; empty for nothing.
        left_out: identities not measured on, because a model was made with them.
        untold: names of the models that do not say what they were made with.
        failures: pictures that could not be read.
        ignored: files that are not pictures.
        pairs: the name of the list of pairs; empty for all pairs.
        seed: of the choice of galleries, and of the intervals.
        versions: of what computed this, by name.
        reused: embeddings that were in the cache.
        notes: what the user should know of how it went, a line each.
        trained_images: how many of the data set's pictures a model was trained on; None where no
            model says. Their identities are left out, where these are known.
    """

    data: str
    fingerprint: str
    rows: str
    used: str
    left_out: int
    untold: tuple[str, ...]
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    pairs: str
    seed: int
    versions: Mapping[str, str]
    reused: int = 0
    notes: tuple[str, ...] = ()
    trained_images: int | None = None


@dataclass(frozen=True, eq=False)
class Beside:
    """Another model on the same pictures.

    Attributes:
        evaluation: what it reached there.
        comparison: of the first model and this one on the same pairs; a difference is what this
            one has more than the first.
        pairs: in words, which pairs these are.
    """

    evaluation: Evaluation
    comparison: Comparison
    pairs: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, on what.

    Attributes:
        model: the model's name.
        fingerprint: SHA-256 of what decides its embeddings; empty where only vectors are known.
        path: where the model is; None where only vectors are known.
        about: what was measured on.
        protocols: every protocol there is: those that fit the data, and why the others do not.
        manifest: the pictures (or vectors) measured on, without those that could not be read.
        vectors: (N, D) their embeddings, a row each.
        items: what the protocols compare: the pictures, or templates of them.
        verification: of the listed pairs, or of all.
        pairs: the listed pairs; None for all pairs.
        breakdowns: verification in groups, a breakdown for each column.
        retrieval: leave one out, or of the data set's own queries in its own gallery; None where
            identities are not known.
        closed: identification with every identity in the gallery; None where no probe has one.
        open: with some identities unknown to the gallery; None where that cannot be.
        search: which items search which, for retrieval and identification; None likewise.
        thresholds: what the model's own thresholds do to these data.
        search_thresholds: the same of those for searches, where strangers search a gallery here.
        measures: every number of the table, resolved or not, in its order.
        beside: other models on the same pictures, in the order they were named.
        report: the page about it; None where none was asked for, or matplotlib or jinja2 are
            missing.
    """

    model: str
    fingerprint: str
    path: Path | None
    about: Provenance
    protocols: tuple[Protocol, ...]
    manifest: Manifest
    vectors: np.ndarray
    items: Items
    verification: Verification
    pairs: Pairs | None
    breakdowns: tuple[Breakdown, ...]
    retrieval: Retrieval | None
    closed: Identification | TwoGalleries | None
    open: Identification | TwoGalleries | None
    search: Search | None
    thresholds: tuple[ThresholdHere, ...]
    search_thresholds: tuple[SearchThresholdHere, ...]
    measures: tuple[Measure, ...]
    beside: tuple[Beside, ...] = ()
    report: Path | None = None

    @property
    def models(self) -> dict[str, Evaluation]:
        """This evaluation and those beside it, by the model's name, this one first."""
        return {one.model: one for one in (self, *(other.evaluation for other in self.beside))}

    @property
    def people(self) -> int | None:
        """How many identities were measured on; None where the data set does not know them."""
        return None if self.items.identities is None else len(self.manifest.classes)

    @cached_property
    def sentence(self) -> str:
        """What a search does to 100 images of either kind, at a rate that serves; "" if unmeasured.

        The lowest false-positive rate that is resolved and at which half of the known probes are
        found; where there is none, the highest.
        """
        if self.open is None:
            return ""
        found = zip(FPIRS, self.open.dirs_at(FPIRS), strict=True)
        rates = [(fpir, rate) for fpir, rate in found if rate.resolved]
        if not rates:
            return ""
        finding = [one for one in rates if one[1] >= _FOUND]
        fpir, rate = min(finding) if finding else max(rates)
        parts = (
            (self.open,)
            if isinstance(self.open, Identification)
            else (self.open.first, self.open.second)
        )
        answered = [part.fpir_with(part.threshold_at(fpir)) for part in parts]
        ends = [(float(one), one.low, one.high) for one in answered]
        value, low, high = np.mean(ends, axis=0).tolist()
        words = search_in_words((rate, rate.low, rate.high), (value, low, high))
        gallery = " and ".join(f"{part.identities:,}" for part in parts)
        enrolled = "" if self.search is None else f" ({self.search.words})"
        return f"In a gallery of {gallery} identities{enrolled}: {words}."

    def rates(self) -> list[tuple[str, Rate]]:
        """The names and values of what was measured on all data and is resolved."""
        return [(m.name, m.rate) for m in self.measures if m.rate.resolved and not m.column]


def sides(
    ids: np.ndarray | None, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """(P,) int32 the identities of both sides of pairs; None where they are not known.

    Identities are numbered, because millions of pairs hold numbers in a fifth of the memory.

    Args:
        ids: (U,) the identity of each item.
        a: (P,) each pair's first item.
        b: (P,) its second.
    """
    if ids is None:
        return None, None
    numbers = np.unique(ids, return_inverse=True)[1].astype(np.int32)
    return numbers[a], numbers[b]
