"""Strangers who come back, as a gallery that grows by itself puts them together.

    ARCWISE_DATA=… python studies/grow.py [OUT]

The rule was settled on one half of LFW's people, on which the thresholds are calibrated; the first
table is of the other half. The second is of sets on which nothing was settled, halved in the same
way; their embeddings are those of `studies/promises.py`, which prepares and trains in OUT what it
needs. What is in docs/grow.json already is not measured again. About three minutes of one core.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from arcwise.evaluation import calibrate
from arcwise.evaluation.search_calibration import calibrate_searches
from arcwise.gallery import open_gallery
from arcwise.recognition.growing import UNKNOWN, Sightings
from arcwise.recognition.thresholds import search_operating_point
from audit import people
from promises import embedded, halves_of

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "grow.json", DOCS / "grow.md"
SEEDS = 3
RATE = 0.01
"""Share of images of others that may meet a sighting, as the command has it."""

BACK = 4
"""Images of those who come back, at least."""

OTHERS = {"omniglot": "characters", "fgnet": "people at all ages"}


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "sets")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if len(results.get("seeds", ())) < SEEDS:
        settled = people(settled=True)
        thresholds = calibrated(*settled)
        vectors, ids = people(settled=False)
        results = results or {
            "settled": grown(settled, by_images(settled[1]), thresholds, 0),
            "seeds": [],
        }
        for seed in range(len(results["seeds"]), SEEDS):
            results["seeds"].append(grown((vectors, ids), by_images(ids), thresholds, seed))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(seed, results["seeds"][-1], flush=True)
    others = results.setdefault("others", {})
    for name in OTHERS:
        if name not in others:
            vectors, ids = embedded(name, out)
            others[name] = [elsewhere(vectors, ids, seed) for seed in range(SEEDS)]
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(name, others[name], flush=True)
    PAGE.write_text(page(results))


def calibrated(vectors: np.ndarray, ids: np.ndarray) -> Any:
    """Return what a gallery asks its model for, measured on these identities."""
    return SimpleNamespace(
        path="the other half",
        thresholds=calibrate(vectors, ids),
        search_thresholds=calibrate_searches(vectors, ids),
    )


class Roles(NamedTuple):
    """Who is what: rows of what is enrolled, of who comes once and of who comes back."""

    enrolled: np.ndarray
    once: np.ndarray
    back: np.ndarray


def by_images(ids: np.ndarray) -> Roles:
    """Enrolled is one image of all with two or three; more come back, one comes once."""
    sizes = np.bincount(ids)
    first = np.unique(ids, return_index=True)[1]
    return Roles(
        first[np.isin(sizes, (2, 3))],
        np.flatnonzero(sizes[ids] == 1),
        np.flatnonzero(sizes[ids] >= BACK),
    )


def elsewhere(vectors: np.ndarray, ids: np.ndarray, seed: int) -> dict[str, Any]:
    """Return what becomes of strangers of another set, one half of which calibrates.

    Of the other half a third is enrolled with an image each, a third comes once, the rest back.
    """
    draw = np.random.default_rng(seed)
    calibrating, other = halves_of(vectors, ids, draw)
    codes = np.unique(other.ids, return_inverse=True)[1]
    order = draw.permutation(codes.max() + 1)
    thirds = np.split(order, [len(order) // 3, 2 * len(order) // 3])
    shuffled = draw.permutation(len(codes))
    first = shuffled[np.unique(codes[shuffled], return_index=True)[1]]
    enrolled, once = (np.sort(first[one]) for one in thirds[:2])
    enough = np.flatnonzero(np.bincount(codes) >= BACK)
    back = np.flatnonzero(np.isin(codes, np.intersect1d(thirds[2], enough)))
    model = calibrated(calibrating.vectors, calibrating.ids)
    return grown((other.vectors, codes), Roles(enrolled, once, back), model, seed)


def grown(
    embeddings: tuple[np.ndarray, np.ndarray], roles: Roles, model: Any, seed: int
) -> dict[str, Any]:
    """Return what becomes of strangers whose images come in some order."""
    vectors, ids = embeddings
    enrolled = roles.enrolled.tolist()
    coming = np.sort(np.concatenate([roles.once, roles.back]))
    stream = np.random.default_rng(seed).permutation(coming).tolist()
    owner: dict[int, int] = {}  # of templates: whose image it is
    answers: list[tuple[int, str]] = []
    founded: dict[str, int] = {}
    seen: Counter[int] = Counter()
    at_founding: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_gallery(Path(folder) / "g", create=True, dim=vectors.shape[1]) as gallery,
    ):
        gallery.enrol([(f"known {ids[row]}", vectors[row]) for row in enrolled])
        sightings = Sightings(gallery, model, RATE)
        for row in stream:
            person = int(ids[row])
            seen[person] += 1
            point = search_operating_point(model, gallery.size(), None)
            assert point is not None
            (closest,) = gallery.search(vectors[row], k=1)[0]
            if closest.similarity >= point.threshold:
                answers.append((person, closest.identity))
                continue
            number, name = sightings.add(vectors[row], {}, None, None)
            owner[number] = person
            if name is not None:
                founded[name] = person
                at_founding.append(seen[person])
        made = {
            name: Counter(owner[one.template] for one in gallery.templates(name))
            for name in gallery.identities()
            if name.startswith(f"{UNKNOWN}-")
        }
        left = len(sightings)
    whose = {name: people_of.most_common(1)[0][0] for name, people_of in made.items()}
    each = Counter(whose.values())
    back = np.unique(ids[roles.back]).tolist()
    once = set(ids[roles.once].tolist())
    to_grown = [(person, whose[name]) for person, name in answers if name in whose]
    return {
        "images": len(stream),
        "enrolled": len(enrolled),
        "once": len(once),
        "back": len(back),
        "one": sum(each[person] == 1 for person in back),
        "split": sum(each[person] > 1 for person in back),
        "none": sum(each[person] == 0 for person in back),
        "identities": len(made),
        "mixed": sum(len(people_of) > 1 for people_of in made.values()),
        "of one image": sum(person in once for person in whose.values()),
        "answered": len(to_grown),
        "answered rightly": sum(person == own for person, own in to_grown),
        "answered as enrolled": len(answers) - len(to_grown),
        "median images": statistics.median(at_founding),
        "sightings left": left,
    }


# The page.


def page(results: dict[str, Any]) -> str:
    seeds = results["seeds"]
    first = seeds[0]
    lines = [
        HEAD.format(**{key.replace(" ", "_"): value for key, value in first.items()}, rate=RATE),
        "| | " + " | ".join(f"order {one}" for one in range(len(seeds))) + " |\n",
        "| --- |" + " --- |" * len(seeds) + "\n",
    ]
    for name, said in ROWS.items():
        cells = " | ".join(f"{one[name]:,.0f}" for one in seeds)
        lines.append(f"| {said} | {cells} |\n")
    lines.append(ELSEWHERE)
    for name, runs in results["others"].items():
        cells = " | ".join(spread(runs, key) for key in COLUMNS)
        lines.append(f"| {OTHERS[name]} ({name}) | {cells} |\n")
    settled = results["settled"]
    return "".join(lines) + TAIL.format(
        one=settled["one"], back=settled["back"], mixed=settled["mixed"],
        identities=settled["identities"],
    )  # fmt: skip


ROWS = {
    "back": "people who come back",
    "one": "… who become one identity",
    "split": "… who become several",
    "none": "… who become none",
    "identities": "identities that were made",
    "mixed": "… with an image of somebody else",
    "of one image": "… of people who came once",
    "median images": "images of a person until the identity is made, median",
    "answered": "images answered with such an identity later",
    "answered rightly": "… rightly",
    "answered as enrolled": "images of strangers answered with somebody enrolled",
    "sightings left": "images kept at the end, in quarantine",
}

COLUMNS = {
    "enrolled": "enrolled", "once": "come once", "back": "come back", "one": "… one identity",
    "split": "… several", "none": "… none", "identities": "made", "mixed": "… mixed",
    "of one image": "… of who came once", "answered": "answered later",
    "answered rightly": "… rightly",
    "median images": "images until it is made, median",
}  # fmt: skip


def spread(runs: list[dict[str, Any]], key: str) -> str:
    """Return the least to the most of the splits, or the one number."""
    least, most = (end(run[key] for run in runs) for end in (min, max))
    return f"{least:,.0f}" if least == most else f"{least:,.0f} – {most:,.0f}"


ELSEWHERE = f"""
## Other sets

