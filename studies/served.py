"""Does a server decide as the command line does, at the rates it states? `studies/served.py SETS`.

Half of the identities that a network has not seen calibrate it; of the other half some are enrolled
over HTTP, with one, three or all but one of their images (the only one, where there are no more),
and further images of them and of strangers search over HTTP. Where all but one are enrolled, the
gallery as it is is calibrated, as `arcwise calibrate --gallery` does it, and otherwise the model.
The same images are searched for by `arcwise search` in the same gallery. Both have to give the same
identities, similarities and decisions; and the strangers who are answered, and the enrolled who are
found, are compared with the rates that the server states in its answers.

    grocery  products in shops, by a small model that is trained on 20 others, in a minute or two,
             in SETS/grocery/served; SETS/grocery comes from `studies/prepare.py grocery`
    lfw112   faces, by the network in ARCWISE_DATA/models, which saw none of them; the half that
             calibrates does so by the vectors in ARCWISE_DATA/features

docs/served.md is written from docs/served.json. Cells that are there are not measured again; all
take half an hour beside other work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import arcwise
from arcwise import evaluation, runtime
from arcwise.bundle import add_thresholds
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.gallery import GalleryCalibration, OperatingPoint, open_gallery
from arcwise.recipes import recipe
from arcwise.recognition import SearchResult
from arcwise.serving.running import Server
from arcwise.serving.settings import Settings
from arcwise.verbs.export import export
from arcwise.verbs.import_model import import_model
from arcwise.verbs.search import search
from arcwise.verbs.train import train
from promises import TRAINED, inside, read, rounded, write
from table2 import on_this_machine

DOCS = Path(__file__).parent.parent / "docs"
CELLS, PAGE = DOCS / "served.json", DOCS / "served.md"
RATES = (0.1, 0.01)
TEMPLATES = (1, 3, None)
FIRST, SPLITS = 300, 3
STEPS, AT_ONCE = 300, 16

Cell = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """A set of identities that a network has not seen.

    Attributes:
        model: the network's folder, exported.
        images: of all identities.
        vectors: (N, D), of the images.
    """

    model: Path
    images: Manifest
    vectors: np.ndarray


@dataclass(frozen=True)
class Amount:
    """How much of a set is measured.

    Attributes:
        about: the set, for the page.
        enrolled: identities.
        mated: further images of each of them that search, at most.
        strangers: images of others that search, at most.
    """

    about: str
    enrolled: int
    mated: int
    strangers: int


AMOUNTS = {
    "grocery": Amount(
        f"45 products in shops, by a model trained on {TRAINED} others in {STEPS} steps",
        10,
        10,
        400,
    ),
    "lfw112": Amount("4,859 people, by a MobileFaceNet that saw none of them", 50, 2, 400),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    options = parser.parse_args()
    data = os.environ.get("ARCWISE_DATA")
    if not data:
        sys.exit("set ARCWISE_DATA to the folder that holds the data sets")
    opened: dict[str, Callable[[], Measured]] = {
        "grocery": lambda: grocery(options.sets / "grocery"),
        "lfw112": lambda: lfw112(Path(data).resolve(), options.sets / "lfw112"),
    }
    for name, open_set in opened.items():
        done = {one["split"] for one in known()["cells"] if one["set"] == name}
        splits = [one for one in range(FIRST, FIRST + SPLITS) if one not in done]
        given = open_set() if splits else None
        for split in splits:
            assert given is not None
            start = time.monotonic()
            cells = [{"set": name, "split": split, **one} for one in measured(name, given, split)]
            found = known()
            found["cells"] += cells
            found["seconds"] = found.get("seconds", 0) + time.monotonic() - start
            found["machine"] = on_this_machine()
            CELLS.write_text(json.dumps(found).replace("}, ", "},\n") + "\n")
            print(f"{name}, split {split}: {len(cells)} cells", flush=True)
    PAGE.write_text(page(known()))


def known() -> dict[str, Any]:
    return json.loads(CELLS.read_text()) if CELLS.exists() else {"cells": []}


def grocery(folder: Path) -> Measured:
    """The products of `studies/promises.py`, by a model that is trained here if there is none."""
    rows = [row for row in read(folder / "data" / "manifest.csv") if row["domain"] == "shop"]
    names = sorted({row["identity"] for row in rows})
    trained = set(np.random.default_rng(0).permutation(names)[:TRAINED].tolist())
    run = folder / "served"
    for file, of_trained in (("known.csv", True), ("new.csv", False)):
        write(folder / file, [row for row in rows if (row["identity"] in trained) == of_trained])
    if not (run / "model" / "encoder.onnx").exists():
        small = recipe("products-small").replace(
            encoder={"size": 48, "train_crop": 32},
            run={"steps": STEPS, "validate_every": STEPS},
            data={"holdout": 0.0},
        )
        train(folder / "known.csv", run, small)
        export(run / "model")
    images = open_manifest(folder / "new.csv")
    result = runtime.embed_manifest(runtime.load(run / "model", runtime="onnx"), images)
    return Measured(run / "model", images.select(result.rows), result.vectors)


def lfw112(data: Path, folder: Path) -> Measured:
    """The people of LFW with the vectors that came from the network."""
    model = folder / "model"
    if not model.exists():
        network = data / "models" / "mobilefacenet_foamliu.onnx"
        about = {"preparation": "imagenet", "licence": "Apache-2.0", "resize": "stretch"}
        import_model(network, model, **about, height=112, width=112)
    archives = {row["path"]: row["zip"] for row in read(data / "lfw112" / "images.csv")}
    found = np.load(data / "features" / "lfw_mobilefacenet.npz")
    places = [f"{data}/lfw112/{archives[one]}/{one}" for one in found["path"].tolist()]
    rows = zip(places, found["person"].tolist(), strict=True)
    write(folder / "images.csv", [{"image": place, "identity": who} for place, who in rows])
    vectors = found["feature"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Measured(model, open_manifest(folder / "images.csv"), vectors)


def measured(name: str, given: Measured, split: int) -> Iterator[Cell]:
    """Every cell of one split of the identities."""
    amount, generator = AMOUNTS[name], np.random.default_rng(split)
    ids = np.asarray(given.images.labels)
    order = generator.permutation(int(ids.max()) + 1)
    half, others = order[: len(order) // 2], order[len(order) // 2 :]
    calibrating = np.flatnonzero(np.isin(ids, half))
    counts = np.bincount(ids)
    with tempfile.TemporaryDirectory() as place:
        model = Path(place, "model")
        shutil.copytree(given.model, model)
        vectors, of = given.vectors[calibrating], ids[calibrating]
        kinds = [(amount.enrolled, one) for one in TEMPLATES if one is not None]
        add_thresholds(
            model,
            evaluation.calibrate(vectors, of),
            search_thresholds=evaluation.calibrate_searches(vectors, of, RATES, kinds),
            measured_on=f"half of {name}",
            digests=(),
        )
        for templates in TEMPLATES:
            able = others[counts[others] >= (templates or 1)]
            enrolled = generator.choice(able, amount.enrolled, replace=False)
            strangers = np.flatnonzero(np.isin(ids, np.setdiff1d(others, enrolled)))
            rows, mated = [], []
            for one in enrolled.tolist():
                of_one = generator.permutation(np.flatnonzero(ids == one))
                count = templates or max(1, len(of_one) - 1)
                rows.append(of_one[:count])
                mated += of_one[count : count + amount.mated].tolist()
            some = min(amount.strangers, len(strangers))
            asking = np.array([*mated, *generator.choice(strangers, some, replace=False)])
            gallery = Path(place, f"{templates}.gallery")
            enrol(given.images, gallery, model, rows)
            if templates is None:  # a model's calibration is for as many images of each
                templates_of_all = given.vectors[np.concatenate(rows)]
                calibrate_gallery(gallery, vectors @ templates_of_all.T, of)
            for one in asked(given.images, gallery, model, asking, len(mated)):
                enrolled_as = {"identities": len(rows), "enrolled": sum(map(len, rows))}
                each = "all" if templates is None else f"{templates}"
                yield {"templates": each, **enrolled_as, **one}


def enrol(images: Manifest, gallery: Path, model: Path, rows: Sequence[np.ndarray]) -> None:
    """Enrol over HTTP images of one identity after the other."""
    with served(gallery, model) as url, arcwise.Client(url) as client:
        for one in rows:
            for some in np.split(one, range(AT_ONCE, len(one), AT_ONCE)):
                client.enrol(images.identities[some[0]], images.select(some))


def calibrate_gallery(gallery: Path, similarity: np.ndarray, ids: np.ndarray) -> None:
    """Measure the rates against a gallery as it is, as `arcwise calibrate --gallery` does.

    Args:
        gallery: that is searched.
        similarity: (U, T) of strangers' images to the templates.
        ids: (U,) of the strangers.
    """
    with open_gallery(gallery) as store:
        size = store.size()
        best = similarity.max(axis=1)
        found = evaluation.calibrate_in_gallery(best, ids, RATES, gallery=size.identities)
        resolved = tuple(one for one in found if one.resolved)
        store.keep_calibration(
            GalleryCalibration(size.identities, size.templates, resolved, "", size.newest)
        )


def asked(
    images: Manifest, gallery: Path, model: Path, asking: np.ndarray, mated: int
) -> Iterator[Cell]:
    """Search over HTTP and by the command, and compare: a cell for each rate."""
    queries, names = images.select(asking), np.array(images.identities, object)
    with served(gallery, model) as url, arcwise.Client(url) as client:
        over_http = {rate: client.search(queries, fpir=rate) for rate in RATES}
    for rate, found in over_http.items():
        local = search(gallery, [queries], fpir=rate)
        found_ids = np.array([one.decision.identity for one in found.answers], object)
        right = found_ids == names[asking]
        answered = found_ids != None  # noqa: E711 - each element
        point = found.point
        assert point is not None
        yield {
            "rate": rate,
            **alike(found, local),
            "queries": {"mated": mated, "strangers": len(asking) - mated},
            **promised(point),
            "fpir": rounded(float(answered[mated:].mean())),
            "dir": rounded(float(right[:mated].mean())) if mated else None,
        }


def alike(found: SearchResult, local: SearchResult) -> dict[str, Any]:
    """How many queries are answered alike, and how far similarities differ at most."""
    assert found.point == local.point
    pairs = list(zip(found.answers, local.answers, strict=True))
    decisions = sum(one.decision == other.decision for one, other in pairs)
    identities = sum(
        one.decision.identity == other.decision.identity
        and [hit.identity for hit in one.hits] == [hit.identity for hit in other.hits]
        for one, other in pairs
    )
    apart = max(
        abs(hit.similarity - again.similarity)
        for one, other in pairs
        for hit, again in zip(one.hits, other.hits, strict=True)
    )
    return {"same_bits": decisions, "same_identities": identities, "apart": rounded(apart)}


def promised(point: OperatingPoint) -> dict[str, Any]:
    """What the server states: the ends of the false-positive and of the detection rate."""
    if not point.promises:
        return {"fpir_promised": None, "dir_promised": None}
    unknown = point.fpir_interval == (0.0, 1.0)
    ends = (0.0, point.fpir) if unknown else point.fpir_interval
    return {
        "fpir_promised": [rounded(one) for one in ends],
        "dir_promised": None if point.dir is None else [rounded(one) for one in point.dir[1:]],
    }


@contextmanager
def served(gallery: Path, model: Path) -> Iterator[str]:
    """Yield the address of a gallery that a server in this process serves."""
    shop = {"path": str(gallery), "model": model}
    limits = {"rate": 1e6, "burst": 10**6}
    given = {"port": 0, "galleries": {"shop": shop}, "limits": limits}
    server = Server(Settings.model_validate(given))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"{server.url}/v1/galleries/shop"
    finally:
        server.stop()
        thread.join()


def page(found: dict[str, Any]) -> str:
    cells = found["cells"]
    queries = sum(sum(one["queries"].values()) for one in cells)
    same = sum(one["same_identities"] for one in cells)
    bits = sum(one["same_bits"] for one in cells)
    apart = max(one["apart"] for one in cells)
    differ = f"Similarities differ by at most {apart:.1g}." if apart else "No similarity differs."
    lines = [
        "# A server's decisions",
        "",
        "Written by `python studies/served.py SETS`, whose first lines say what is done; every",
        "cell is in `served.json`. Images are enrolled and searched over HTTP, and searched again",
        "by `arcwise search` in the same gallery.",
        "",
        f"Of {queries:,} answers, {same:,} name the same identities in the same order and decide",
        f"the same; {bits:,} decisions are the same to the last bit. {differ}",
        "",
        "Promised is what the server states with its answers: the ends of 95 % intervals of the",
        "share of strangers who get an answer (FPIR), and of images of enrolled identities that",
        "are found (DIR; a gallery that is calibrated as it is was measured by strangers alone).",
        "Where it knows no such rate, a bound. A measured rate is that of one gallery and of so",
        "many strangers as are said. All rates come",
        f"from other identities than were calibrated on, in {SPLITS} splits of them. Measured on",
        f"{found['machine']}, in {found['seconds'] / 60:.0f} minutes.",
        "",
        f"Of the measured rates, {kept(cells, 'fpir')} of FPIR and {kept(cells, 'dir')} of DIR lie",
        "in what is promised: fewer than 95 %. One reason is that few images are asked here: of",
        "400 strangers, a rate of 1 % is off by half a percent by chance, and the promise is of",
        "about as many as calibrated. Which part of the misses that explains was not measured. If",
        "each measured rate is given an interval of its own (Wilson, 95 %, added after the first",
        "count was seen; it takes images of one identity for independent),",
        f"{kept(cells, 'fpir', wide=True)} and {kept(cells, 'dir', wide=True)} meet the promise.",
        "[Promised rates](promises.md) are measured with all images of many more galleries.",
        "",
        "| set | templates | rate | answers alike | FPIR promised | measured | in "
        "| DIR promised | measured | in |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((one["set"], one["templates"], one["rate"]) for one in cells)
    for name, templates, rate in keys:
        key = (name, templates, rate)
        of = [one for one in cells if (one["set"], one["templates"], one["rate"]) == key]
        total = sum(sum(one["queries"].values()) for one in of)
        alike_there = f"{sum(one['same_identities'] for one in of):,} of {total:,}"
        row = [
            name,
            templates,
            f"{rate:g}",
            alike_there,
            *compared(of, "fpir"),
            *compared(of, "dir"),
        ]
        lines.append(f"| {' | '.join(row)} |")
    lines.append("")
    for name, amount in AMOUNTS.items():
        of = [one for one in cells if one["set"] == name]
        strangers = sorted({one["queries"]["strangers"] for one in of})
        lines.append(
            f"- {name}: {amount.about}. {amount.enrolled} identities are enrolled; "
            f"{' to '.join(dict.fromkeys(f'{one:,}' for one in (strangers[0], strangers[-1])))} "
            "images of strangers search."
        )
    return "\n".join(lines) + "\n"


def kept(cells: Sequence[Cell], rate: str, *, wide: bool = False) -> str:
    """How many measured rates lie in what is promised, or else might."""
    right = []
    for one in cells:
        if one[f"{rate}_promised"] is not None and one[rate] is not None:
            low, high = one[f"{rate}_promised"]
            count = one["queries"]["strangers" if rate == "fpir" else "mated"]
            least, most = wilson(one[rate], count) if wide else (one[rate], one[rate])
            right.append(least <= high and most >= low)
    return f"{sum(right)} of {len(right)}"


def wilson(share: float, count: int) -> tuple[float, float]:
    """The ends of the 95 % interval of a share of so many."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return middle - half, middle + half


def compared(cells: Sequence[Cell], rate: str) -> list[str]:
    """The mean of what was promised and of what was measured, and how often that was inside."""
    shown = [one for one in cells if one[rate] is not None]
    if not shown:
        return ["", "", ""]
    value = f"{np.mean([one[rate] for one in shown]):.2%}"
    kept = [one for one in shown if one[f"{rate}_promised"] is not None]
    if not kept:
        return ["none", value, ""]
    low, high = np.mean([one[f"{rate}_promised"] for one in kept], axis=0)
    right = sum(inside([*one[f"{rate}_promised"], one[rate]]) for one in kept)
    return [f"{low:.2%} – {high:.2%}", value, f"{right} of {len(kept)}"]


if __name__ == "__main__":
    main()
