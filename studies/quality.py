"""Does a learned quality find the poor images, and do sets gain by it?

    python studies/prepare.py grocery sets/grocery
    python studies/prepare.py lfw sets/lfw
    python studies/quality.py sets [NAME …]

NAME is grocery or lfw. Half of every identity's images are damaged (`studies/damaged_sets.py`).
Three seeds of `arcface+set-triplet` with a quality, and of MagFace, are trained for equally many
steps. On identities that none was trained on, each quality is compared with the damage, which
nothing was told, and sets are pooled by it. A study that was stopped goes on with the same command.
docs/quality.md and its pictures are written from docs/quality.json.

No setting was chosen: the numbers of the recipes are taken, and pixels and steps are what fifteen
minutes of two cores allow. Before it ran, one seed was looked at on other products (tune.csv).
YuNet scores faces where ARCWISE_DATA has it (models/).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import spearmanr

from arcwise import runtime, sets
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.evaluation import compare_runs, error_versus_reject
from arcwise.evaluation.intervals import multiplicities, percentile_interval
from arcwise.files import atomic_write
from arcwise.images import decode
from arcwise.images.detect import FaceDetector
from arcwise.recipes import recipe
from arcwise.report import plots
from arcwise.runtime.engines import embed_prepared, embed_with_quality
from arcwise.training.config import TrainConfig
from arcwise.verbs.train import train
from damaged_sets import KINDS, TABLE, sets_of, write_damaged
from table2 import interval, on_this_machine, rounded, write_results

DOCS = Path(__file__).parent.parent / "docs"
SEEDS = 3
STEPS = 300
SET_SIZE, MOST_SETS = 4, 8
DRAWS = 400

MISSED = 0.6
"""Share of pairs in the right order under which a kind of damage is called missed."""

LEARNED, LENGTH, OWN_LENGTH = "learned quality", "length, MagFace's", "length, its own"
SHARP, DETECTOR, KNOWN = "sharpness", "detector score", "1 - damage, which is known"
MEAN, MAGFACE, MAGFACE_LENGTH = "mean", "MagFace: mean", "MagFace: by length"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=list(DATA), metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        folder = options.sets / "quality" / name
        config, parts, side = DATA[name](options.sets)
        for part, images in parts.items():
            write_damaged(images, folder / part, side, seed=len(part))
        runs = [trainings(folder, config, seed) for seed in range(SEEDS)]
        found = measured(folder / "test", runs)
        found |= {"steps": STEPS, "pixels": config.encoder.size, "machine": on_this_machine()}
        known = json.loads(results().read_text()) if results().exists() else {}
        known[name] = rounded(found | {"trained": len(parts["train"].classes)})
        write_results(results(), known)
        (DOCS / "quality.md").write_text(page(known))


def results() -> Path:
    return DOCS / "quality.json"


def grocery(prepared: Path) -> tuple[TrainConfig, dict[str, Manifest], int]:
    parts = {"train": "tune_train", "test": "test"}
    images = {
        part: open_manifest(prepared / "grocery" / f"{one}.csv") for part, one in parts.items()
    }
    return recipe("products-small").replace(encoder={"size": 48, "train_crop": 32}), images, 64


def lfw(prepared: Path) -> tuple[TrainConfig, dict[str, Manifest], int]:
    """People with four images or more: of folds 1 to 5, and all images of those of 7 and 8."""
    every = open_manifest(prepared / "lfw" / "data" / "manifest.csv")
    folds = [str(one) for one in every.column("fold") or ()]
    unseen = every.select([row for row, fold in enumerate(folds) if fold in "78"])
    train = open_manifest(prepared / "lfw" / "tune_train.csv")
    images = {"train": with_images(train, 4), "test": with_images(unseen, 4)}
    return recipe("faces").replace(encoder={"size": 48}), images, 112


DATA = {"grocery": grocery, "lfw": lfw}


def with_images(images: Manifest, least: int) -> Manifest:
    counts = np.bincount(images.labels)
    return images.select(np.flatnonzero(counts[images.labels] >= least))


def trainings(folder: Path, config: TrainConfig, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return what both networks of a seed say of the test images; train what is not there."""
    common = {"steps": STEPS, "seed": seed, "validate_every": STEPS, "checkpoint_every": 100}
    config = config.replace(run=common, data={"holdout": 0.0, "domain_balance": 0.0, "workers": 0})
    of_sets = config.with_loss("arcface+set-triplet").replace(encoder={"quality": True})
    return {
        name: outputs(folder / f"{name}-{seed}", one, folder)
        for name, one in (("sets", of_sets), ("magface", config.with_loss("magface")))
    }