The same rule on sets on which nothing was settled, the least to the most of {SEEDS} splits. Half of
the identities calibrate; of the others a third is enrolled with an image each, a third comes once,
and the rest comes back with all images.

| data | {" | ".join(COLUMNS.values())} |
| --- |{" --- |" * len(COLUMNS)}
"""

HEAD = """# A gallery that grows by itself

`python studies/grow.py` measures this table and keeps it in [grow.json](grow.json): strangers who
come back, as [`arcwise gallery grow`](how-to/gallery-care.md) puts them together.

One half of LFW's people, without the names that are known to be doubtful. Enrolled is one image of
each of the {enrolled:,} people who have two or three. All images of the {back:,} who have four or
more come in a random order, among those of {once:,} people who come once: {images:,} images, of
nobody who is enrolled. The thresholds were calibrated on the other half of the people. Two
sightings meet where at most {rate:.0%} of images of others would meet one of all that are kept;
three that meet each other become an identity. Nobody confirms or undoes any meanwhile.

"""

TAIL = """
## What this says

- Of LFW nearly all strangers who come back become one identity, with their third image. How many
  do depends on how well the network tells them apart: of Omniglot's characters about half, after
  nine images or more, and the others none. Little is mixed in either, and nobody who came once
  becomes an identity.
- People at all ages become several identities more often than those of LFW.
- What is wrong with an identity is for a person to see: the images are kept with it, and
  `arcwise gallery confirm --undo` takes it apart.
- Later images go to an identity by the search, at the search's rate; a few of them are of others.
- LFW's images are of different days and places. Frames of one film are nearly one image: three of
  them are no evidence that somebody came back.

## How it was settled

On the other half of the people, of whom {one} of {back} become one identity, with {mixed} of
{identities} mixed. Looked at there, and not taken: one earlier sighting instead of two, which makes
more identities of two people who look alike; two earlier sightings that need not meet each other,
which mix more; a laxer rate, which mixes more and finds no more; and templates that are added to an
identity as it is met again, which change little.
"""


if __name__ == "__main__":
    main()
