"""When the limits of clusters should come from a calibration, and when a cluster gets a name.

    ARCWISE_DATA=… python studies/cluster_limits.py SETS

SETS is that of studies/clustering.py. What is in docs/cluster-limits.json already is not measured
again. About three minutes of one core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arcwise.clustering.clusters import find_clusters
from arcwise.clustering.constraints import Constraints
from arcwise.clustering.impostors import ENOUGH, FEWEST, impostors_of
from arcwise.evaluation import Threshold, calibrate, clustering
from arcwise.gallery import GallerySize, operating_points, usual_point
from arcwise.verbs.cluster_decisions import drawn_pairs
from arcwise.verbs.cluster_identities import OF_ACCEPTED, OF_ALL, cluster_identities
from arcwise.verbs.cluster_page import doubtful_members, doubtful_splits
from clustering_sets import SEEDS, Embeddings, faces, fgnet, lfw, products

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "cluster-limits.json", DOCS / "cluster-limits.md"
CALIBRATED_ON = (3, 10, 20, 30, 100, 300)
ROUNDS = 5
PHOTOS, TEMPLATES = 20, 5
"""Images of each product in a heap, at most; templates of each enrolled one."""


class Case(NamedTuple):
    """What is clustered: embeddings, and thresholds for them; one for each draw."""

    about: str
    calibrated_on: int
    draws: list[Embeddings]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part, measure in PARTS.items():
        if part not in results:
            results[part] = measure(sets)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(part, len(results[part]), "rows", flush=True)
    PAGE.write_text(page(results))


# Calibrations.


def some(
    vectors: np.ndarray, ids: np.ndarray, count: int, each: int, least: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return so many images of so many identities, of those with some images at least."""
    draw, rows = np.random.default_rng(seed), []
    often = np.flatnonzero(np.bincount(ids) >= least)
    for one in draw.permutation(often)[:count]:
        rows += draw.permutation(np.flatnonzero(ids == one))[:each].tolist()
    return vectors[rows], ids[rows]


