"""L-GCN on faces, trained on half of the people and clustering the others: docs/linkage.md.

    ARCWISE_DATA=… python studies/linkage.py [--work runs/linkage-study]

The vectors are those of `features/` in the data folder, of LFW and of FG-NET. Half of LFW's people
train the networks, with three seeds, and choose the thresholds of all methods. The others, and
FG-NET, are clustered. What is in docs/linkage.json already is not repeated, and a training that was
stopped goes on. About six minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from arcwise.clustering.graph import Neighbours, nearest_neighbours
from arcwise.clustering.linkage.propagation import propagate
from arcwise.clustering.linkage.training import LinkageTraining, train_linkage
from arcwise.clustering.map_equation import modules, undirected_flow
from arcwise.evaluation import clustering

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "linkage.json", DOCS / "linkage.md"
SEEDS, AGGREGATIONS = 3, ("mean", "weighted", "attention")
NEIGHBOURS = 80
COSINES = np.round(np.arange(0.40, 0.71, 0.02), 2)
EVERY_SIZE = 10**9
RECALL_FROM, RECALL_AT = 0.1, 0.6
"""How far below the cosine of the graph a link is looked at, and from which probability it counts:
the 0.60 of FC-ESER."""


class Faces(NamedTuple):
    """Embeddings, their people and their nearest neighbours."""

    vectors: np.ndarray
    person: np.ndarray
    near: Neighbours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--work", type=Path, default=Path("runs/linkage-study"))
    work = parser.parse_args().work
    train, sets = faces(Path(os.environ["ARCWISE_DATA"]))
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "baselines" not in results:
        results["baselines"] = baselines(train, sets)
        results["data"] = {
            name: {"images": len(one.person), "people": len(np.unique(one.person))}
            for name, one in {"training": train, **sets}.items()
        }
        results["machine"] = f"{platform.machine()}, torch {torch.__version__}"
        keep(results)
    for aggregation in AGGREGATIONS:
        for seed in range(SEEDS):
            if (key := f"{aggregation} {seed}") not in results:
                cosine = results["baselines"]["map equation"]["chosen"]
                results[key] = networks(train, sets, aggregation, seed, cosine, work / key)
                keep(results)
                PAGE.write_text(page(results))
    PAGE.write_text(page(results))


def keep(results: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def faces(data: Path) -> tuple[Faces, dict[str, Faces]]:
    """Return the half of LFW to train on, and what is clustered."""
    lfw = np.load(data / "features/lfw_mobilefacenet.npz")
    people = np.unique(lfw["person"])
    half = np.random.default_rng(0).permutation(people)[: len(people) // 2]
    trained = np.isin(lfw["person"], half)
    fgnet = np.load(data / "features/fgnet_mobilefacenet.npz")
    return with_neighbours(lfw["feature"][trained], lfw["person"][trained]), {
        "LFW": with_neighbours(lfw["feature"][~trained], lfw["person"][~trained]),
        "FG-NET": with_neighbours(fgnet["feature"], fgnet["person"]),
    }


def with_neighbours(vectors: np.ndarray, person: np.ndarray) -> Faces:
    vectors = vectors.astype(np.float32)
    return Faces(vectors, person, nearest_neighbours(vectors, NEIGHBOURS))


def components(some: Faces, cosine: float) -> np.ndarray:
    pairs, similarity = some.near.pairs()
    size = len(some.person)
    return propagate(pairs, similarity, size, threshold=cosine, largest=EVERY_SIZE)


def map_equation(some: Faces, cosine: float) -> np.ndarray:
    pairs, similarity = some.near.pairs(cosine)
    return modules(undirected_flow(pairs, similarity, len(some.person)))


def baselines(train: Faces, sets: dict[str, Faces]) -> dict[str, Any]:
    """The methods that learn nothing but a threshold."""
    found: dict[str, Any] = {}
    methods: dict[str, Callable[[Faces, float], np.ndarray]] = {
        "components": components,
        "map equation": map_equation,
    }
    for name, method in methods.items():
        scores = [
            float(clustering(train.person, method(train, float(one)), draws=1).bcubed_f)
            for one in COSINES
        ]
        chosen = float(COSINES[int(np.argmax(scores))])
        found[name] = {"chosen": chosen}
        for data, some in sets.items():
            found[name][data] = measured(some, partial(method, some, chosen))
    return found


def networks(
    train: Faces, sets: dict[str, Faces], aggregation: str, seed: int, cosine: float, work: Path
) -> dict[str, Any]:
    """Train one network, and cluster with it in three ways."""
    settings, begun = LinkageTraining(aggregation=aggregation), time.process_time()
    result = train_linkage(train.vectors, train.person, settings, seed=seed, folder=work)
    model = result.model
    found: dict[str, Any] = {
        "training": {
            "seconds": round(time.process_time() - begun, 1),
            "losses": [round(one, 4) for one in result.losses],
            "threshold": model.threshold,
            "bcubed_f": round(result.bcubed_f, 4),
        }
    }
    for data, some in sets.items():
        begun = time.process_time()
        graph = some, *model.links(some.vectors, some.near)
        seconds = time.process_time() - begun
        ways = {
            "propagation": partial(propagated, *graph, model.threshold, model.largest),
            "map equation": partial(by_probability, *graph, model.threshold),
            "edge recall": partial(with_recall, *graph, cosine),
        }
        for way, cluster in ways.items():
            found.setdefault(way, {})[data] = measured(some, cluster, seconds)
    return found


def propagated(
    some: Faces, links: np.ndarray, score: np.ndarray, threshold: float, largest: int
) -> np.ndarray:
    return propagate(links, score, len(some.person), threshold=threshold, largest=largest)


def by_probability(
    some: Faces, links: np.ndarray, score: np.ndarray, threshold: float
) -> np.ndarray:
    """The map equation on the links that the network is sure of, weighed by their probability."""
    kept = score >= threshold
    return modules(undirected_flow(links[kept], score[kept], len(some.person)))


def with_recall(some: Faces, links: np.ndarray, score: np.ndarray, cosine: float) -> np.ndarray:
    """The map equation on the usual graph, and links just below it that the network takes."""
    pairs, similarity = some.near.pairs(cosine - RECALL_FROM)
    size = len(some.person)
    taken = np.isin(pairs @ [size, 1], links[score >= RECALL_AT] @ [size, 1])
    kept = taken | (similarity >= cosine)
    return modules(undirected_flow(pairs[kept], similarity[kept], size))


def measured(
    some: Faces, cluster: Callable[[], np.ndarray], seconds: float = 0.0
) -> dict[str, Any]:
    begun = time.process_time()
    found = cluster()
    seconds += time.process_time() - begun
    result = clustering(some.person, found)
    rates = {
        name: [round(float(one), 4), round(one.low, 4), round(one.high, 4)]
        for name, one in {
            "pairwise F": result.pairwise_f,
            "BCubed F": result.bcubed_f,
            "BCubed P": result.bcubed_precision,
            "BCubed R": result.bcubed_recall,
        }.items()
    }
    plain = {"NMI": round(result.nmi, 4), "ARI": round(result.ari, 4)}
    return rates | plain | {"clusters": result.clusters, "seconds": round(seconds, 2)}


WAYS = {
    "propagation": "L-GCN",
    "map equation": "map equation on the links of L-GCN",
    "edge recall": "map equation with L-GCN's edge recall",
}


def page(results: dict[str, Any]) -> str:
    about, base = results["data"], results["baselines"]
    trained = [run["training"] for key, run in results.items() if key[-1].isdigit()]
    cores = sum(one["seconds"] for one in trained) / 60
    lines = [
        "# Linkage clustering by graph convolution (L-GCN)",
        "",
        "Written by `studies/linkage.py`, which also says how to run it; every number is in",
        "`linkage.json`. The vectors are those of one MobileFaceNet. Networks are trained on",
        f"{about['training']['images']:,} images of {about['training']['people']:,} people of LFW,",
        f"{SEEDS} seeds each, with the defaults of `arcwise train-linkage`. They cluster the other",
        f"{about['LFW']['people']:,} people of LFW ({about['LFW']['images']:,} images), and FG-NET",
        f"({about['FG-NET']['people']} people, {about['FG-NET']['images']} images, ages apart).",
        "Thresholds are chosen on the people trained on: those of L-GCN on the fifth that was",
        "held out, the cosine of the other methods on all of them. The defaults of the training",
        "were chosen on them too.",
        "",
        "Values are means of the seeds. In brackets is the 95 % interval over people (the mean of",
        "the seeds' intervals), then the lowest and the highest seed. Seconds are of one core,",
        "from nearest neighbours that are known.",
        f"{len(trained)} trainings took {cores:.1f} minutes of one core ({results['machine']}).",
    ]
    for data in ("LFW", "FG-NET"):
        lines += [
            "",
            f"## {data}",
            "",
            "| method | BCubed F | pairwise F | BCubed P, R | NMI | ARI | clusters | s |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name in ("components", "map equation"):
            title = f"{name}, cosine from {base[name]['chosen']:.2f}"
            lines.append(row(title, [base[name][data]]))
        for way, title in WAYS.items():
            for aggregation in AGGREGATIONS:
                keys = [f"{aggregation} {seed}" for seed in range(SEEDS)]
                runs = [results[key][way][data] for key in keys if key in results]
                if len(runs) == SEEDS:  # else it was stopped, and goes on from there
                    lines.append(row(f"{title}, {aggregation}", runs))
    return "\n".join([*lines, "", *ENDING]) + "\n"


ENDING = [
    "## What did not work",
    "",
    "On LFW the network is below the plain cosine, which is nearly always right about two",
    "faces of this MobileFaceNet, and some thousand images are few to learn a better",
    "similarity from nothing. Supervised edge recall (links up to 0.1 below the cosine of the",
    "graph where the network gives 0.60 or more, as in FC-ESER) does not improve the map",
    "equation here.",
    "",
    "FG-NET has the same person decades apart, which the training had not. The links are of",
    "use to the map equation there, not alone: where single links join, one wrong one joins",
    "two people.",
    "",
    "In trials on the people trained on, with one seed, the schedule of the paper (a learning",
    "rate of 0.01, by ten less in each of four epochs) and sub-graphs of 20 neighbours did",
    "worse, and with a rate of 0.2 nothing was learned. The paper's own sub-graphs in",
    "training, 200 and 10 neighbours, were not tried. These trials are not in `linkage.json`.",
]


def row(title: str, runs: list[dict[str, Any]]) -> str:
    def mean(name: str) -> float:
        return statistics.mean(run[name] for run in runs)

    def rate(name: str) -> str:
        value, low, high = (statistics.mean(run[name][i] for run in runs) for i in range(3))
        values = [run[name][0] for run in runs]
        seeds = f" {min(values):.3f} – {max(values):.3f}" if len(runs) > 1 else ""
        return f"{value:.4f} [{low:.3f}, {high:.3f}]{seeds}"

    both = ", ".join(
        f"{statistics.mean(run[name][0] for run in runs):.3f}" for name in ("BCubed P", "BCubed R")
    )
    return (
        f"| {title} | {rate('BCubed F')} | {rate('pairwise F')} | {both} | {mean('NMI'):.4f} | "
        f"{mean('ARI'):.3f} | {mean('clusters'):,.0f} | {mean('seconds'):.1f} |"
    )


if __name__ == "__main__":
    main()
