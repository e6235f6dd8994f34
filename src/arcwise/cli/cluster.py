"""`arcwise cluster`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import counted, left_out, progress
from arcwise.cli.sources import EmbeddingsOrModel, model_and_data
from arcwise.errors import ArcwiseError
from arcwise.verbs.cluster import ClusteredImages, cluster, write_clusters
from arcwise.verbs.cluster_page import cluster_page_path, write_cluster_page


def command(
    sources: EmbeddingsOrModel,
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
        sources: Table of embeddings, as `arcwise embed` writes it; or a model folder and images,
            whose calibration then says what is similar by chance.
        out: Table to write, .parquet or .csv: image, cluster, size, confidence, doubtful.
        method: Method: auto, fc-es, components, average-linkage, chinese-whispers, dbscan, hdbscan
            or k-means.
        threshold: Similarity from which on two images are linked, instead of what is found.
        clusters: Number of clusters, for k-means.
        linkage: Model folder that `arcwise train-linkage` wrote, which clusters instead of the
            method.
        extend: Table of an earlier run, whose images keep their cluster ids.
        gallery: Gallery file, whose identities are attached where its decision says so.
        far: False-accept rate of one comparison, for the gallery's decision.
        fpir: Part of unknown images that the gallery's decision may give an identity.
        decisions: File of decisions that the page saved; they hold from now on.
        page: Page of contact sheets and of pairs to judge, a file ending in .html.
        neighbours: Folder where the neighbours are kept, and a stopped search goes on.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Seed of everything random.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    model, data = model_and_data(sources, "cluster")
    shown = None if page is None else cluster_page_path(page)
    if out.exists():
        raise ArcwiseError(f"{out} exists; name another table with --out, or remove it")
    with progress("clustering") as move:
        found = cluster(
            naming.open(Path(data), identities=False), model=model, method=method,
            threshold=threshold, clusters=clusters, linkage=linkage, extend=extend,
            gallery=gallery, far=far, fpir=fpir, decisions=decisions, neighbours=neighbours,
            cached=cache, seed=seed, progress=move,
        )  # fmt: skip
    written = write_clusters(found, out)
    if shown is not None:
        write_cluster_page(shown, found, seed=seed)
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
    if any(found.identities):
        named = {one for one in found.identities if one}
        count = sum(one is not None for one in found.identities)
        print(
            f"{counted(count, 'image')} of {counted(len(named), 'known identity')}; the gallery's "
            f"decision accepted {found.accepted:,}, clusters brought the others"
        )
    precision = found.decisions.precision
    if precision is not None:
        print(
            f"precision of the clusters that were judged: {precision:.1%} of pairs are the same "
            f"({precision.low:.1%} – {precision.high:.1%})"
        )


def _document(found: ClusteredImages, written: Path, page: Path | None) -> dict[str, object]:
    precision = found.decisions.precision
    return {
        "images": len(found.names),
        "clusters": found.clusters.count,
        "singletons": int((found.clusters.sizes == 1).sum()),
        "doubtful": int(found.clusters.doubtful.sum()),
        "threshold": found.clusters.made_by.threshold,
        "reason": found.clusters.made_by.reason,
        "recall": found.clusters.recall,
        "accepted": found.accepted,
        "precision": None if precision is None else [precision, precision.low, precision.high],
        "failures": found.failures,
        "ignored": found.ignored,
        "notes": found.notes,
        "table": written,
        "page": page,
    }