def calibrated_on() -> Iterator[Case]:
    """Half of LFW's people are clustered, by thresholds of some of the others."""
    vectors, ids = faces("lfw")
    settled = np.zeros(ids.max() + 1, dtype=bool)
    settled[np.random.default_rng(0).permutation(len(settled))[: len(settled) // 2]] = True
    others, of = vectors[settled[ids]], ids[settled[ids]]
    heap = lfw(other_half=True)
    for count in CALIBRATED_ON:
        drawn = [calibrate(*some(others, of, count, 10**6, 2, seed)) for seed in range(SEEDS)]
        yield Case("LFW, half", count, [heap._replace(thresholds=one) for one in drawn])
    yield Case("LFW, half", len(np.unique(of)), [heap])


def in_the_heap(sets: Path) -> Iterator[Case]:
    """Heaps of few identities, or of few images."""
    whole, ages, of_products = lfw(other_half=True), fgnet(), products(sets)
    people = len(np.unique(faces("lfw")[1])) - len(np.unique(whole.ids))
    sources = [
        ("LFW", people, [whole] * SEEDS, ((8, 5), (5, 10**6), (10, 10**6), (20, 10**6))),
        ("FG-NET", people, [ages] * SEEDS, ((8, 5), (5, 10**6), (10, 10**6), (10**6, 10**6))),
        (
            "Grocery", of_products[0].thresholds[0].identities, of_products,
            ((8, 5), (3, 10**6), (5, 10**6), (10**6, 10**6)),
        ),
    ]  # fmt: skip
    for name, on, several, sizes in sources:
        for count, each in sizes:
            draws = [
                Embeddings(*some(one.vectors, one.ids, count, each, 5, seed), one.thresholds)
                for seed, one in enumerate(several)
            ]
            yield Case(name, on, draws)


def rows_of(cases: Iterator[Case]) -> list[dict[str, Any]]:
    """Return BCubed F by limits from the embeddings and from the calibration, for each case."""
    rows = []
    for case in cases:
        own, calibrated, used = [], [], 0
        for seed, one in enumerate(case.draws):
            forced = tuple(replace(t, identities=max(t.identities, ENOUGH)) for t in one.thresholds)
            own.append(bcubed(one, (), seed))
            if impostors_of(unit(one.vectors), forced).calibration:
                used += 1
                calibrated.append(bcubed(one, forced, seed))
        rows.append(
            {
                "data": case.about, "calibrated_on": case.calibrated_on,
                "identities": round(np.mean([len(np.unique(d.ids)) for d in case.draws])),
                "images": round(np.mean([len(d.ids) for d in case.draws])),
                "own": [round(x, 3) for x in own], "calibrated": [round(x, 3) for x in calibrated],
                "usable": used,
            }
        )  # fmt: skip
    return rows


def bcubed(one: Embeddings, thresholds: tuple[Threshold, ...], seed: int) -> float:
    labels = find_clusters(one.vectors, thresholds=thresholds, seed=seed).labels
    return float(clustering(one.ids, labels, draws=2).bcubed_f)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


# Names.


def names(sets: Path) -> list[dict[str, Any]]:
    """Heaps of products, some of which are enrolled: right and wrong names by three rules."""
    several, rows = products(sets), []
    for enrolled in (3, 6):
        found: dict[str, list[list[int]]] = {}
        images, of_enrolled = [], []
        for training, one in enumerate(several):
            for seed in range(SEEDS):
                draw = np.random.default_rng([training, seed])
                heap, templates = [], []
                for product in np.unique(one.ids):
                    order = draw.permutation(np.flatnonzero(one.ids == product))
                    templates += order[:TEMPLATES].tolist()
                    heap += order[TEMPLATES : TEMPLATES + PHOTOS].tolist()
                known = draw.permutation(np.unique(one.ids))[:enrolled]
                templates = [row for row in templates if one.ids[row] in known]
                truth = [str(x) for x in one.ids[heap]]
                accepted = decisions(one, heap, templates)
                labels = find_clusters(one.vectors[heap], seed=seed).labels
                for rule, given in by_rules(labels, accepted).items():
                    right = sum(a is not None and a == b for a, b in zip(given, truth, strict=True))
                    named = sum(a is not None for a in given)
                    found.setdefault(rule, []).append([right, named - right])
                images.append(len(heap))
                of_enrolled.append(int(np.isin(one.ids[heap], known).sum()))
        for rule, counts in found.items():
            right, wrong = np.mean(counts, axis=0)
            rows.append(
                {
                    "enrolled": enrolled, "rule": rule, "right": round(right, 1),
                    "wrong": round(wrong, 1), "images": round(np.mean(images)),
                    "of_enrolled": round(np.mean(of_enrolled)), "heaps": len(counts),
                }
            )  # fmt: skip
    return rows


def decisions(one: Embeddings, heap: list[int], templates: list[int]) -> list[str | None]:
    """Return who each image of a heap is accepted as, by the usual threshold of a gallery."""
    vectors, of = unit(one.vectors), one.ids[templates]
    size = GallerySize(len(np.unique(of)), len(templates), TEMPLATES, TEMPLATES)
    point = usual_point(operating_points(size, one.thresholds, ()))
    assert point is not None
    similarity = vectors[heap] @ vectors[templates].T
    best = similarity.argmax(axis=1)
    return [
        str(of[place]) if similarity[row, place] >= point.threshold else None
        for row, place in enumerate(best)
    ]


def by_rules(labels: np.ndarray, accepted: list[str | None]) -> dict[str, list[str | None]]:
    """Return the name of each image by each rule."""
    members: dict[int, list[str]] = {}
    for label, one in zip(labels.tolist(), accepted, strict=True):
        if one is not None:
            members.setdefault(label, []).append(one)
    any_one = {label: max(sorted(set(of)), key=of.count) for label, of in members.items()}
    given = cluster_identities(labels, accepted, np.zeros((0, 2), np.int64), {}).of
    return {
        "each image by itself": accepted,
        "one accepted image names its cluster": [any_one.get(one) for one in labels.tolist()],
        "`arcwise cluster`": [given.get(one) for one in labels.tolist()],
    }


# Rounds of judging.


def rounds(sets: Path) -> list[dict[str, Any]]:
    """BCubed F after rounds of judging all pairs that the page asks about, by the labels."""
    several, rows = products(sets), []
    known = [(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64)) for _ in several]
    for _ in range(ROUNDS + 1):
        scores, judged = [], []
        for place, one in enumerate(several):
            must, cannot = known[place]
            found = find_clusters(one.vectors, constraints=Constraints(must, cannot), seed=place)
            scores.append(float(clustering(one.ids, found.labels, draws=2).bcubed_f))
            judged.append(len(must) + len(cannot))
            # The three questions of the page.
            asked = np.concatenate(
                [doubtful_members(found), doubtful_splits(found), drawn_pairs(found.labels, place)]
            )
            asked = np.unique(np.sort(np.concatenate([asked, must, cannot]), axis=1), axis=0)
            same = one.ids[asked[:, 0]] == one.ids[asked[:, 1]]
            known[place] = asked[same], asked[~same]
        rows.append(
            {"judged": round(np.mean(judged)), "bcubed_f": [round(one, 3) for one in scores]}
        )
    return rows


PARTS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "calibrated on": lambda sets: rows_of(calibrated_on()),
    "in the heap": lambda sets: rows_of(in_the_heap(sets)),
    "names": names,
    "rounds": rounds,
}


