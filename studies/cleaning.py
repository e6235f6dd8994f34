"""Label errors that were planted, and those of LFW, as `arcwise data clean` finds them.

    ARCWISE_DATA=… python studies/cleaning.py SETS

The sets are those of studies/clustering.py, which says how the embeddings of groceries are made.
What is in docs/cleaning.json already is not measured again. About a minute of one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

import clustering
from arcwise.clustering.clusters import Clusters, find_clusters
from arcwise.clustering.label_errors import LabelError, label_errors
from arcwise.clustering.label_votes import Vote, label_evidence
from arcwise.data.check.label_noise import outliers
from arcwise.data.manifest import Manifest
from arcwise.verbs.data_clean import LabelReport, clean
from cleaning_page import page

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "cleaning.json", DOCS / "cleaning.md"
SEEDS = 3

MOVED, STRANGERS = 0.05, 0.05
"""Share of the images of identities with several that get another identity, or are strangers."""
RENAMED, JOINED = 0.1, 0.1
"""Share of identities that get two names, and that share one with another."""
PARTS = (0.25, 0.5, 1.0)
"""Parts of the list, from its beginning, that are measured."""


class Planted(NamedTuple):
    """Embeddings with wrong labels.

    Attributes:
        vectors: (N, D).
        truth: (N,) who each is of.
        labels: (N,) codes from 0, some of them wrong.
        moved: rows that got the label of another identity.
        strangers: rows of identities that have no label of their own, which got one.
        renamed: pairs of labels that are one identity.
        joined: rows of the one and of the other of two identities that share a label.
    """

    vectors: np.ndarray
    truth: np.ndarray
    labels: np.ndarray
    moved: np.ndarray
    strangers: np.ndarray
    renamed: list[tuple[int, int]]
    joined: list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for data, make in SETS.items():
        runs = results.setdefault(data, [])
        for seed in range(len(runs), SEEDS):
            vectors, ids = make(sets, seed)
            planted = plant(vectors, ids, seed)
            found = find_clusters(planted.vectors, seed=seed)
            errors = label_errors(planted.vectors, planted.labels, found)
            alone = each_vote(planted, found)
            runs.append(scored(planted, errors) | {"alone": alone})
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(data, seed, runs[-1], flush=True)
    if "lfw112" not in results:
        results["lfw112"] = of_lfw()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results))


# The data.


def lfw(sets: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The half of LFW's people on which nothing was settled, but for candidates of wrong names."""
    return half_of_lfw(settled=False)


