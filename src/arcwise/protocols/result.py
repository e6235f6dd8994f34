"""What an evaluation found: every number, what it is, and what exactly it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

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
    describe_search,
)
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.protocols.pair_set import PairSet
from arcwise.protocols.search_protocol import SearchProtocol
from arcwise.protocols.template_set import TemplateSet

_MIN_DIR = 0.5
"""The detection rate that an FPIR needs to be worth a sentence."""


@dataclass(frozen=True)
class ProtocolFit:
    """A protocol, and whether it fits the data set.

    Attributes:
        name: of the protocol, as the field calls it.
        measured: whether the data are measured in it.
        why: what is measured in it, or what the data lack for it; one line for the user.
    """

    name: str
    measured: bool
    why: str


@dataclass(frozen=True)
class Metric:
    """One number of the table.

    Attributes:
        protocol: the name of the protocol it comes from.
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
class Breakdown:
    """Verification of each group of pairs.

    Attributes:
        column: what the pairs are grouped by.
        definition: what puts a pair into a group, in words.
        groups: verification by the group's name, in the order of the groups.
        unmeasured: groups whose pairs are all mated or all impostors, and how many they are.
    """

    column: str
    definition: str
    groups: Mapping[str, Verification]
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class GapRetrieval:
    """Retrieval in groups of the gap between the ages of query and mate.

    Attributes:
        column: what the mates are grouped by.
        definition: what is searched, in words.
        groups: retrieval by the group's name, in the order of the groups.
        unmeasured: groups without a mate to find, and why.
    """

    column: str
    definition: str
    groups: Mapping[str, Retrieval]
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AppliedThreshold:
    """A threshold that the model was shipped with, applied to these data.

    Attributes:
        threshold: as calibrated, with the error rate that it promised.
        far: the part of the impostor pairs that it accepts.
        tar: the part of the mated pairs that it accepts.
    """

    threshold: Threshold
    far: Rate
    tar: Rate


@dataclass(frozen=True)
class AppliedSearchThreshold:
    """A threshold for searches that the model was shipped with, applied to these data.

    Attributes:
        threshold: as calibrated, for galleries at least as large as that of these data.
        fpir: the part of the unknown probes that get an answer.
        dir: the part of the known probes that get the right answer.
    """

    threshold: SearchThreshold
    fpir: Rate
    dir: Rate


@dataclass(frozen=True, eq=False)
class Provenance:
    """What was measured on, the same for all models that are compared.

    Attributes:
        data: the data set's name.
        fingerprint: SHA-256 of the table of what was measured.
        rows: which rows of the data set were measured, in words.
        used_before: what these identities were used for before, in words; empty for nothing.
        left_out: identities not measured on, because a model was made with them.
        undeclared: names of the models that do not say what they were made with.
        failures: images that could not be read.
        ignored: files that are not images.
        pairs: the name of the list of pairs; empty for all pairs.
        seed: of the choice of galleries, and of the intervals.
        versions: of what computed this, by name.
        reused: embeddings that were in the cache.
        notes: what the user should know of how it went, a line each.
        trained_images: how many of the data set's images a model was trained on; None where no
            model says. Their identities are left out, where these are known.
    """

    data: str
    fingerprint: str
    rows: str
    used_before: str
    left_out: int
    undeclared: tuple[str, ...]
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    pairs: str
    seed: int
    versions: Mapping[str, str]
    reused: int = 0
    notes: tuple[str, ...] = ()
    trained_images: int | None = None


