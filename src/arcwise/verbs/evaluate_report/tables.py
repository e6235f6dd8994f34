"""The tables of the page: the numbers, what they were measured on, and how they are defined."""

from __future__ import annotations

from collections.abc import Mapping

from arcwise.evaluation import Rate
from arcwise.evaluation.intervals import DRAWS
from arcwise.protocols.age_gaps import BY_AGE_GAP
from arcwise.protocols.plan import THRESHOLDS
from arcwise.protocols.result import Breakdown, EvaluationResult, GapRetrieval, Metric
from arcwise.report import Facts, Number, Numbers, Plot, RateDifference, Section, Table, plots
from arcwise.report.sections import Cell

HEADLINES = 4
"""Numbers at the top of the page."""

MAX_PLOTTED = 30
"""Groups in a plot."""

INTERVALS = (
    f"95 %, from drawing identities with replacement ({DRAWS} draws), because pairs of one person "
    "are not independent; Wilson's where nothing, or everything, goes wrong"
)
INDEPENDENT_INTERVALS = (
    "95 %, Wilson's (of the area under the ROC, Hanley and McNeil's), which take the pairs for "
    "independent: too narrow if one person is in many, and who is in them is not known"
)

_LETTERS = 16  # of a fingerprint; results.json has it whole


def headline(result: EvaluationResult) -> Numbers:
    """Return the first resolved number of every protocol."""
    first: dict[str, Metric] = {}
    for metric in overall_metrics(result):
        if metric.rate.resolved:
            first.setdefault(metric.protocol, metric)
    numbers = [
        Number(metric.name, metric.rate, metric.protocol)
        for metric in list(first.values())[:HEADLINES]
    ]
    return Numbers("Results" if not result.baselines else f"Results of {result.model}", numbers)


def metrics_table(result: EvaluationResult) -> Table:
    """Return one row a metric and one column a model, without what is not resolved."""
    models = result.models
    cells: dict[str, dict[str, Cell]] = {}
    unresolved: dict[str, None] = {}
    for name, one in models.items():
        for metric in overall_metrics(one):
            if metric.rate.resolved:
                cells.setdefault(metric.name, {})[name] = metric.rate
            else:
                unresolved[metric.name] = None
    rows = [[metric, *(row.get(name, "") for name in models)] for metric, row in cells.items()]
    header = ["metric", *(models if result.baselines else ["value, 95 % interval"])]
    notes = [
        f"Standard deviation over the folds, {name}: {metric.std:.2%}."
        for name, one in models.items()
        for metric in overall_metrics(one)
        if metric.std is not None
    ]
    if unresolved:
        notes.append(f"Left out, because there are too few cases: {', '.join(unresolved)}.")
    return Table("Metrics", header, rows, " ".join(notes))


def overall_metrics(result: EvaluationResult) -> list[Metric]:
    """Return what was measured on all data, without the model's own thresholds."""
    return [m for m in result.metrics if not m.column and m.protocol != THRESHOLDS]


def differences(result: EvaluationResult) -> list[Section]:
    """Return the other models against the first, on the same pairs."""
    rows: list[list[Cell]] = []
    notes: dict[str, None] = {}
    for other in result.baselines:
        comparison, name = other.comparison, other.result.model
        for metric, one in (
            ("accuracy", comparison.accuracy),
            (f"TAR at FAR {comparison.far:g}", comparison.tar),
        ):
            if one is not None and one.difference.resolved:
                difference = RateDifference(one.difference)
                rows.append([f"{metric}: {name}", one.second, one.first, difference])
        notes[f"On the same pairs: {other.pairs}."] = None
        if comparison.mcnemar is not None:
            notes[f"McNemar's test of the accuracy of {name}: {comparison.mcnemar}."] = None
    if not rows:
        return []
    header = ["metric", "this model", result.model, "difference in points"]
    notes[
        "The interval of a difference draws the same identities for both; one that holds 0 does "
        "not tell which is better."
    ] = None
    return [Table(f"Against {result.model}", header, rows, " ".join(notes))]


def groups(result: EvaluationResult) -> list[Section]:
    """Return a plot and a table for every column that pairs, or mates, are grouped by."""
    sections = []
    for one in result.breakdowns:
        titles = f"By {one.column}", f"Groups of {one.column}"
        sections += _groups_of(result, f"groups by {one.column}", one, titles)
    if result.by_age_gap is not None:
        titles = "Retrieval by age gap", "Groups of mates"
        sections += _groups_of(result, BY_AGE_GAP, result.by_age_gap, titles)
    return sections