# The page.


def page(results: dict[str, Any]) -> str:
    first = "".join(
        f"| {r['calibrated_on']:,} | {spread(r['calibrated'])} | {r['usable']} of "
        f"{max(len(r['own']), 1)} |\n"
        for r in results["calibrated on"]
    )
    own = results["calibrated on"][0]["own"]
    second = "".join(
        f"| {r['data']} | {r['identities']:,} | {r['images']:,} | {r['calibrated_on']:,} | "
        f"{spread(r['own'])} | {spread(r['calibrated'])} |\n"
        for r in results["in the heap"]
    )
    third = "".join(
        f"| {r['enrolled']} | {r['rule']} | {r['right']:.1f} | {r['wrong']:.1f} | "
        f"{r['right'] / max(r['right'] + r['wrong'], 1e-9):.2f} |\n"
        for r in results["names"]
    )
    fourth = "".join(
        f"| {place} | {r['judged']:,} | {spread(r['bcubed_f'])} |\n"
        for place, r in enumerate(results["rounds"])
    )
    about = results["names"][0]
    return TEXT.format(
        first=first, own=spread(own), second=second, third=third, fourth=fourth,
        enough=ENOUGH, fewest=FEWEST,
        heaps=about["heaps"], images=about["images"], part=f"{OF_ALL:.0%}",
        accepted="two thirds" if abs(OF_ACCEPTED - 2 / 3) < 1e-9 else f"{OF_ACCEPTED:.0%}",
    )  # fmt: skip


def spread(values: list[float]) -> str:
    if not values:
        return "not usable"
    if max(values) - min(values) < 0.0005:
        return f"{np.mean(values):.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} – {max(values):.3f})"


TEXT = """# Limits and names of clusters

`python studies/cluster_limits.py SETS` measures these tables and keeps them in
[cluster-limits.json](cluster-limits.json). They say when `arcwise cluster` takes its limits from
the calibration of a model, when a cluster gets the identity of a gallery, and what judging pairs
brings. The data are those
of [Clustering without labels](clustering.md). Values are means over three draws, or over the three
trainings of Grocery; the lowest and highest in brackets.

## How many identities a calibration needs

BCubed F of LFW's half, by limits from thresholds that were calibrated on so many other people. With
limits from the embeddings themselves it is {own}.

| calibrated on | BCubed F | usable |
| --- | --- | --- |
{first}
A calibration is not usable where fewer than two of its thresholds are resolved. From {enough}
identities on it does neither harm nor good here, which settled that number: `arcwise cluster` and
`arcwise data clean` leave a calibration out that rests on fewer than {enough}, and say so.

## How many identities are in the heap

| data | identities | images | calibrated on | limits from the embeddings | from the calibration |
| --- | --- | --- | --- | --- | --- |
{second}
- Limits from the embeddings take most pairs to be of different identities. In heaps of few
  identities that is not so, and a calibration is better, even one on other kinds of images or on a
  dozen identities. Who knows that there are few calibrates on more, or gives a `--threshold`.
- Of fewer than {fewest} images no limits can be found: those of random directions are taken, and
  nearly all images of a weak network become one cluster. There any calibration is used.
- In large heaps a calibration on another kind of images does harm (FG-NET, calibrated on LFW's
  people). Nothing in the embeddings tells that from a heap of few identities: in both, more pairs
  are above the thresholds than were in the calibration. So a calibration on enough identities is
  the default, as those who calibrate know on what. To do without it, embed first, and cluster the
  table.

## When a cluster gets a name

{heaps} heaps of about {images} photos of 13 products, three for each training; 3 or 6 of the
products are enrolled, with five templates each. The gallery decides by the threshold that
`arcwise search` would take, calibrated on 13 other products. Images with a right and with a wrong
name, on average:

| enrolled | a name | right | wrong | right of named |
| --- | --- | --- | --- | --- |
{third}
`arcwise cluster` gives a cluster the identity that {part} or more of its images are accepted as, if
these are {accepted} or more of those that are accepted as anybody. Both numbers were settled on one
other heap, 600 photos of 30 products by another network; these heaps took no part in that. Clusters
of these networks mix products, and a name of a mixed cluster is wrong for a part of it: the column
`accepted` has what the decision says of the image itself.

## How many rounds of judging

All 892 photos of the 13 products. In each round all pairs that the page asks about are judged
without a mistake, and the next round clusters with these decisions and the earlier ones.

| rounds | pairs judged | BCubed F |
| --- | --- | --- |
{fourth}
Each page repeats no pair, and asks about the clusters as they are by then.
"""


if __name__ == "__main__":
    main()
