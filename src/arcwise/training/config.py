"""Everything that decides what a run does, in one frozen value of typed sections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError
from arcwise.training.encoder_config import WITHOUT_HEAD, EncoderConfig
from arcwise.training.loss_terms import AtLeastOne, NotNegative, Positive, Share
from arcwise.training.losses import (
    CentresConfig,
    ObjectiveConfig,
    PairsConfig,
    SemiSiameseConfig,
    with_loss,
)
from arcwise.training.section import expect, followed, frozen, merged, plain, section


@section("data")
class DataConfig:
    """Which images make up a batch, and what training sees of them."""

    batch: Annotated[int, Field(ge=2)] = 64
    """Images a step, over all processes."""
    sampling: Literal["shuffled", "windowed", "balanced", "bisample", "sets"] = "shuffled"
    """Every image once an epoch; the same, with neighbours on disk at about the same time (for sets
    that do not fit the memory); identities in turn; identities with one image of either of two
    values of the column `domain`, half of them drawn from dominant queues where there are some; or
    identities in turn with two sets of images."""
    images_per_identity: AtLeastOne = 4
    """K of balanced sampling: images of one identity in a batch."""
    images_per_set: AtLeastOne = 4
    """K of sampling sets: images of a set, of which an identity has two in a batch."""
    sets_of: Literal["identity", "template", "media"] = "identity"
    """What a set is drawn from: any images of an identity, one template, or one medium, such as the
    frames of a video; the latter two are columns of the data set."""
    domain_balance: Share = 0.0
    """Share of a batch kept for images outside the most frequent `domain`, say studio ones."""
    augment: Augment = field(default_factory=Augment)
    """How much what training sees differs from the image."""
    cache_size: Annotated[float, Field(ge=1)] = 1.25
    """Size at which decoded images are kept, as a multiple of the training crop's."""
    cache_gb: NotNegative = 4.0
    """Memory for decoded images; a set that does not fit is decoded again each epoch."""
    cached_views: Annotated[int, Field(ge=0)] = 0
    """Views of an image whose features are computed once and kept, where only the embedding head is
    trained (optim.trained_layers=0): 1 for the image as it is, more for augmented ones; 0 computes
    the features anew in every step."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that read images; 0 reads in the training process."""
    holdout: Share = 0.2
    """Share of the identities not trained on: half choose the checkpoint, half set thresholds."""

    def __post_init__(self) -> None:
        if self.sampling == "balanced":
            each = self.images_per_identity
            expect(self.batch % each == 0, "data.batch", self.batch,
                   f"a multiple of data.images_per_identity={each}")  # fmt: skip
        if self.sampling == "bisample":
            expect(self.batch % 2 == 0 and self.batch >= 4, "data.batch", self.batch,
                   "an even number from 4 with data.sampling=bisample")  # fmt: skip
        if self.sampling == "sets":
            each = 2 * self.images_per_set
            expect(self.batch % each == 0 and self.batch > each, "data.batch", self.batch,
                   f"a multiple of {each}, two sets of data.images_per_set={self.images_per_set} "
                   "images for each of two identities or more")  # fmt: skip
        if self.sampling in ("balanced", "bisample", "sets"):
            words = f"0 where data.sampling={self.sampling} fills the batch"
            expect(not self.domain_balance, "data.domain_balance", self.domain_balance, words)