def _groups_of(
    result: EvaluationResult,
    protocol: str,
    breakdown: Breakdown | GapRetrieval,
    titles: tuple[str, str],
) -> list[Section]:
    models, column, definition = result.models, breakdown.column, breakdown.definition
    metric_of = {
        (name, m.group, m.name): m
        for name, one in models.items()
        for m in one.metrics
        if m.protocol == protocol
    }
    names = list(dict.fromkeys(group for _, group, _ in metric_of))
    kinds = list(dict.fromkeys(kind for _, _, kind in metric_of))
    unmeasured = breakdown.unmeasured
    if not names and not unmeasured:
        return []
    rows: list[list[Cell]] = []
    counted: Mapping[str, int] = {}
    for group in names:
        measured = [metric_of.get((model, group, kind)) for kind in kinds for model in models]
        counted = next(one.counts for one in measured if one is not None)
        rates = ["" if one is None else one.rate for one in measured]
        rows.append([group, *rates, *counted.values()])
    header = [f"{kind}, {model}" if len(models) > 1 else kind for kind in kinds for model in models]
    sections: list[Section] = []
    if kinds:
        dots: dict[str, dict[str, Rate | None]] = {
            group: {
                model: one.rate if (one := metric_of.get((model, group, kinds[0]))) else None
                for model in models
            }
            for group in [*names, *unmeasured][:MAX_PLOTTED]
        }
        sections.append(Plot(titles[0], plots.groups(dots, kinds[0]), f"{definition}."))
    others = "".join(f" Nothing to measure in {group}: {why}." for group, why in unmeasured.items())
    header = [column, *header, *counted]
    table = Table(titles[1], header, rows, f"{definition}.{others}")
    return [*sections, table]


def measured_on(result: EvaluationResult) -> Facts:
    """Return the data, which identities were left out and why, and what repeats the evaluation."""
    about, verification = result.about, result.verification
    declared = result.path is not None and result.identity_count is not None
    items: list[tuple[str, Cell]] = [
        ("data", f"{about.data}, {about.rows}"),
        ("images" if result.manifest.has_images else "vectors", len(result.manifest)),
        ("identities", _or_unknown(result.identity_count)),
        ("identities left out, because a model was made with them", about.left_out),
        ("images that a model was trained on", _or_unknown(about.trained_images)),
        ("used before", about.used_before or ("never" if declared else "not known")),
        ("images that could not be read", len(about.failures)),
        ("files that are not images", len(about.ignored)),
        ("gallery", "none" if result.search is None else result.search.description),
        ("table of pairs", about.pairs or "none: every pair"),
        (
            "mated and impostor pairs",
            f"{len(verification.mated):,} and {verification.impostors:,}",
        ),
        ("seed", about.seed),
    ]
    if result.templates.kind == "templates":
        items.insert(2, ("templates", len(result.templates.names)))
    for name, one in result.models.items():
        items.append((f"model {name}", one.fingerprint[:_LETTERS] or "not known"))
        if one.estimate is not None:
            items.append((f"what {name} tells", str(one.estimate)))
    items.append(("fingerprint of the data", about.fingerprint[:_LETTERS]))
    items.append(("computed with", ", ".join(f"{k} {v}" for k, v in about.versions.items())))
    return Facts("Measured on", items, " ".join(about.notes))


def _or_unknown(count: int | None) -> Cell:
    return "not known" if count is None else count


def protocols(result: EvaluationResult) -> Facts:
    """Return which protocols fit the data, and why the others do not."""
    items = [
        (one.name, one.why if one.measured else f"not measured: {one.why}")
        for one in result.protocols
    ]
    return Facts("Protocols", items)


def definitions(result: EvaluationResult) -> Facts:
    """Return what each number counts, and the conventions of all of them."""
    named: dict[str, tuple[list[str], str]] = {}
    for metric in overall_metrics(result):
        counts = ", ".join(f"{count:,} {what}" for what, count in metric.counts.items())
        names, _ = named.setdefault(metric.definition, ([], counts))
        names.append(metric.name.partition(",")[0])
    items: list[tuple[str, Cell]] = [
        (" · ".join(names), f"{definition}. Rests on {counts}.")
        for definition, (names, counts) in named.items()
    ]
    known = result.identity_count is not None
    items += [
        ("accepted", "a similarity at or above the threshold; of equal ones the wrong comes first"),
        ("similarity", "cosine of the angle between two embeddings"),
        ("interval", INTERVALS if known else INDEPENDENT_INTERVALS),
        ("resolved", "at least ten impostors would pass by chance at the error rate in question"),
    ]
    return Facts("How it is defined", items)
