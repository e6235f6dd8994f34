"""The objective section of a config: which loss is trained, and every number of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from arcwise.errors import ArcwiseError, suggestion
from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    DynamicArcFace,
    ElasticFace,
    MagFace,
    NormSoftmax,
    SphereFace,
)
from arcwise.softmax import GradientPrecision, ImplementationName
from arcwise.training.loss_terms import (
    BETWEEN_SAMPLES,
    OF_CENTRES,
    OF_SETS,
    TERMS,
    AtLeastOne,
    CentreLossConfig,
    CircleConfig,
    ContrastiveConfig,
    InterConfig,
    IntraConfig,
    LengthConfig,
    NotNegative,
    Positive,
    SetTripletConfig,
    Share,
    SupervisedContrastiveConfig,
    TripletConfig,
)
from arcwise.training.section import expect, section

CentreMargin = (
    NormSoftmax
    | SphereFace
    | CosFace
    | ArcFace
    | Combined
    | AdaFace
    | MagFace
    | CurricularFace
    | ElasticFace
    | DynamicArcFace
)

MARGINS: dict[str, CentreMargin] = {
    "normsoftmax": NormSoftmax(),
    "sphereface": SphereFace(),
    "cosface": CosFace(),
    "arcface": ArcFace(),
    "combined": Combined(1.0, 0.3, 0.2),
    "adaface": AdaFace(),
    "magface": MagFace(),
    "curricularface": CurricularFace(),
    "elasticface": ElasticFace(),
    "dynamicarcface": DynamicArcFace(),
}
"""The losses over class centres by name, with the numbers of their papers."""


SEMI_SIAMESE = "semi-siamese"

SHORT_NAMES = {
    "cm1": "combined@1,0.3,0.2",
    "cm2": "combined@0.9,0.4,0.15",
    "triplet-euclidean": "triplet@0.2,distance=euclidean",
    "sv-softmax": "sv-normsoftmax",
    "mv-softmax": "mv-normsoftmax",
}
"""Names of losses with their numbers, as their papers have them."""

_REWEIGHTED: dict[str, dict[str, Any]] = {
    "sv-": {"sv_t": 1.2, "sv_form": "adaptive"},
    "mv-": {"sv_t": 1.2, "sv_form": "fixed"},
}


@section("objective")
class Terms:
    """The terms of a weighted sum, None for those that are not in it."""

    triplet: TripletConfig | None = None
    contrastive: ContrastiveConfig | None = None
    circle: CircleConfig | None = None
    supervised_contrastive: SupervisedContrastiveConfig | None = None
    set_triplet: SetTripletConfig | None = None
    intra: IntraConfig | None = None
    inter: InterConfig | None = None
    centre: CentreLossConfig | None = None
    length: LengthConfig | None = None

    @property
    def loss(self) -> str:
        """The name of the loss, terms joined by a plus sign."""
        return "+".join(name.replace("_", "-") for name in self.terms())

    def terms(self) -> dict[str, Any]:
        """Return the settings of the terms that are there, by name."""
        found = {name: getattr(self, name) for name in TERMS}
        return {name: one for name, one in found.items() if one is not None}

    @property
    def between_samples(self) -> bool:
        """Whether several images of an identity in a batch are needed."""
        return any(name in BETWEEN_SAMPLES for name in self.terms())

    @property
    def of_sets(self) -> bool:
        """Whether batches of whole sets of images are needed."""
        return any(name in OF_SETS for name in self.terms())

    def settled(self, changes: Mapping[str, Any]) -> tuple[Terms, dict[str, Any]]:
        """Return the objective of the loss that changes name, and the changes of its fields."""
        left = dict(changes)
        base = with_loss(self, str(left.pop("loss"))) if "loss" in left else self
        added: dict[str, Any] = {
            name: kind()
            for name, kind in TERMS.items()
            if isinstance(left.get(name), Mapping) and getattr(base, name) is None
        }
        return replace(base, **added), left


@section("objective")
class PairsConfig(Terms):
    """A loss between the samples of a batch, without class centres."""

    def __post_init__(self) -> None:
        terms = self.terms()
        if not (self.between_samples or self.of_sets):
            raise ArcwiseError(
                f"training config: objective.loss={self.loss!r} is added to another loss; expected "
                f"one such as arcface+{self.loss or 'intra'}"
            )
        if lacking := [name for name in OF_CENTRES if name in terms]:
            raise ArcwiseError(
                f"training config: objective.loss={self.loss!r}: {lacking[0]} needs the class "
                f"centres of a loss such as arcface+{self.loss}"
            )


@section("objective")
class LinearConfig(Terms):
    """The plain linear softmax of ArcFace (arXiv 1801.07698), equation 1: the baseline."""

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return "+".join(["softmax", *map(spelled, self.terms())])


@section("objective")
class SemiSiameseConfig(Terms):
    """Semi-siamese training (arXiv 2007.08398): class centres are embeddings of a slow encoder."""

    margin: NormSoftmax | CosFace | ArcFace = NormSoftmax()
    """What the target class pays."""
    scale: Positive = 30.0
    """s, the inverse temperature."""
    queue: AtLeastOne = 16384
    """How many identities of earlier batches are negatives."""
    encoder_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average that the slow encoder is."""

    def __post_init__(self) -> None:
        if self.terms():
            raise ArcwiseError(
                f"training config: objective.loss={self.loss!r}; expected {SEMI_SIAMESE} alone"
            )

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return "+".join([SEMI_SIAMESE, *map(spelled, self.terms())])

    @property
    def between_samples(self) -> bool:
        """True: two images of an identity are needed in a batch."""
        return True


