"""`arcwise search`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import left_out
from arcwise.verbs.search import search


def command(
    gallery: Positional[str],
    images: Positional[tuple[Path, ...]],
    k: int = 5,
    far: float | None = None,
    model: Path | None = None,
) -> int:
    """Find whose picture this is, or that it is unknown.

    Args:
        gallery: The gallery's file.
        images: Picture files, or folders of them.
        k: How many identities to show.
        far: False-accept rate of one comparison; by default the lowest that the model resolves.
        model: Where the gallery's model is now, if it moved.
    """
    found = search(gallery, images, k=k, far=far, model=model)
    for answer in found.answers:
        verdict = "" if answer.decision is None else f": {answer.decision.identity or 'unknown'}"
        print(f"{answer.image}{verdict}")
        for hit in answer.hits:
            print(f"  {hit.similarity:7.4f}  {hit.identity}  {hit.metadata.get('image', '')}")
    left_out("pictures could not be read", found.failures)
    if found.threshold is None:
        print("no decision: the model has no thresholds (it was trained with --holdout 0)")
    else:
        print(f"decided at {found.threshold}")
        print(
            f"of unknown pictures, about {found.expected_fpir:.1%} would be taken for somebody "
            "here, if comparisons were independent"
        )
    return 0
