"""What is measured: each task, arcwise's way to its printed table, and the obvious one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from arcwise import evaluation

from . import problems
from .problems import FARS, FPIRS, Faces, Figures, Pairs, Scored, Search

DRAWS = 1000

Result = TypeVar("Result")


@dataclass(frozen=True)
class Way:
    """One way to do a task.

    Attributes:
        about: what it is.
        run: from the problem to its result; arcwise's prints its table on the way.
        figures: the numbers of the result, read after the time is taken.
    """

    about: str
    run: Callable[[Any], Any]
    figures: Callable[[Any], Figures]


@dataclass(frozen=True)
class Task:
    """Two rows of the table.

    Attributes:
        about: the protocol and its size.
        make: from the share of the full size to the problem.
        ours: arcwise's way.
        peer: makes the other one, so that only its own process imports scikit-learn.
        seconds: goal for arcwise's wall time.
        peak: goal in bytes for resident memory, what the problem takes included.
        growth: goal in bytes for what comes on top of the problem.
    """

    about: str
    make: Callable[[float], Any]
    ours: Way
    peer: Callable[[], Way]
    seconds: float
    peak: float | None = None
    growth: float | None = None


def peer(name: str, about: str, **settings: Any) -> Callable[[], Way]:
    def make() -> Way:
        from . import peers

        return Way(about, partial(getattr(peers, name), **settings), dict)

    return make


def listed(problem: Pairs) -> evaluation.Verification:
    similarity = evaluation.pair_similarity(problem.embeddings, problem.first, problem.second)
    first, second = problem.ids[problem.first], problem.ids[problem.second]
    return printed(
        evaluation.verification(similarity, first == second, None, ids_a=first, ids_b=second)
    )


def folds(problem: Scored) -> Figures:
    result = evaluation.verification(problem.similarity, problem.same, 10)
    return {"accuracy": float(result.accuracy), "deviation": result.accuracy_std}


def all_pairs(problem: Faces) -> evaluation.Verification:
    return printed(evaluation.verification_from_embeddings(problem.embeddings, problem.ids))


def bootstrap(problem: Scored, draws: int) -> evaluation.Verification:
    people = {"ids_a": problem.first, "ids_b": problem.second}
    return printed(
        evaluation.verification(problem.similarity, problem.same, None, draws=draws, **people)
    )


def search(problem: Search) -> evaluation.Identification:
    probes, gallery = problem.probes, problem.gallery
    return printed(
        evaluation.identification_from_embeddings(
            probes.embeddings, probes.ids, gallery.embeddings, gallery.ids
        )
    )


def printed(result: Result) -> Result:
    """The result, its table made: intervals are drawn when the table is made."""
    str(result)
    return result


def rates(result: evaluation.Verification) -> dict[str, evaluation.Rate]:
    rates = {"AUC": result.auc, "EER": result.eer}
    return rates | dict(zip((f"TAR@{far:g}" for far in FARS), result.tars_at(FARS), strict=True))


def values(result: evaluation.Verification) -> Figures:
    return {name: float(rate) for name, rate in rates(result).items()}


def widths(result: evaluation.Verification) -> Figures:
    return {name: rate.high - rate.low for name, rate in rates(result).items()}


def identified(result: evaluation.Identification) -> Figures:
    rates = {f"rank-{k}": float(result.rank(k)) for k in (1, 5)}
    return rates | {f"DIR@{fpir:g}": float(result.dir_at(fpir)) for fpir in FPIRS}


TASKS = {
    "ijbc": Task(
        "1:1 of IJB-C's size: 23,124 templates × 512, 15.66 M pairs, to the whole table",
        problems.ijbc,
        Way("pair_similarity, verification; intervals from 200 draws", listed, values),
        peer("listed", "rows gathered, roc_curve; no intervals"),
        seconds=20,
        peak=3 * 2**30,
    ),
    "folds": Task(
        "10-fold accuracy, 6,000 pairs",
        problems.lfw,
        Way("verification, every threshold", folds, dict),
        peer("folds", "KFold, 400 thresholds"),
        seconds=0.05,
    ),
    "all_pairs": Task(
        "ROC of all pairs of 13,000 faces × 512: 84.5 M",
        problems.everyone,
        Way("verification_from_embeddings; intervals from 200 draws", all_pairs, values),
        peer("all_pairs", "the matrix, its triangle, roc_curve; no intervals"),
        seconds=15,
        growth=4 * 13_000 * 12_999 / 2,
    ),
    "bootstrap": Task(
        f"{DRAWS:,} draws over identities, 6,000 pairs",
        problems.lfw,
        Way("verification, the whole table", partial(bootstrap, draws=DRAWS), widths),
        peer("bootstrap", "roc_curve with weights", draws=DRAWS),
        seconds=10,
    ),
    "search": Task(
        "1:N, 20,000 probes × 100,000 in the gallery, × 512",
        problems.watchlist,
        Way("identification_from_embeddings; intervals from 200 draws", search, identified),
        peer("search", "blocks, argpartition; no intervals"),
        seconds=60,
    ),
}