@section("objective")
class CentresConfig(Terms):
    """A softmax over class centres on the sphere, with a margin."""

    margin: CentreMargin = ArcFace()
    """What the target class pays, a dataclass of `arcwise.margins`."""
    scale: NotNegative = 64.0
    """s, the inverse temperature; 0 finds it from the number of classes and how often each is
    seen."""
    margin_from: Share = 0.0
    """Share of the steps before the margin starts to grow."""
    margin_full: Share = 0.0
    """Share of the steps after which the margin is whole."""
    sv_t: Annotated[float, Field(ge=1)] = 1.0
    """t of SV-X-Softmax (arXiv 1812.11317), over any margin: other classes that beat the target
    count for more; 1 for no more than the rest."""
    sv_form: Literal["adaptive", "fixed"] = "adaptive"
    """What a class that beats the target counts as, where its cosine is u: t·u + t - 1, or the
    fixed form of MV-softmax (AAAI 2020), u + t - 1."""
    interclass_filter: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Cosine above which another class is taken for the same identity under a second label, and
    left out; 0 leaves none out."""
    subcentres: Annotated[int, Field(ge=1)] = 1
    """K, centres of one class, of which the nearest counts."""
    sample_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the classes that take part in a step (Partial FC, arXiv 2010.05222), those of the
    batch always; under 1 it needs the fused optimiser."""
    negatives: Literal["random", "dominant"] = "random"
    """Which classes take part besides those of the batch: random ones, or those that they are
    confused with (DP-softmax, arXiv 1806.03018), at most the share sample_rate. Dominant ones need
    the fused optimiser; their centres are in host memory."""
    candidates: AtLeastOne = 300
    """Nearest classes of each class that may become dominant."""
    dominant_queue: AtLeastOne = 100
    """Dominant classes of each class."""
    queue_refresh: AtLeastOne = 1000
    """Steps between two searches for the candidates."""
    logq_correction: bool = False
    """Whether the logits of sampled classes stand for those left out, too (sampled softmax)."""
    centres_start: Literal["random", "class-means", "kept"] = "random"
    """Where the centres start: at random; at the mean embeddings of their classes; or, where
    encoder.init is a run folder, where that run left those of the identities that it knew."""
    softmax: ImplementationName = "auto"
    """How the softmax over the classes is computed."""
    gradient_products: GradientPrecision = "fp32"
    """Arithmetic of the streaming softmax's two gradient products; bf16 is faster where the
    processor has it, at a relative error of about 1e-3."""
    centre_optimiser: Literal["ordinary", "fused"] = "ordinary"
    """What moves the centres: the run's optimiser, or a fused one, which is SGD inside the backward
    pass over the classes and holds no gradient of the centres in memory."""

    def __post_init__(self) -> None:
        dominant = self.negatives == "dominant"
        every, fused = self.sample_rate == 1, self.centre_optimiser == "fused"
        _check(self, "negatives", fused or not dominant,
               "random with objective.centre_optimiser=ordinary; or "
               "objective.centre_optimiser=fused")  # fmt: skip
        _check(self, "logq_correction", not (dominant and self.logq_correction),
               "false with objective.negatives=dominant, which are no sample")  # fmt: skip
        _check(self, "subcentres", self.subcentres == 1 or not dominant,
               "1 with objective.negatives=dominant")  # fmt: skip
        _check(self, "dominant_queue", self.dominant_queue <= self.candidates,
               f"at most objective.candidates={self.candidates}")  # fmt: skip
        _check(self, "margin_from", self.margin_from <= self.margin_full,
               f"at most objective.margin_full={self.margin_full}")  # fmt: skip
        streams = self.softmax in ("auto", "streaming") or self.gradient_products == "fp32"
        _check(self, "gradient_products", streams,
               f"fp32 with objective.softmax={self.softmax}, or streaming")  # fmt: skip
        _check(self, "sample_rate", every or fused,
               "1 with objective.centre_optimiser=ordinary, whose decay and momentum move every "
               "class; or objective.centre_optimiser=fused")  # fmt: skip
        _check(self, "logq_correction", not (every and self.logq_correction),
               "false where objective.sample_rate=1 leaves no class out")  # fmt: skip
        _check(self, "softmax", not (fused and self.softmax == "dense"),
               "auto or streaming with objective.centre_optimiser=fused; or "
               "objective.centre_optimiser=ordinary")  # fmt: skip
        regularised = bool(OF_CENTRES.keys() & self.terms().keys())
        _check(self, "subcentres", self.subcentres == 1 or not regularised,
               f"1 with loss={self.loss}, which needs one centre a class")  # fmt: skip
        _check(self, "centre_optimiser", not (fused and regularised),
               f"ordinary with loss={self.loss}, whose regulariser moves the centres")  # fmt: skip

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return "+".join([name_of(self.margin), *map(spelled, self.terms())])