@dataclass(frozen=True)
class LengthEstimate:
    """How well the lengths of a model's embeddings tell a column; it prints itself.

    Attributes:
        column: its name.
        images: whose number is known.
        r2: share of the column's variance on these images that the model's line explains; negative
            where the mean of the images is nearer.
        error: mean absolute difference, in units of the column.
    """

    column: str
    images: int
    r2: float
    error: float

    def __str__(self) -> str:
        return (
            f"{self.column} by the length: R² {self.r2:.2f}, mean absolute error {self.error:.3g}, "
            f"on {self.images:,} images"
        )


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """Another model on the same data.

    Attributes:
        result: what it reached there.
        comparison: of the first model and this one on the same pairs; a difference is what this
            one has more than the first.
        pairs: which pairs these are, in words.
    """

    result: EvaluationResult
    comparison: Comparison
    pairs: str


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What was measured of one model, on what.

    Attributes:
        model: the model's name.
        fingerprint: SHA-256 of what decides its embeddings; empty where only vectors are known.
        path: where the model is; None where only vectors are known.
        about: what was measured on.
        protocols: every protocol there is: those that fit the data, and why the others do not.
        templates: what the protocols compare: the images (or vectors) measured on, or templates
            pooled from them, without images that could not be read.
        vectors: (N, D) the embeddings of the images, a row each.
        template_vectors: (U, D) those of the templates; the same where nothing is pooled.
        pairs: the listed pairs; where none are listed all pairs, or a sample of them.
        scores: (P,) float32 similarities of these pairs.
        verification: of the listed pairs, or of all.
        breakdowns: verification in groups, a breakdown for each column.
        retrieval: leave one out, or of the data set's own queries in its own gallery; None where
            identities are not known.
        by_age_gap: the same in groups of the gap between the ages of query and mate; None where
            ages are not known either.
        closed: identification with every identity in the gallery; None where no probe has one.
        open: with some identities unknown to the gallery; None where that cannot be.
        search: which templates search which, for retrieval and identification; None likewise.
        thresholds: the model's own thresholds, applied to these data.
        search_thresholds: its own for searches, where unknown probes search a gallery.
        metrics: every number of the table, resolved or not, in its order.
        baselines: other models on the same data, in the order they were named.
        report: the page about it; None where none was asked for, or matplotlib or jinja2 are
            missing.
        estimate: what the lengths of its embeddings tell; None where they tell nothing, or not what
            the data hold.
    """

    model: str
    fingerprint: str
    path: Path | None
    about: Provenance
    protocols: tuple[ProtocolFit, ...]
    templates: TemplateSet
    vectors: np.ndarray
    template_vectors: np.ndarray
    pairs: PairSet
    scores: np.ndarray
    verification: Verification
    breakdowns: tuple[Breakdown, ...]
    retrieval: Retrieval | None
    by_age_gap: GapRetrieval | None
    closed: Identification | TwoGalleries | None
    open: Identification | TwoGalleries | None
    search: SearchProtocol | None
    thresholds: tuple[AppliedThreshold, ...]
    search_thresholds: tuple[AppliedSearchThreshold, ...]
    metrics: tuple[Metric, ...]
    baselines: tuple[BaselineResult, ...] = ()
    report: Path | None = None
    estimate: LengthEstimate | None = None

    @property
    def manifest(self) -> Manifest:
        """The rows measured on."""
        return self.templates.manifest

    @property
    def models(self) -> dict[str, EvaluationResult]:
        """This result and those of the baselines, by the model's name, this one first."""
        return {one.model: one for one in (self, *(other.result for other in self.baselines))}

    @property
    def identity_count(self) -> int | None:
        """How many identities were measured on; None where the data set does not know them."""
        return None if self.templates.identities is None else len(self.manifest.classes)

    @cached_property
    def sentence(self) -> str:
        """What a search does to 100 known and 100 unknown images, in words; "" if not measured.

        It is said of the lowest false-positive rate that is resolved and at which half of the known
        probes are found; where there is none, of the highest.
        """
        if self.open is None:
            return ""
        dirs = zip(FPIRS, self.open.dirs_at(FPIRS), strict=True)
        resolved = [(fpir, dir_) for fpir, dir_ in dirs if dir_.resolved]
        if not resolved:
            return ""
        sufficient = [(fpir, dir_) for fpir, dir_ in resolved if dir_ >= _MIN_DIR]
        fpir, dir_ = min(sufficient) if sufficient else max(resolved)
        parts = (
            (self.open,)
            if isinstance(self.open, Identification)
            else (self.open.first, self.open.second)
        )
        answered = [part.fpir_with(part.threshold_at(fpir)) for part in parts]
        ends = [(float(one), one.low, one.high) for one in answered]
        value, low, high = np.mean(ends, axis=0).tolist()
        words = describe_search((dir_, dir_.low, dir_.high), (value, low, high))
        gallery = " and ".join(f"{part.identities:,}" for part in parts)
        enrolled = "" if self.search is None else f" ({self.search.description})"
        return f"In a gallery of {gallery} identities{enrolled}: {words}."

    def rates(self) -> list[tuple[str, Rate]]:
        """Return the names and values of what was measured on all data and is resolved."""
        return [(m.name, m.rate) for m in self.metrics if m.rate.resolved and not m.column]