@section("optim")
class OptimConfig:
    """How gradients become weights. Shares are shares of the steps."""

    name: Literal["sgd", "adamw"] = "sgd"
    """The optimiser."""
    lr: Positive = 0.1
    """Learning rate at its highest."""
    head_lr: Positive = 1.0
    """Learning rate of the class centres, as a multiple of the encoder's."""
    momentum: Share = 0.9
    """Momentum of SGD."""
    nesterov: bool = True
    """Whether SGD looks ahead."""
    trained_layers: Annotated[int, Field(ge=-1)] = -1
    """How many of the encoder's layers are trained, counted from the embedding: 0 none but the
    embedding head, -1 all."""
    backbone_lr: Positive = 1.0
    """Learning rate of the layers below the embedding head, as a multiple of its own."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor of the learning rate from each layer to the one below it."""
    batch_norm: Literal["batch", "kept"] = "batch"
    """Statistics of batch normalisation in the backbone: those of each batch, or the ones that it
    started with."""
    weight_decay: NotNegative = 5e-4
    """Weight decay of matrices and kernels; biases and normalisation have none."""
    schedule: Literal["cosine", "step"] = "cosine"
    """How the learning rate falls after its warm-up."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Shares of the steps at which the step schedule divides the rate by ten."""
    warmup: Share = 0.05
    """Share of the steps over which the rate rises from near zero."""
    max_grad_norm: NotNegative = 0.0
    """Largest norm of the gradient over encoder and objective; 0 does not clip. Centres of the
    fused optimiser have no gradient to clip."""
    wise_ft: bool = False
    """Whether the trained layers are averaged with the ones they started from (arXiv 2109.01903),
    in the proportion that is best on the identities that choose the checkpoint."""
    ema_decay: Share = 0.0
    """Decay of the exponential moving average of the weights that is evaluated and kept; 0 keeps
    the last weights."""


@section("run")
class RunConfig:
    """How long, on what, and what is written when."""

    steps: Annotated[int, Field(ge=0)] = 2000
    """Updates of the weights, over all stages; 0 for as many as `epochs` takes."""
    epochs: NotNegative = 0.0
    """Passes over the images of training; 0 where `steps` is the length of the run."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic inside the encoder; auto takes bf16 where the processor has it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    validate_every: AtLeastOne = 500
    """Steps between validations on held-out identities."""
    checkpoint_every: AtLeastOne = 500
    """Steps between checkpoints."""
    log_every: AtLeastOne = 20
    """Steps between rows of metrics.jsonl."""
    tensorboard: bool = False
    """Whether to write TensorBoard events too (pip install 'arcwise[logs]')."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice but the split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the choice of held-out identities: runs of several seeds share them."""

    def __post_init__(self) -> None:
        words = f"0 with run.epochs={self.epochs:g}" if self.epochs else "at least 1, or run.epochs"
        expect(bool(self.steps) != bool(self.epochs), "run.steps", self.steps, words)

    def settled(self, changes: Mapping[str, Any]) -> tuple[RunConfig, Mapping[str, Any]]:
        """Return this section and its changes, where either of steps and epochs ends the other."""
        for length, other in (("steps", "epochs"), ("epochs", "steps")):
            if changes.get(length) and other not in changes:
                return self, {**changes, other: 0}
        return self, changes