ObjectiveConfig = PairsConfig | LinearConfig | CentresConfig | SemiSiameseConfig


def _check(objective: object, name: str, good: bool, expected: str) -> None:
    expect(good, f"objective.{name}", getattr(objective, name), expected)


def spelled(field: str) -> str:
    """Return a field's name as the name of a loss spells it."""
    return field.replace("_", "-")


def name_of(margin: CentreMargin) -> str:
    """Return the name of the loss that a margin belongs to."""
    return next(name for name, one in MARGINS.items() if type(one) is type(margin))


def places_of(objective: ObjectiveConfig, name: str) -> list[str]:
    """Return the full names of the fields that are a loss's `margin`, or its `scale`.

    One where it has a single such number, none where it has none. Several for a margin of several
    numbers, and for several losses between samples.
    """
    if not isinstance(objective, CentresConfig | SemiSiameseConfig):
        terms = objective.terms()
        kinds = (*BETWEEN_SAMPLES, *OF_SETS)
        found = [one for one in terms if one in kinds and hasattr(terms[one], name)]
        return [f"{one}.{name}" for one in found]
    if name == "scale":
        return ["scale"]
    if hasattr(objective.margin, "m"):
        return ["margin.m"]
    return [f"margin.{one.name}" for one in fields(objective.margin)]


