"""Does a second look at the hits of a search help to decide? `python studies/second_look.py SETS`.

A search compares its best similarity with a threshold. Other numbers can take the place of that
similarity: the similarity to the mean of an identity's templates, that of a query expanded by its
nearest templates, or how far the best one stands above the next. Each is measured by the images of
enrolled identities that are found (DIR) where a stated share of unknown ones is answered (FPIR).

What a way of scoring is made with, and which of its kinds is measured, is settled on half of LFW's
people and on background characters of Omniglot. Measured are the other half, FG-NET, evaluation
characters, and products. SETS is prepared as for `studies/clustering.py`, and

    arcwise embed SETS/clustering/run/model SETS/omniglot/tune.csv \
        --out SETS/clustering/background.parquet
    ARCWISE_DATA=… python studies/second_look.py SETS

What is in docs/second-look.json already is not measured again. About six minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from arcwise import evaluation
from arcwise.evaluation import TwoScores
from arcwise.evaluation.intervals import multiplicities
from arcwise.evaluation.thresholds import resolved
from arcwise.gallery.decision import LEAST_IDENTITIES, NEIGHBOURS
from second_look_page import page
from second_look_scores import FAMILIES, Enrolled, Way, one_sided, plain, unit
from table2 import grocery, on_this_machine

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "second-look.json", DOCS / "second-look.md"
SPLITS, DRAWS, SEEDS = 24, 500, 3
PRODUCTS = "39 products, 10 images each, pretrained"  # of studies/defaults.py
RATES = (0.1, 0.01)
TEMPLATES, SIZES = (1, 3), (10, 50, None)
PROBES = 5  # images of an enrolled identity that search, at most


class Embeddings(NamedTuple):
    """Unit vectors (N, D) and whose they are, (N,) from 0."""

    vectors: np.ndarray
    ids: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    measure(results, "settling", SETTLING, sets, lambda several: dict(gains(several)))
    kinds = {family: settled(results["settling"], members) for family, members in FAMILIES.items()}
    measure(results, "measured", MEASURED, sets, lambda several: measured(several, kinds))
    measure(results, "decided", MEASURED, sets, lambda several: list(decided(several)))
    members = {family: list(ways) for family, ways in FAMILIES.items()}
    PAGE.write_text(page(results, members, kinds, SPLITS))


def measure(
    results: dict[str, Any],
    part: str,
    makers: Mapping[str, Callable[[Path], list[Embeddings]]],
    sets: Path,
    of_set: Callable[[list[Embeddings]], Any],
) -> None:
    """Measure what a part of the results lacks, a set after the other, and keep it."""
    for name, make in makers.items():
        if name not in results.setdefault(part, {}):
            begun = time.process_time()
            results[part][name] = of_set(make(sets))
            seconds = results.get("seconds", 0) + time.process_time() - begun
            results |= {"seconds": round(seconds), "machine": on_this_machine()}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(part, name, flush=True)


# The data.


def faces(name: str) -> tuple[np.ndarray, np.ndarray]:
    data = np.load(Path(os.environ["ARCWISE_DATA"]) / f"features/{name}_mobilefacenet.npz")
    return data["feature"], np.unique(data["person"], return_inverse=True)[1]


def lfw(other_half: bool) -> Embeddings:
    """The half of LFW's people that settled clustering, and settles here; or the other half."""
    vectors, ids = faces("lfw")
    settling = np.random.default_rng(0).permutation(ids.max() + 1)[: (ids.max() + 1) // 2]
    rows = np.isin(ids, settling) != other_half
    return Embeddings(unit(vectors[rows]), np.unique(ids[rows], return_inverse=True)[1])


def characters(path: Path) -> Embeddings:
    table = pq.read_table(path)
    vectors = np.array(table.column("vector").combine_chunks().flatten()).reshape(len(table), -1)
    ids = np.unique(table.column("identity").to_pylist(), return_inverse=True)[1]
    return Embeddings(unit(vectors), ids)


def fgnet() -> Embeddings:
    vectors, ids = faces("fgnet")
    return Embeddings(unit(vectors), ids)


def products(sets: Path) -> list[Embeddings]:
    """The products that nothing was trained on, by each of three trainings."""
    split, _ = grocery(sets)
    first, second = split.validation.labels, split.calibration.labels
    ids = np.concatenate([first, second + first.max() + 1])
    folder = sets / "defaults" / PRODUCTS
    names = [f"arcface@0.5 s=12.86, seed {seed}" for seed in range(SEEDS)]
    return [Embeddings(unit(np.load(folder / one / "embeddings.npy")), ids) for one in names]


SETTLING: dict[str, Callable[[Path], list[Embeddings]]] = {
    "LFW, half": lambda sets: [lfw(other_half=False)],
    "Omniglot, background": lambda sets: [characters(sets / "clustering/background.parquet")],
}
MEASURED: dict[str, Callable[[Path], list[Embeddings]]] = {
    "LFW, other half": lambda sets: [lfw(other_half=True)],
    "FG-NET": lambda sets: [fgnet()],
    "Omniglot": lambda sets: [characters(sets / "clustering/omniglot.parquet")],
    "Grocery": products,
}


# The measuring.


class Cell(NamedTuple):
    """Galleries of one kind: identities enrolled, templates of each, and what is searched in."""

    size: int
    templates: int
    searches: list[Search]


class Search(NamedTuple):
    """A gallery, its queries, and whose these are, by the numbers of the whole set.

    The first `mated` queries are of enrolled identities, in the order of `right`, (M,) their
    places in the gallery; the others are of nobody enrolled.
    """

    gallery: Enrolled
    queries: np.ndarray
    ids: np.ndarray
    right: np.ndarray


def cells(several: list[Embeddings]) -> Iterator[Cell]:
    """Yield the kinds of galleries that a set has the identities for, drawn once a split."""
    counts = np.bincount(several[0].ids)
    for templates in TEMPLATES:
        able = np.flatnonzero(counts > templates)
        # Where everybody can be enrolled, half are not, so that somebody is unknown.
        most = len(able) if len(able) <= len(counts) // 2 else len(counts) // 2
        for size in SIZES:
            if (size or most) > most:
                continue
            yield Cell(
                size or most,
                templates,
                [
                    drawn(several[split % len(several)], able, size or most, templates, split)
                    for split in range(SPLITS)
                ],
            )


def drawn(some: Embeddings, able: np.ndarray, size: int, templates: int, split: int) -> Search:
    generator = np.random.default_rng(split)
    enrolled = generator.permutation(able)[:size]
    rows, mated = [], []
    for one in enrolled:
        images = generator.permutation(np.flatnonzero(some.ids == one))
        rows.append(images[:templates])
        mated.append(images[templates : templates + PROBES])
    gallery = Enrolled(some.vectors[np.concatenate(rows)], np.repeat(np.arange(size), templates))
    unknown = np.flatnonzero(~np.isin(some.ids, enrolled))
    queries = np.concatenate([*mated, unknown])
    right = np.repeat(np.arange(size), [len(one) for one in mated])
    return Search(gallery, some.vectors[queries], some.ids[queries], right)


def rates_found(way: Way, cell: Cell, weights: np.ndarray) -> np.ndarray:
    """DIR (rates, draws, splits) where each identity's images count as often as `weights` says.

    The threshold is the lowest that keeps the rate among the gallery's own unknown queries.

    Args:
        way: of scoring.
        cell: the galleries.
        weights: (draws, I) of identities, rows of a whole set.
    """
    found = np.zeros((len(RATES), len(weights), len(cell.searches)))
    for split, search in enumerate(cell.searches):
        scores = way(search.queries, search.gallery)
        mated, best = len(search.right), scores.max(axis=1)
        hit = scores[:mated].argmax(axis=1) == search.right
        falling = mated + np.argsort(-best[mated:], kind="stable")
        own = np.argsort(-np.where(hit, best[:mated], -np.inf), kind="stable")
        rising = -np.where(hit, best[:mated], -np.inf)[own]
        answered = np.cumsum(weights[:, search.ids[falling]], axis=1, dtype=np.float64)
        right = np.cumsum(weights[:, search.ids[own]], axis=1, dtype=np.float64)
        right = np.concatenate([np.zeros((len(right), 1)), right], axis=1)
        for place, rate in enumerate(RATES):
            allowed = rate * answered[:, -1:] * (1 + 1e-9)
            last = np.minimum((answered <= allowed).sum(axis=1), len(falling) - 1)
            above = np.searchsorted(rising, -best[falling[last]], side="left")
            total = np.maximum(right[:, -1], 1)
            found[place, :, split] = right[np.arange(len(right)), above] / total
    return found


def gains(several: list[Embeddings]) -> Iterator[tuple[str, float]]:
    """Yield what each kind of each family gains over the plain similarity, in the mean."""
    kinds = [cell for cell in cells(several) if cell.size >= LEAST_IDENTITIES]
    once = np.ones((1, int(several[0].ids.max()) + 1))
    base = [rates_found(plain, cell, once) for cell in kinds]
    for family, members in FAMILIES.items():
        for member, way in members.items():
            found = [rates_found(way, cell, once) for cell in kinds]
            differences = [np.mean(a - b) for a, b in zip(found, base, strict=True)]
            yield f"{family}: {member}", round(float(np.mean(differences)), 5)


def settled(gained: Mapping[str, Mapping[str, float]], members: Mapping[str, Way]) -> str:
    """The kind of a family that gains most, in the mean over the sets that settle."""
    family = next(name for name, ways in FAMILIES.items() if ways is members)
    return max(members, key=lambda one: mean_gain(gained, f"{family}: {one}"))


def mean_gain(gained: Mapping[str, Mapping[str, float]], key: str) -> float:
    return statistics.mean(of_set[key] for of_set in gained.values())


def measured(several: list[Embeddings], kinds: Mapping[str, str]) -> dict[str, Any]:
    """DIR of every way, its difference to the plain one, and the standard error of that.

    Identities and splits are drawn with replacement, both at once: splits share identities, so that
    what differs between splits alone would be too little.
    """
    identities = int(several[0].ids.max()) + 1
    weights = np.array(list(multiplicities(identities, DRAWS, 0)))
    weights = np.concatenate([np.ones((1, identities), dtype=weights.dtype), weights])
    picked = np.random.default_rng(1).integers(SPLITS, size=(DRAWS, SPLITS))
    rows = []
    for cell in cells(several):
        unknown = min(len(one.ids) - len(one.right) for one in cell.searches)
        base = rates_found(plain, cell, weights)
        for family, kind in kinds.items():
            if family == "mean of the templates" and cell.templates == 1:
                continue  # the plain one
            found = rates_found(FAMILIES[family][kind], cell, weights)
            for place, rate in enumerate(RATES):
                one = found[place] - base[place]
                drawn = np.take_along_axis(one[1:], picked, axis=1).mean(axis=1)
                error = float(drawn.std(ddof=1))
                rows.append(
                    {
                        "identities": cell.size, "templates": cell.templates, "rate": rate,
                        "way": family, "resolved": resolved(rate, unknown), "unknown": unknown,
                        "plain": round(float(base[place, 0].mean()), 5),
                        "dir": round(float(found[place, 0].mean()), 5),
                        "gain": round(float(one[0].mean()), 5), "error": round(error, 5),
                        "better_in": int((one[0] > 0).sum()), "worse_in": int((one[0] < 0).sum()),
                    }
                )  # fmt: skip
    return {
        "images": len(several[0].ids), "people": identities, "trainings": len(several),
        "rows": rows,
    }  # fmt: skip


def decided(several: list[Embeddings]) -> Iterator[dict[str, Any]]:
    """Yield how searches decide that keep the second look only where calibration finds it better.

    As `arcwise calibrate --gallery` does it: half of the unknown and half of the enrolled
    identities calibrate each gallery, and the other halves measure what it then decides.
    """
    for cell in cells(several):
        if cell.size < LEAST_IDENTITIES:
            continue
        outcomes = [
            outcome
            for split, search in enumerate(cell.searches)
            for outcome in kept_or_not(search, cell.size, split)
        ]
        for rate in RATES:
            of_rate = [one for one in outcomes if one["rate"] == rate]
            if len(of_rate) < SPLITS:
                continue  # not resolved
            kept = [one for one in of_rate if one["keeps"]]
            values = {
                name: round(statistics.mean(one[name] for one in some), 5) if some else None
                for name, some in (
                    ("plain", of_rate), ("always", of_rate), ("dir", of_rate),
                    ("fpir_plain", of_rate), ("fpir_kept", kept),
                )
            }  # fmt: skip
            yield {
                "identities": cell.size, "templates": cell.templates, "rate": rate,
                "kept_in": len(kept), "right_in": sum(one["right"] for one in kept), **values,
            }  # fmt: skip


def kept_or_not(search: Search, size: int, split: int) -> Iterator[dict[str, Any]]:
    """Yield what one gallery finds and answers, a rate at a time, by what half calibrated."""
    scores = [way(search.queries, search.gallery) for way in (plain, one_sided(NEIGHBOURS))]
    best = np.array([one.max(axis=1) for one in scores])
    mated = len(search.right)
    wrong = scores[0][:mated].argmax(axis=1) != search.right  # the same by both
    own, other = np.where(wrong, -np.inf, best[:, :mated]), best[:, mated:]
    calibrating = np.isin(search.ids, halved(search.ids, mated, split))
    mine, theirs = calibrating[:mated], calibrating[mated:]
    strangers = search.ids[mated:][theirs]
    gain, rates = evaluation.detection_gain(
        TwoScores(*other[:, theirs], strangers),
        TwoScores(*own[:, mine], search.ids[:mated][mine]),
        RATES,
    )
    sides = [
        evaluation.calibrate_in_gallery(one[theirs], strangers, rates, gallery=size)
        for one in other
    ]
    for before, after in zip(*sides, strict=True):
        fpir = float(np.mean(other[1, ~theirs] >= after.threshold))
        found = [
            float(np.mean(one[~mine] >= by.threshold))
            for one, by in zip(own, (before, after), strict=True)
        ]
        yield {
            "rate": before.fpir, "keeps": gain.low > 0, "plain": found[0], "always": found[1],
            "dir": found[int(gain.low > 0)],
            "fpir_plain": float(np.mean(other[0, ~theirs] >= before.threshold)),
            "fpir_kept": fpir, "right": after.fpir_low <= fpir <= after.fpir_high,
        }  # fmt: skip


def halved(ids: np.ndarray, mated: int, split: int) -> np.ndarray:
    """Half of the enrolled identities, and half of the unknown ones."""
    generator = np.random.default_rng(split)
    sides = [np.unique(ids[:mated]), np.unique(ids[mated:])]
    return np.concatenate([generator.permutation(one)[: len(one) // 2] for one in sides])


if __name__ == "__main__":
    main()
