"""The page of clusters: pairs to judge in the browser, and contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise.verbs.cluster_decisions import drawn_pairs
from arcwise.verbs.review_images import check_images, pixels_once

if TYPE_CHECKING:
    from arcwise.clustering.clusters import Clusters
    from arcwise.report import CaptionedImage, Question, Section, Strip
    from arcwise.verbs.cluster import ClusteredImages

JUDGED = 16
"""Doubtful pairs of each kind."""

SHEETS, MEMBERS = 12, 12
"""Clusters of each kind on contact sheets, and images of each."""


def write_cluster_page(path: Path, found: ClusteredImages, *, seed: int = 0) -> Path:
    """Write the clusters as one HTML file that holds all images, small; return its path.

    Args:
        path: of `search_page.page_path`; a page there is replaced.
        found: the clusters, of images.
        seed: of the pairs and clusters that are drawn.

    Raises:
        ArcwiseError: the images are not there.
    """
    from arcwise.report import write_review
    from arcwise.report.review import DECISIONS

    check_images(found.manifest)
    shown = _Shown(found)
    known = {frozenset((one.a, one.b)) for one in found.decisions.pairs}
    drawn = drawn_pairs(found.clusters.labels, seed)
    questions = [
        shown.question("One cluster, but perhaps two identities",
                       doubtful_members(found.clusters), known,
                       "The member of each cluster that agrees least with it, and the member that "
                       "agrees most. The least confident first."),
        shown.question("Two clusters, but perhaps one identity",
                       doubtful_splits(found.clusters), known,
                       "The two images of two clusters that agree most. The closest first."),
        shown.question("Drawn to measure the precision", drawn, known,
                       "Pairs within clusters, drawn at random: the share that is the same "
                       "estimates the pairwise precision, and the next run prints it.",
                       found.digest),
    ]  # fmt: skip
    clusters = found.clusters
    several = int((clusters.sizes > 1).sum())
    summary = (
        f"{len(found.names):,} images in {clusters.count:,} clusters, {several:,} of them with "
        "several images. Judge pairs, save the decisions, and give the file to the next run: "
        f"--decisions {DECISIONS}."
    )
    return write_review(
        path,
        f"Clusters of {found.manifest.name}",
        [one for one in questions if one is not None],
        shown.sheets(seed),
        decided=found.decisions.as_dicts(),
        summary=summary,
    )


def doubtful_members(clusters: Clusters, count: int = JUDGED) -> np.ndarray:
    """Return (≤ count, 2) rows: a doubtful member, and the one its cluster agrees with most."""
    labels, confidence, links = clusters.labels, clusters.confidence, clusters.links
    inside = labels[links.pairs[:, 0]] == labels[links.pairs[:, 1]]
    support = np.zeros(len(labels))
    for end in links.pairs.T:
        support += np.bincount(end, links.agreement * inside, len(labels))
    by_support = np.lexsort((-support, labels))
    centre = by_support[np.unique(labels[by_support], return_index=True)[1]]
    candidates = np.flatnonzero(clusters.doubtful & (centre[labels] != np.arange(len(labels))))
    candidates = candidates[np.argsort(confidence[candidates], kind="stable")]
    _, first = np.unique(labels[candidates], return_index=True)
    rows = candidates[np.sort(first)[:count]]
    return np.stack([rows, centre[labels[rows]]], axis=1)


def doubtful_splits(clusters: Clusters, count: int = JUDGED) -> np.ndarray:
    """Return (≤ count, 2) rows of two clusters: the pairs that agree most, every two once."""
    labels, links = clusters.labels, clusters.links
    ends = np.sort(labels[links.pairs], axis=1)
    between = np.flatnonzero(ends[:, 0] != ends[:, 1])
    order = between[np.argsort(-links.agreement[between], kind="stable")]
    key = ends[order, 0] * clusters.count + ends[order, 1]
    return links.pairs[order[np.sort(np.unique(key, return_index=True)[1])[:count]]]


class _Shown:
    """The images of a page, each decoded once."""

    def __init__(self, found: ClusteredImages) -> None:
        self._found = found
        self._pixels = pixels_once(found.manifest)

    def image(self, row: int) -> CaptionedImage:
        """Return an image with its name, and its confidence where it is doubtful."""
        from arcwise.report import CaptionedImage

        caption = Path(self._found.names[row]).name
        if self._found.clusters.doubtful[row]:
            caption += f", confidence {self._found.clusters.confidence[row]:.2f}"
        return CaptionedImage(self._pixels(row), caption)

    def question(
        self, title: str, pairs: np.ndarray, known: set[frozenset[str]], note: str, drawn: str = ""
    ) -> Question | None:
        """Return the pairs that are not decided yet; None without any."""
        from arcwise.report import ImageStrips, Question, Strip

        found, strips, records = self._found, [], []
        for a, b in pairs.tolist():
            name = found.names[a], found.names[b]
            if frozenset(name) in known:
                continue
            similarity = float(found.vectors[a] @ found.vectors[b])
            ids = sorted({int(found.ids[a]), int(found.ids[b])})
            label = f"cluster {' and '.join(map(str, ids))}, similarity {similarity:.2f}"
            strips.append(Strip([self.image(a), self.image(b)], label))
            records.append({"a": name[0], "b": name[1], "drawn": drawn})
        return Question(ImageStrips(title, strips, note), records) if strips else None

    def sheets(self, seed: int) -> list[Section]:
        """Return contact sheets of the largest clusters, and of some that the seed draws."""
        from arcwise.report import ImageStrips

        sizes = self._found.clusters.sizes
        order = np.argsort(-sizes, kind="stable")
        largest = order[:SHEETS][sizes[order[:SHEETS]] > 1]
        others = np.setdiff1d(np.flatnonzero(sizes > 1), largest)
        some = np.sort(np.random.default_rng(seed).permutation(others)[:SHEETS])
        return [
            ImageStrips(title, [self._sheet(int(one)) for one in clusters], note)
            for title, clusters, note in (
                ("The largest clusters", largest, ""),
                ("Clusters at random", some, f"Of {len(others):,} others, drawn by the seed."),
            )
            if len(clusters)
        ]

    def _sheet(self, label: int) -> Strip:
        """Return the images of a cluster: the surest, and at the end the most doubtful."""
        from arcwise.report import Strip

        found = self._found
        members = np.flatnonzero(found.clusters.labels == label)
        members = members[np.argsort(-found.clusters.confidence[members], kind="stable")]
        shown = members
        if len(members) > MEMBERS:
            shown = np.concatenate([members[: MEMBERS - 2], members[-2:]])
        first = int(members[0])
        text = f"cluster {int(found.ids[first])}: {len(members):,} images"
        if found.identities[first]:
            text = f"{found.identities[first]}, {text}"
        if len(shown) < len(members):
            text += f", {len(shown)} of them here"
        return Strip([self.image(row) for row in shown.tolist()], text)