def outputs(run: Path, config: TrainConfig, data: Path) -> dict[str, np.ndarray]:
    """Return (N, D) embeddings of the test images, (N,) qualities, and the seconds it took."""
    path = run / "outputs.npz"
    if not path.exists():
        began = time.perf_counter()
        images = open_manifest(data / "train" / TABLE)
        result = train(images, run, config, resume="auto", page=False)
        if not result.loop.finished:
            ended = f"stopped at step {result.loop.steps} by signal {result.loop.stopped_by}"
            sys.exit(f"{run}: {ended}; the same command goes on")
        model = runtime.load(result.model, runtime="torch")
        test = open_manifest(data / "test" / TABLE)
        pixels = np.stack([model.prepare(one) for one in pictures(test)])
        parts = []
        for part in np.array_split(pixels, -(-len(pixels) // 128)):
            if model.estimates_quality:
                parts.append(embed_with_quality(model.engine, model.preparation, part))
            else:
                vectors = embed_prepared(model.engine, model.preparation, part)
                parts.append((vectors, np.ones(len(part), np.float32)))
        vectors, quality = (np.concatenate(one) for one in zip(*parts, strict=True))
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            seconds = time.perf_counter() - began
            np.savez(file, vectors=vectors, quality=quality, seconds=seconds)
        print(f"{run.name}: {seconds:.0f} s", flush=True)
    with np.load(path) as found:
        return dict(found)


def pictures(images: Manifest) -> list[np.ndarray]:
    return [decode(images.read(row), images.image(row)) for row in range(len(images))]


def measured(test: Path, runs: list[dict[str, dict[str, np.ndarray]]]) -> dict[str, Any]:
    """Return how each quality goes with the damage, and what sets pooled by it reach."""
    images = open_manifest(test / TABLE)
    strength = np.array([float(one) for one in images.column("strength") or ()])
    kinds = np.array([one or "" for one in images.column("damage") or ()])
    peers = {SHARP: [sharpness(one) for one in pictures(images)]}
    if (scores := detector_scores(pictures(images), test.parent.name)) is not None:
        peers[DETECTOR] = scores
    qualities = [
        {
            LEARNED: run["sets"]["quality"],
            LENGTH: np.linalg.norm(run["magface"]["vectors"], axis=1),
            OWN_LENGTH: np.linalg.norm(run["sets"]["vectors"], axis=1),
            **{name: np.array(values) for name, values in peers.items()},
        }
        for run in runs
    ]
    chosen = sets_of(images.labels, SET_SIZE, MOST_SETS, seed=0)
    used = np.flatnonzero(chosen >= 0)
    of_set = images.labels[used][np.unique(chosen[used], return_index=True)[1]]
    pooled: dict[str, list[np.ndarray]] = {}
    for run, quality in zip(runs, qualities, strict=True):
        vectors, lengths = run["sets"]["vectors"][used], run["magface"]["vectors"][used]
        one = {MEAN: sets.mean(vectors, chosen[used])}
        weights = quality | {KNOWN: 1 - strength}
        one |= {
            name: sets.quality_weighted(vectors, values[used], chosen[used])
            for name, values in weights.items()
        }
        one[MAGFACE] = sets.mean(lengths, chosen[used])
        one[MAGFACE_LENGTH] = sets.norm_weighted(lengths, chosen[used])
        for name, found in one.items():
            pooled.setdefault(name, []).append(found.vectors)
    table = compare_runs(pooled, of_set, baseline=MEAN)
    rejection = {
        name: error_versus_reject(runs[0]["sets"]["vectors"], images.labels, values)
        for name, values in qualities[0].items()
    }
    name = test.parent.name
    ranked = dict(sorted(table.tar.mean.items(), key=lambda item: -item[1]))
    for title, picture in (
        (f"quality_{name}.svg", plots.comparison(ranked, "TAR at FAR 1 % of sets")),
        (f"quality_reject_{name}.svg", plots.error_versus_reject(rejection)),
    ):
        (DOCS / "images" / title).write_text(picture)
    return {
        "identities": len(images.classes),
        "images": len(images),
        "sets": len(of_set),
        "set_sizes": np.bincount(np.bincount(chosen[used]))[1:].tolist(),
        "seeds": len(runs),
        "minutes": sum(float(one["seconds"]) for run in runs for one in run.values()) / 60,
        "correlation": {
            name: correlation([one[name] for one in qualities], strength, images.labels)
            for name in qualities[0]
        },
        "kinds": {
            name: found_shares([one[name] for one in qualities], kinds) for name in qualities[0]
        },
        "recognised": recognised([one["sets"]["vectors"] for one in runs], images.labels, kinds),
        "table": table.as_dict(),
        "rejection": {name: one.as_dict() for name, one in rejection.items()},
    }


def correlation(
    qualities: list[np.ndarray], strength: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Return Spearman's correlation with the absence of damage: each seed, mean, and interval.

    The interval is that of drawing identities, of the mean over the seeds.
    """
    each = [float(spearmanr(one, -strength).statistic) for one in qualities]
    rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = []
    for counts in multiplicities(len(rows_of), DRAWS, 0):
        again = (np.tile(one, times) for one, times in zip(rows_of, counts, strict=True))
        rows = np.concatenate(list(again))
        drawn.append(
            np.mean([spearmanr(one[rows], -strength[rows]).statistic for one in qualities])
        )
    low, high = percentile_interval(drawn)
    return {"each": each, "value": float(np.mean(each)), "low": low, "high": high}


def found_shares(qualities: list[np.ndarray], kinds: np.ndarray) -> dict[str, float]:
    """Return how often an undamaged image has a higher quality than one damaged so; ties half."""
    found = {}
    for kind in KINDS:
        good, bad = (np.flatnonzero(kinds == one) for one in ("", kind))
        each = [one[good][:, None] - one[bad] for one in qualities]
        found[kind] = float(np.mean([(one > 0).mean() + (one == 0).mean() / 2 for one in each]))
    return found


def recognised(runs: list[np.ndarray], labels: np.ndarray, kinds: np.ndarray) -> dict[str, float]:
    """Return, by kind of damage, how many images have one of their identity as the nearest.

    The nearest is looked for among the undamaged images, of which the image itself is none.
    """
    good = np.flatnonzero(kinds == "")
    found: dict[str, list[float]] = {}
    for vectors in runs:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        similarity = unit @ unit[good].T
        similarity[good, np.arange(len(good))] = -np.inf
        right = labels[good][similarity.argmax(1)] == labels
        for kind in ("", *KINDS):
            found.setdefault(kind or "undamaged", []).append(float(right[kinds == kind].mean()))
    return {kind: float(np.mean(each)) for kind, each in found.items()}


def sharpness(image: np.ndarray) -> float:
    """Return the variance of the Laplacian of the image in grey."""
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def detector_scores(images: list[np.ndarray], name: str) -> list[float] | None:
    """Return the score of the face in each image, 0 without one; None where there are no faces."""
    path = Path(os.environ.get("ARCWISE_DATA", "")) / "models" / "yunet_n_dynamic.onnx"
    if name != "lfw" or not path.exists():
        return None
    detector = FaceDetector(path, score=0.01)
    scores = []
    for image in images:  # a face that fills its crop is not found: it gets a border
        border = len(image) // 2
        framed = cv2.copyMakeBorder(image, *(border,) * 4, cv2.BORDER_REPLICATE)
        scores.append(max((one.score for one in detector.detect(framed)), default=0.0))
    return scores


def page(known: dict[str, Any]) -> str:
    lines = [
        "# Does a learned quality find the poor images?",
        "",
        "Written by `studies/quality.py`, which also says how to run it; every number is in",
        "`quality.json`. Half of the images of every identity are blurred, shrunk, darkened or",
        "occluded, to a known degree (`studies/damaged_sets.py`), in training and in the test.",
        "Nothing is told which. A network learns embeddings and a quality of each image by",
        "`arcface+set-triplet` ([how to](how-to/sets.md)); another is trained with MagFace,",
        "whose lengths are to tell the quality. No setting was chosen on these data; identities",
        "of the test were not trained on. Networks and images are small: they show whether a",
        "quality is learned, not how far that goes.",
    ]
    for name, found in known.items():
        lines += ["", f"## {name}", "", *section(name, found)]
    return "\n".join(lines) + "\n"


def section(name: str, found: dict[str, Any]) -> Iterator[str]:
    sizes = ", ".join(
        f"{count} of {size}" for size, count in enumerate(found["set_sizes"], 1) if count
    )
    yield (
        f"{found['trained']} identities are trained on, {found['identities']} with "
        f"{found['images']:,} images are measured, in {found['sets']} sets ({sizes} images). "
        f"{found['seeds']} seeds, {found['steps']} steps, {found['pixels']} pixels; "
        f"{found['minutes']:.0f} minutes in all, on {found['machine']}."
    )
    yield ""
    yield (
        "Rank correlation (Spearman) of each quality with the absence of damage, and how often an "
        "undamaged image has the higher quality than a damaged one (one half is chance):"
    )
    yield ""
    yield f"| quality | correlation | {' | '.join(KINDS)} |"
    yield "|---" * (len(KINDS) + 2) + "|"
    for quality, one in found["correlation"].items():
        shares = [f"{found['kinds'][quality][kind]:.2f}" for kind in KINDS]
        yield f"| {quality} | {interval(one, '.2f')} | {' | '.join(shares)} |"
    yield ""
    recalls = [f"{kind} {found['recognised'][kind]:.2f}" for kind in ("undamaged", *KINDS)]
    yield (
        "What a damage costs is another matter. Of each kind, the nearest undamaged image is of "
        f"the same identity for this part of the images (recall@1): {', '.join(recalls)}."
    )
    yield ""
    yield (
        "TAR at FAR 1 % of sets, by how their images are weighted; p is corrected by Holm's method "
        "for all comparisons with the mean. All but the last two rows pool the same embeddings. "
        "The known damage is a weight too; what is damaged as much is not worth as little for "
        "recognition, whatever the damage."
    )
    yield ""
    yield "| images weighted by | TAR@0.01 | TAR - mean | p |"
    yield "|---|---|---|---|"
    tar = found["table"]["metrics"][0]
    for weighting, mean in tar["mean"].items():
        gap = tar["to_baseline"].get(weighting)
        cells = (
            ["", ""]
            if gap is None
            else [interval(gap["difference"], "+.3f"), f"{gap['corrected_p']:.2g}"]
        )
        yield f"| {weighting} | {interval(mean)} | {' | '.join(cells)} |"
    yield ""
    yield f"![TAR of sets, {name}](images/quality_{name}.svg)"
    yield ""
    yield (
        "The false-reject rate of single images at FAR 1 %, when those of lowest quality are "
        "rejected, as a mean ratio to the rate before (1 is a quality worth nothing; first seed): "
        + "; ".join(
            f"{quality} {one['ratio'][0]:.2f} ({one['ratio'][1]:.2f} – {one['ratio'][2]:.2f})"
            for quality, one in found["rejection"].items()
        )
        + "."
    )
    yield ""
    yield f"![Error against share rejected, {name}](images/quality_reject_{name}.svg)"
    yield ""
    yield from verdicts(found)


def verdicts(found: dict[str, Any]) -> Iterator[str]:
    """Yield what worked and what did not, in words that follow from the numbers."""
    learned, tar = found["correlation"][LEARNED], found["table"]["metrics"][0]
    yield (
        f"The learned quality {'goes with' if learned['low'] > 0 else 'does not go with'} the "
        f"absence of damage ({learned['value']:.2f})."
    )
    shares = found["kinds"][LEARNED]
    missed = [kind for kind, share in shares.items() if share < MISSED]
    if missed:
        yield f"It misses images that are {' or '.join(missed)} (under {MISSED} above)."
    better = [name for name, one in found["correlation"].items() if one["low"] > learned["high"]]
    if better:
        yield f"More surely than by it, damage is found by: {', '.join(better)}."
    for weighting in (LEARNED, LENGTH, SHARP, DETECTOR):
        if (gap := tar["to_baseline"].get(weighting)) is None:
            continue
        value = gap["difference"]["value"]
        verdict = "differ from the mean by nothing that is significant"
        if gap["decided"]:
            verdict = "are better than the mean" if value > 0 else "are worse than the mean"
        yield f"Sets weighted by {weighting} {verdict} ({value:+.3f})."
    gap = tar["to_baseline"][KNOWN]["difference"]["value"]
    yield f"The known damage as a weight gives {gap:+.3f}."


if __name__ == "__main__":
    main()