@section()
class StageConfig:
    """A part of a run. It starts from the encoder of the stage before it.

    A section that is None is the config's own. The class centres go on where the objective and the
    identities are those of the stage before; the optimiser and the schedules begin anew.
    """

    steps: AtLeastOne
    """Updates of the weights in this stage."""
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Rows to train on: columns of the data set, such as `domain` or `split`, and the values that
    count; every row without it."""
    identities: Literal["all", "deep", "paired"] = "all"
    """Whom to train on: everybody; identities with more than two images, or everybody where none
    has; or identities with images of two domains."""
    objective: ObjectiveConfig | None = None
    """The loss of this stage."""
    data: DataConfig | None = None
    """Batches of this stage."""
    optim: OptimConfig | None = None
    """The optimiser of this stage."""


@section()
class TrainConfig:
    """A complete training run. Recipes return one; options and files change single fields."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The network."""
    objective: ObjectiveConfig = field(default_factory=CentresConfig)
    """What is minimised."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which images make up a batch."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """How gradients become weights."""
    run: RunConfig = field(default_factory=RunConfig)
    """How long, on what, and what is written when."""
    stages: tuple[StageConfig, ...] = ()
    """Parts of the run, one after the other; none for one stage that is the config itself."""

    def __post_init__(self) -> None:
        centres = self.objective
        if isinstance(centres, CentresConfig) and centres.centre_optimiser == "fused":
            for name, required, why in (
                ("max_grad_norm", 0, "as the fused optimiser leaves no gradient to clip"),
                ("name", "sgd", "as the fused optimiser is SGD"),
            ):
                value = getattr(self.optim, name)
                expect(value == required, f"optim.{name}", value,
                       f"{required} with objective.centre_optimiser=fused, {why}; or "
                       "objective.centre_optimiser=ordinary")  # fmt: skip
        if self.encoder.lora_rank:
            layers = self.optim.trained_layers
            expect(layers != 0, "optim.trained_layers", layers,
                   "-1 or more than 0 with encoder.lora_rank, whose adapters are in "
                   "the layers")  # fmt: skip
            expect(not self.optim.wise_ft, "optim.wise_ft", self.optim.wise_ft,
                   "false with encoder.lora_rank: an average of adapters is none")  # fmt: skip
        if self.data.cached_views:
            expect(self.optim.trained_layers == 0, "optim.trained_layers",
                   self.optim.trained_layers, "0 with data.cached_views, as the features of a "
                   "backbone that is trained change; or data.cached_views=0")  # fmt: skip
            name = self.encoder.name
            expect(name not in WITHOUT_HEAD, "encoder.name", name,
                   "an encoder with an embedding head, such as efficientnet_lite0, with "
                   "data.cached_views; or data.cached_views=0")  # fmt: skip
        sampling, loss = self.data.sampling, self.objective.loss
        if self.objective.of_sets:
            expect(sampling == "sets", "data.sampling", sampling,
                   f"sets with loss={loss}, which is between sets of images")  # fmt: skip
        elif isinstance(self.objective, PairsConfig | SemiSiameseConfig):
            expect(sampling in ("balanced", "bisample", "sets"), "data.sampling", sampling,
                   f"balanced with loss={loss}, which needs several images of an identity in a "
                   "batch")  # fmt: skip
        if self.encoder.quality:
            self._check_quality()
        if self.stages:
            total = sum(stage.steps for stage in self.stages)
            expect(self.run.steps == total, "run.steps", self.run.steps,
                   f"{total}, the steps of its stages together")  # fmt: skip
            for number in range(len(self.stages)):
                self._check_stage(number)

    def _check_quality(self) -> None:
        """Refuse a quality that nothing would teach."""
        of_sets = any((one.objective or self.objective).of_sets for one in self.stages)
        expect(of_sets or self.objective.of_sets, "encoder.quality", True,
               f"false with loss={self.objective.loss}, which teaches no quality; or a loss of "
               f"sets, such as {self.objective.loss}+set-triplet")  # fmt: skip
        expect(not self.data.cached_views, "encoder.quality", True,
               "false with data.cached_views, as a quality is read off the image")  # fmt: skip
        expect(self.encoder.name != "onnx", "encoder.quality", True,
               "false with an imported network, which is not trained")  # fmt: skip

    def _check_stage(self, number: int) -> None:
        """Refuse a stage whose sections do not fit together."""
        try:
            holdout = self.stage(number).data.holdout
        except ArcwiseError as error:
            message = str(error).removeprefix("training config: ")
            raise ArcwiseError(f"training config: stages[{number}]: {message}") from None
        expect(holdout == self.data.holdout, f"stages[{number}].data.holdout",
               holdout, f"{self.data.holdout}, as of the whole run")  # fmt: skip

    def stage(self, number: int) -> TrainConfig:
        """Return one stage as a config of its own, with its number of steps and without stages."""
        if not self.stages:
            return self
        stage = self.stages[number]
        return TrainConfig(
            encoder=self.encoder,
            objective=stage.objective or self.objective,
            data=stage.data or self.data,
            optim=stage.optim or self.optim,
            run=replace(self.run, steps=stage.steps),
        )

    def with_loss(self, loss: str) -> TrainConfig:
        """Return this config with a loss by name; see `losses.with_loss`.

        A loss between samples comes with balanced sampling, without which a batch has hardly two
        images of an identity, and one between sets with sampling of sets. Without the latter, no
        quality is estimated.
        """
        objective, data, encoder = with_loss(self.objective, loss), self.data, self.encoder
        among = objective.between_samples and not self.objective.between_samples
        if objective.of_sets and data.sampling != "sets":
            data = replace(data, sampling="sets", domain_balance=0.0)
        elif among and data.sampling not in ("bisample", "sets"):
            data = replace(data, sampling="balanced", domain_balance=0.0)
        if isinstance(objective, SemiSiameseConfig):
            data = replace(data, images_per_identity=2)
        if encoder.quality and not objective.of_sets:
            encoder = replace(encoder, quality=False)
        whole = replace(self, stages=())
        return self._with(replace(whole, objective=objective, data=data, encoder=encoder))

    def _with(self, whole: TrainConfig) -> TrainConfig:
        """Return a changed config with the stages of this one, which follow the change.

        What a section of a stage has in common with the config's own changes with it, and the
        steps of the stages are in the same proportion.
        """
        if not self.stages:
            return whole
        count, total = len(self.stages), whole.run.steps
        expect(total >= count, "run.steps", total, f"at least {count}, one for each stage")
        ends = np.cumsum([one.steps for one in self.stages]) * total / self.run.steps
        ends = np.round(ends).clip(np.arange(count) + 1, total - np.arange(count)[::-1])
        steps = np.diff(ends.astype(int), prepend=0).tolist()
        stages = tuple(
            replace(
                stage,
                steps=count,
                objective=followed(stage.objective, self.objective, whole.objective),
                data=followed(stage.data, self.data, whole.data),
                optim=followed(stage.optim, self.optim, whole.optim),
            )
            for stage, count in zip(self.stages, steps, strict=True)
        )
        return replace(whole, stages=stages)

    def replace(self, **sections: Any) -> TrainConfig:
        """Return this config with some fields changed: `replace(run={"steps": 500})`.

        Args:
            sections: by name: a whole section, or a mapping of those of its fields that change.

        Raises:
            ArcwiseError: an unknown name, with a suggestion, or a value that does not fit.
        """
        changes = dict(sections)
        stages = changes.pop("stages", None)
        config: TrainConfig = replace(self, stages=())
        objective = changes.get("objective")
        if isinstance(objective, Mapping) and "loss" in objective:
            config = config.with_loss(str(objective["loss"]))
        if stages is None:
            return self._with(merged(config, changes))
        run = changes.get("run", {})
        made = [_stage(number, one, merged(config, changes)) for number, one in enumerate(stages)]
        if made and isinstance(run, Mapping) and "steps" not in run:
            changes["run"] = {**run, "steps": sum(one.steps for one in made)}
        return merged(config, changes | {"stages": tuple(made)})

    def with_steps(self, images: int) -> TrainConfig:
        """Return this config with the steps that its epochs take on so many images."""
        if not self.run.epochs:
            return self
        return self.replace(run={"steps": math.ceil(self.run.epochs * images / self.data.batch)})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Return the config that `as_dict` gave; fields that are not there have their defaults."""
        return cls().replace(**{str(name): value for name, value in values.items()})


def _stage(number: int, stage: StageConfig | Mapping[str, Any], config: TrainConfig) -> StageConfig:
    """Return a stage whose sections change single fields of the config's."""
    if isinstance(stage, StageConfig):
        return stage
    try:
        expect(isinstance(stage, Mapping), "stage", stage, "fields by name")
        whole: dict[str, Any] = {}
        if isinstance(stage.get("objective"), Mapping):
            objective = merged(config.objective, stage["objective"], "objective")
            whole["objective"] = objective
            if objective.between_samples or objective.of_sets:
                whole["data"] = config.with_loss(objective.loss).data
        for name, base in (("data", whole.get("data", config.data)), ("optim", config.optim)):
            if isinstance(stage.get(name), Mapping):
                whole[name] = merged(base, stage[name], name)
        return StageConfig(**{name: frozen(value) for name, value in stage.items()} | whole)
    except ArcwiseError as error:
        message = str(error).removeprefix("training config: ")
        raise ArcwiseError(f"training config: stages[{number}]: {message}") from None