def with_loss(objective: Terms, loss: str) -> ObjectiveConfig:
    """Return the objective of a loss by name, such as `arcface` or `softmax+centre`.

    Numbers may follow a name: `arcface@0.45`, `combined@0.9,0.4,0.15`, `normsoftmax+intra@2`, or
    `adaface@h=0.5`. Those without a name are the first ones of its section. `SHORT_NAMES` stand for
    names with numbers. With `sv-` or `mv-` before a margin's name, classes that beat the target
    count for more.

    What is not of the loss alone stays as it is. A margin of the same loss keeps its numbers;
    another one has those of its paper, since a number of one loss means something else in another.

    Raises:
        ArcwiseError: an unknown loss, losses that cannot be added up, or numbers that do not fit.
    """
    written = [name.strip().lower() for name in loss.split("+")]
    written = [SHORT_NAMES.get(name, name) for name in written]
    prefixes = [name[:3] for name in written if name[:3] in _REWEIGHTED]
    written = [name[3:] if name[:3] in _REWEIGHTED else name for name in written]
    numbers = {name.partition("@")[0]: name.partition("@")[2] for name in written if "@" in name}
    names = [name.partition("@")[0] for name in written]
    known = ["softmax", SEMI_SIAMESE, *MARGINS, *map(spelled, TERMS)]
    for name in names:
        if name not in known:
            hint = suggestion(name, [*known, *SHORT_NAMES]) or f"known: {', '.join(known)}"
            raise ArcwiseError(
                f"training config: objective.loss={loss!r}: no loss {name!r}; {hint}"
            )
    over_classes = [name for name in names if name in ("softmax", SEMI_SIAMESE, *MARGINS)]
    if prefixes and not set(over_classes) & set(MARGINS):
        raise ArcwiseError(
            f"training config: objective.loss={loss!r}; expected {prefixes[0]} before a loss "
            "with a margin, such as sv-arcface"
        )
    if len(set(names)) < len(names) or len(over_classes) > 1:
        raise ArcwiseError(
            f"training config: objective.loss={loss!r}; expected each term once, and one loss over "
            "classes at most"
        )
    fields_of = [name.replace("-", "_") for name in names if name not in over_classes]
    terms: dict[str, Any] = {
        name: _numbered(getattr(objective, name) or kind(), numbers.get(spelled(name)), loss)
        if name in fields_of
        else None
        for name, kind in TERMS.items()
    }
    if not over_classes:
        return PairsConfig(**terms)
    if over_classes == ["softmax"]:
        return LinearConfig(**terms)
    if over_classes == [SEMI_SIAMESE]:
        own = objective if isinstance(objective, SemiSiameseConfig) else SemiSiameseConfig()
        return _numbered(replace(own, **terms), numbers.get(SEMI_SIAMESE), loss)
    margin = MARGINS[over_classes[0]]
    centres = objective if isinstance(objective, CentresConfig) else CentresConfig()
    if isinstance(objective, CentresConfig) and type(objective.margin) is type(margin):
        margin = objective.margin
    terms |= _REWEIGHTED[prefixes[0]] if prefixes else {}
    margin = _numbered(margin, numbers.get(over_classes[0]), loss)
    return replace(centres, margin=margin, **terms)


def _numbered(section: Any, numbers: str | None, loss: str) -> Any:
    """Return a margin or a term with its first numbers replaced, as they are written."""
    if numbers is None:
        return section
    names = [one.name for one in fields(section) if isinstance(getattr(section, one.name), float)]
    written = [one.partition("=") for one in numbers.split(",")]
    try:
        unnamed = [first for first, equals, _ in written if not equals]
        if len(unnamed) > len(names):
            raise ValueError
        changes: dict[str, Any] = dict(zip(names, map(float, unnamed), strict=False))
        for name, equals, value in written:
            if equals:
                changes[name] = float(value) if name in names else value
        return replace(section, **changes)
    except (TypeError, ValueError) as problem:
        if isinstance(problem, ArcwiseError):
            raise
        expected = f"numbers for {', '.join(names)}, or names and values" if names else "none"
        raise ArcwiseError(
            f"training config: objective.loss={loss!r}: got {numbers!r}; expected {expected}"
        ) from None