def half_of_lfw(settled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return one half of LFW's people, without candidates of wrong names, and their codes."""
    vectors, ids = clustering.faces("lfw")
    of_half = np.zeros(ids.max() + 1, dtype=bool)
    of_half[np.random.default_rng(0).permutation(len(of_half))[: len(of_half) // 2]] = True
    person = np.load(_data() / "features/lfw_mobilefacenet.npz")["person"]
    names = [row[side] for row in candidates() for side in ("person_a", "person_b")]
    kept = (of_half[ids] == settled) & ~np.isin(person, names)
    return vectors[kept], ids[kept]


def fgnet(sets: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return clustering.faces("fgnet")


def products(sets: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    some = clustering.products(sets)[seed]
    return some.vectors, some.ids


SETS: dict[str, Callable[[Path, int], tuple[np.ndarray, np.ndarray]]] = {
    "LFW, half": lfw,
    "FG-NET": fgnet,
    "Grocery": products,
}


def plant(vectors: np.ndarray, ids: np.ndarray, seed: int) -> Planted:
    """Return the embeddings with wrong labels, each identity in one kind of error at most."""
    draw = np.random.default_rng(seed)
    ids = np.unique(ids, return_inverse=True)[1]
    sizes = np.bincount(ids)
    labels, several = ids.copy(), draw.permutation(np.flatnonzero(sizes >= 4))
    count = max(1, round(RENAMED * len(several)))
    renamed = []
    for number, one in enumerate(several[:count].tolist()):
        rows = draw.permutation(np.flatnonzero(ids == one))
        labels[rows[: len(rows) // 2]] = len(sizes) + number
        renamed.append((one, len(sizes) + number))
    free = np.setdiff1d(np.flatnonzero(sizes >= 2), several[:count])
    count, free = max(1, round(JOINED * len(free) / 2)), draw.permutation(free)
    joined = []
    for a, b in zip(free[:count], free[count : 2 * count], strict=True):
        joined.append((np.flatnonzero(ids == a), np.flatnonzero(ids == b)))
        labels[joined[-1][0]] = b
    free = free[2 * count :]
    alone = draw.permutation(np.flatnonzero(sizes[ids] == 1))
    if not len(alone):  # identities of which all become strangers
        gone = free[: max(1, round(0.1 * len(free)))]
        free, alone = np.setdiff1d(free, gone), draw.permutation(np.flatnonzero(np.isin(ids, gone)))
    of_free = draw.permutation(np.flatnonzero(np.isin(ids, free)))
    strangers = alone[: round(STRANGERS * len(of_free))]
    wrong = np.union1d(free, np.setdiff1d(ids[sizes[ids] == 1], ids[strangers]))
    labels[strangers] = draw.choice(wrong, len(strangers))
    kept = np.ones(len(ids), bool)
    if len(alone) > len(strangers) and (sizes[ids[alone]] > 1).all():
        kept[alone[len(strangers) :]] = False  # no label is left of their identities
    moved, left = [], sizes.copy()
    for row in of_free.tolist():
        if left[ids[row]] > 2 and len(moved) < round(MOVED * len(of_free)):
            labels[row] = draw.choice(wrong[wrong != ids[row]])
            left[ids[row]] -= 1
            moved.append(row)
    place = np.cumsum(kept) - 1
    codes = np.unique(labels[kept], return_inverse=True)[1]
    names = np.unique(labels[kept])
    return Planted(
        vectors[kept], ids[kept], codes, place[moved], place[strangers],
        [tuple(np.searchsorted(names, pair).tolist()) for pair in renamed],
        [(place[a], place[b]) for a, b in joined],
    )  # fmt: skip


# What is measured.


def scored(planted: Planted, errors: list[LabelError]) -> dict[str, Any]:
    """Return how many errors are right, and how many of the planted are found, along the list."""
    most = majorities(planted)
    right = [is_right(one, planted, most) for one in errors]
    sure = [not one.against for one in errors]
    kinds = {}
    for kind in ("member", "split", "merge"):
        for name, level in (("sure", True), ("unsure", False)):
            of = [r for r, s, e in zip(right, sure, errors, strict=True)
                  if e.kind == kind and s == level]  # fmt: skip
            kinds[f"{kind}, {name}"] = [sum(of), len(of)]
    lists = {"sure": [e for e, s in zip(errors, sure, strict=True) if s], "all": errors}
    targets = [one for one in errors if one.kind == "member" and len(one.identities) == 2]
    moved = set(planted.moved.tolist())
    named = [planted.truth[e.rows[0]] == most[e.identities[1]] for e in targets
             if e.rows[0] in moved]  # fmt: skip
    return {
        "images": len(planted.labels),
        "identities": len(most),
        "precision": kinds,
        "recall": {name: recall(planted, some) for name, some in lists.items()},
        "target": [int(sum(named)), len(named)],
        "parts": list(PARTS),
        "along": [
            [sum(right[: round(part * len(errors))]), round(part * len(errors)),
             *recall(planted, errors[: round(part * len(errors))])["all"]]
            for part in PARTS
        ],
    }  # fmt: skip


def each_vote(planted: Planted, found: Clusters) -> dict[str, list[int]]:
    """Return, of images that one vote alone calls wrong, how many are, and of how many; and recall.

    Of identities with three images or more, where all votes can tell.
    """
    unit = planted.vectors / np.linalg.norm(planted.vectors, axis=1, keepdims=True)
    evidence = label_evidence(unit.astype(np.float32), planted.labels, found)
    clear = evidence.centres.clear & (evidence.sizes > 2)
    rows = np.flatnonzero(clear[planted.labels])
    most = majorities(planted)
    wrong = planted.truth[rows] != most[planted.labels[rows]]
    votes = [evidence.on_member(row) for row in rows.tolist()]
    said = {name: np.array([one[name] for one in votes]) for name in VOTES}
    several = np.sum(list(said.values()), axis=0)
    outlying = np.isin(rows, outliers(unit.astype(np.float32), planted.labels).rows)
    said |= {
        "two or more": several >= 2, "all three": several == 3,
        "nearest mean, as `data check`": outlying,
    }  # fmt: skip
    return {
        name: [int((yes & wrong).sum()), int(yes.sum()), int(wrong.sum())]
        for name, yes in said.items()
    }


VOTES: tuple[Vote, ...] = ("neighbours", "clusters", "sub-centre")


def majorities(planted: Planted) -> np.ndarray:
    """Return (C,) who most images of each label are of."""
    labels = range(planted.labels.max() + 1)
    return np.array([np.bincount(planted.truth[planted.labels == one]).argmax() for one in labels])


def is_right(error: LabelError, planted: Planted, most: np.ndarray) -> bool:
    """Return whether an error is one, by who most images of each label are of."""
    own = error.identities[0]
    if error.kind == "merge":
        return bool(most[own] == most[error.identities[1]])
    if error.kind == "same image":
        return True
    part = np.bincount(planted.truth[list(error.rows)]).argmax()
    rest = np.setdiff1d(np.flatnonzero(planted.labels == own), error.rows)
    return bool(part != np.bincount(planted.truth[rest]).argmax())


def recall(planted: Planted, errors: list[LabelError]) -> dict[str, list[int]]:
    """Return how many of each kind of planted error are found, and how many there are."""
    rows = {row for one in errors if one.kind != "merge" for row in one.rows}
    for row in list(rows):  # of two images of one label, either stands for both
        both = np.flatnonzero(planted.labels == planted.labels[row])
        rows |= set(both.tolist()) if len(both) == 2 else set()
    pairs = {frozenset(one.identities) for one in errors if one.kind == "merge"}
    found = {
        "moved": [row in rows for row in planted.moved.tolist()],
        "strangers": [row in rows for row in planted.strangers.tolist()],
        "two names": [frozenset(pair) in pairs for pair in planted.renamed],
        "shared name": [max(np.mean([row in rows for row in part.tolist()]) for part in two) >= 0.5
                        for two in planted.joined],
    }  # fmt: skip
    counts = {name: [int(sum(of)), len(of)] for name, of in found.items()}
    return counts | {"all": [sum(of[0] for of in counts.values()),
                             sum(of[1] for of in counts.values())]}  # fmt: skip


# LFW as it is.


def _data() -> Path:
    return Path(os.environ["ARCWISE_DATA"])


def candidates() -> list[dict[str, str]]:
    with (_data() / "lfw112/label_noise_candidates.csv").open() as file:
        return list(csv.DictReader(file))


def of_lfw() -> dict[str, Any]:
    """Return what is found in LFW, with its images, and where each candidate is in the list."""
    with (_data() / "lfw112/images.csv").open() as file:
        archive = {row["path"]: row["zip"] for row in csv.DictReader(file)}
    data = np.load(_data() / "features/lfw_mobilefacenet.npz")
    vectors = data["feature"].astype(np.float32)
    flat = pa.array(vectors.reshape(-1))
    table = pa.table(
        {
            "image": [f"{archive[path]}/{path}" for path in data["path"].tolist()],
            "identity": data["person"].tolist(),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )
    report = clean(Manifest(table, _data() / "lfw112", "lfw112"))
    sure = [one for one in report.errors if not one.against]
    found = []
    for row in candidates():
        pair = {row["person_a"], row["person_b"]}
        place, kind = where(report, pair)
        found.append({
            "names": sorted(pair), "similarity": float(row["max_cosine"]), "place": place,
            "kind": kind, "sure": bool(place) and not report.errors[place - 1].against,
        })  # fmt: skip
    return {
        "images": len(report.names), "identities": len(report.identities),
        "errors": report.counts,
        "sure": {kind: sum(one.kind == kind for one in sure) for kind in report.counts},
        "candidates": found,
    }  # fmt: skip


def where(report: LabelReport, pair: set[str]) -> tuple[int | None, str]:
    """Return the place in the list, from 1, of the first error about two names, and its kind."""
    for place, one in enumerate(report.errors, 1):
        if {report.identities[code] for code in one.identities} == pair:
            return place, one.kind
    return None, ""


if __name__ == "__main__":
    main()
