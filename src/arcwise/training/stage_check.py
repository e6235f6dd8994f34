"""Whether every stage of a run can be made of its data: found out before the first step."""

from __future__ import annotations

from arcwise import distributed
from arcwise.data.column_values import refuse_impossible
from arcwise.data.domain_pairs import check_pairs
from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.errors import ArcwiseError
from arcwise.objectives import standardisation
from arcwise.training.batches import planned_rows, stage_rows
from arcwise.training.config import TrainConfig
from arcwise.training.losses import CentresConfig


def check_stages(config: TrainConfig, images: Manifest, whole: Manifest | None = None) -> None:
    """Select the data of every stage, and make its batches once.

    Args:
        config: the whole run.
        images: what to train on.
        whole: the same with the images that are held out, of which is said what is wrong with the
            identities; `images` without it.

    Raises:
        ArcwiseError: a stage has no images, too few identities, not the columns that its loss or
            its batches ask for, or a batch that the processes cannot share.
    """
    for number in range(max(len(config.stages), 1)):
        stage = config.stage(number)
        _check_processes(stage)
        if whole is not None and stage.data.sampling == "bisample":
            check_pairs(_of_stage(config, number, whole))
        length = stage.objective.length
        if whole is not None and length and length.column in whole.table.column_names:
            refuse_impossible(whole, length.column)
        chosen = _of_stage(config, number, images)
        try:
            _check_stage(stage, chosen)
        except ArcwiseError as problem:
            if not config.stages:
                raise
            raise ArcwiseError(f"stage {number + 1}: {problem}") from None


def _of_stage(config: TrainConfig, number: int, images: Manifest) -> Manifest:
    return images.select(stage_rows(config, number, images)) if config.stages else images


def _check_stage(stage: TrainConfig, images: Manifest) -> None:
    classes = len(images.classes)
    if classes < 2:
        raise ArcwiseError(f"{images.name}: got {classes} identity; expected at least 2")
    terms = stage.objective.terms()
    if stage.objective.length is not None:
        standardisation(stage.objective.length.column, images)
    if any(getattr(term, "across_domains", False) for term in terms.values()):
        training_columns(images, ["domain"])
    planned_rows(stage, images, 0)


def _check_processes(config: TrainConfig) -> None:
    """Refuse what several processes cannot share."""
    batch, processes = config.data.batch, distributed.size()
    if batch % processes or batch < 2 * processes:
        raise ArcwiseError(
            f"--batch {batch} over {processes} processes; expected a multiple of their number, and "
            "at least 2 images for each"
        )
    if config.data.sampling == "bisample" and batch % (2 * processes):
        raise ArcwiseError(
            f"--batch {batch} over {processes} processes with data.sampling=bisample; expected a "
            "multiple of twice their number, so that pairs stay together"
        )
    centres = config.objective
    if processes > 1 and isinstance(centres, CentresConfig) and centres.centre_optimiser == "fused":
        raise ArcwiseError(
            f"--objective.centre-optimiser fused over {processes} processes, whose gradients of "
            "the centres have to meet; expected one process, or --objective.centre-optimiser "
            "ordinary"
        )
