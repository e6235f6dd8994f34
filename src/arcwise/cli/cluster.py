"""`arcwise cluster`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import counted, left_out, progress
from arcwise.cli.sources import SeveralOrModel, model_and_several
from arcwise.verbs.cluster import ClusteredImages, cluster, write_clusters
from arcwise.verbs.cluster_page import write_cluster_page
from arcwise.verbs.embedding_tables import as_one
from arcwise.verbs.review_images import check_images
from arcwise.verbs.search_page import page_path
from arcwise.verbs.table_path import table_path


def command(
    sources: SeveralOrModel,
    out: Path = Path("clusters.parquet"),
    method: str = "auto",
    threshold: float | None = None,
    clusters: int | None = None,
    linkage: Path | None = None,
    extend: Path | None = None,
    gallery: str | None = None,
    far: float | None = None,
    fpir: float | None = None,
    decisions: Path | None = None,
    page: Path | None = None,
    neighbours: Path | None = None,
    cache: bool = True,
    seed: int = 0,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Find the identities in unlabelled images: a cluster for each.

    Args:
        sources: Table of embeddings, as `arcwise embed` writes it, or several that are clustered
            together; or a model folder and images. The model's calibration then says what is
            similar by chance, if it rests on enough identities.
        out: Table to write, .parquet or .csv: image, cluster, size, confidence, doubtful. It must
            not be there yet.
        method: Method: auto, fc-es, components, average-linkage, chinese-whispers, dbscan, hdbscan
            or k-means.
        threshold: Similarity from which on two images are linked, instead of what is found. Not
            for fc-es, hdbscan and k-means.
        clusters: Number of clusters, for k-means alone.
        linkage: Model folder that `arcwise train-linkage` wrote, which clusters instead of the
            method.
        extend: Table of an earlier run, whose images keep their cluster ids. Name the embeddings
            of these images, too: new ones can join no cluster otherwise.
        gallery: Gallery file. A cluster gets an identity where the gallery's decision accepts a
            quarter of its images as that, or more, and few as another. Clusters stay as they are.
        far: False-accept rate of one comparison, for the gallery's decision.
        fpir: Part of unknown images that the gallery's decision may give an identity.
        decisions: File of decisions that the page saved; they hold from now on.
        page: Page of contact sheets and of pairs to judge: a file that ends in .html, or a folder
            for clusters.html. An older page is replaced.
        neighbours: Folder where the neighbours are kept, and a stopped search goes on.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Seed of everything random.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    model, data = model_and_several(sources, "cluster")
    shown = None if page is None else page_path(page, "clusters.html")
    out = table_path(out)  # what is wrong with it is said first
    manifest = as_one([naming.open(Path(one), identities=False) for one in data])
    if shown is not None:
        check_images(manifest)
    with progress("clustering") as move:
        found = cluster(
            manifest, model=model, method=method,
            threshold=threshold, clusters=clusters, linkage=linkage, extend=extend,
            gallery=gallery, far=far, fpir=fpir, decisions=decisions, neighbours=neighbours,
            cached=cache, seed=seed, progress=move,
        )  # fmt: skip
    if shown is not None:
        write_cluster_page(shown, found, seed=seed)
    written = write_clusters(found, out)
    if json:
        print_json(_document(found, written, shown))
        return 0
    for note in found.notes:
        print(f"warning: {note}", file=sys.stderr)
    left_out("images that could not be read and have no row", found.failures)
    left_out("files that are not images", found.ignored)
    show(found)
    print(f"table: {written}")
    if shown is not None:
        print(f"page: {shown}")
    return 0


def show(found: ClusteredImages) -> None:
    """Print how many clusters there are, and what they follow from."""
    sizes, result = found.clusters.sizes, found.clusters
    print(
        f"{counted(len(found.names), 'image')} in {counted(result.count, 'cluster')}: "
        f"{int((sizes == 1).sum()):,} of one image, the largest of {int(sizes.max()):,}; "
        f"{int(result.doubtful.sum()):,} images are doubtful"
    )
    print(result.made_by)
    if result.recall < 1:
        print(
            f"nearest neighbours: approximate, {result.recall:.2%} of the true ones beyond chance "
            "were found"
        )
    show_identities(found)
    precision = found.decisions.precision
    if precision is not None:
        print(
            f"pairwise precision of the earlier clusters that pairs were drawn from: "
            f"{precision:.1%} ({precision.low:.1%} – {precision.high:.1%})"
        )


def show_identities(found: ClusteredImages) -> None:
    """Print which images have an identity of the gallery, and why others have none."""
    if found.accepted is None or found.given is None:
        return
    own = found.accepted.identities
    with_one = [pair for pair in zip(found.identities, own, strict=True) if pair[0]]
    accepted = sum(one == identity for identity, one in with_one)
    names = {identity for identity, _ in with_one}
    print(found.accepted.rate)
    print(
        f"{counted(len(with_one), 'image')} of {counted(len(names), 'enrolled identity')}: "
        f"{accepted:,} accepted as it, {len(with_one) - accepted:,} in a cluster with it"
    )
    without = {
        "in which several identities are accepted, none of them clearly": found.given.conflicts,
        "of which too few images are accepted": found.given.minorities,
        "that were decided not to be the same as another one of the identity": found.given.apart,
    }
    for why, count in without.items():
        if count:
            print(f"without an identity: {counted(count, 'cluster')} {why}")


def _document(found: ClusteredImages, written: Path, page: Path | None) -> dict[str, object]:
    precision = found.decisions.precision
    return {
        "images": len(found.names),
        "clusters": found.clusters.count,
        "singletons": int((found.clusters.sizes == 1).sum()),
        "doubtful": int(found.clusters.doubtful.sum()),
        "threshold": found.clusters.threshold,
        "reason": found.clusters.reason,
        "recall": found.clusters.recall,
        "with_identity": sum(one is not None for one in found.identities),
        "accepted": None if found.accepted is None else sum(map(bool, found.accepted.identities)),
        "conflicts": None if found.given is None else found.given.conflicts,
        "precision": None if precision is None else [precision, precision.low, precision.high],
        "failures": found.failures,
        "ignored": found.ignored,
        "notes": found.notes,
        "table": written,
        "page": page,
    }
