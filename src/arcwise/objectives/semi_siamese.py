"""Semi-siamese training: class centres are embeddings of an encoder that follows slowly."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from arcwise.encoders.interface import EncoderOutput, encoder_output
from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.objectives.objective import Batch
from arcwise.softmax import margin_softmax


class SemiSiamese(nn.Module):
    """The softmax of one image of an identity over embeddings of others (arXiv 2007.08398).

    The centre of an identity in a step is the embedding of its other image by the slow encoder, a
    moving average of the trained one. Negatives are the other identities of the batch, and a queue
    of those of earlier batches. Each of the two images is once the sample and once the centre; the
    loss is the mean of both. Which of them enters the queue is drawn.

    Details follow FaceX-Zoo's implementation: the slow encoder normalises by the statistics of the
    batch, both directions, the draw. There an identity may be in the queue several times and is
    kept out of the batches meanwhile; here it is there once, its latest embedding.

    Attributes:
        slow: the slow encoder.
        embeddings: (Q, D), the queue, newest first, of unit length.
        identities: (Q,) int64, labels of the queue, -1 for a place that is still empty.
        decay: of the moving average.
    """

    columns: tuple[str, ...] = ()
    embeddings: Tensor
    identities: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        dim: int,
        *,
        margin: Margin,
        scale: float = 30.0,
        queue: int = 16384,
        decay: float = 0.999,
    ) -> None:
        super().__init__()
        self.__dict__["encoder"] = encoder  # no submodule: it is not the objective's own
        self.slow = copy.deepcopy(encoder).requires_grad_(False)
        self.margin, self.scale, self.decay = margin, scale, decay
        self.margin_scale = 1.0
        self.register_buffer("embeddings", torch.zeros(queue, dim))
        self.register_buffer("identities", torch.full((queue,), -1))

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and how many identities of earlier batches were negatives.

        Raises:
            ArcwiseError: no two identities of the batch have two images.
        """
        labels, first, second = _pairs(batch.labels)
        if len(labels) < 2:
            raise ArcwiseError(
                f"SemiSiamese: got {len(labels)} identities with two images in a batch; expected "
                "at least 2"
            )
        centres = self._centres(batch.images)
        others = (self.identities >= 0) & ~torch.isin(self.identities, labels)
        queue = self.embeddings[others]
        targets = torch.arange(len(labels), device=labels.device)
        margin = self.margin.scaled(self.margin_scale)
        total = output.embedding.new_zeros(())
        for samples, own in ((first, second), (second, first)):
            total = total + margin_softmax(
                output.embedding[samples],
                torch.cat([centres[own], queue]),
                targets,
                margin=margin,
                scale=self.scale,
            )
        if self.training and torch.is_grad_enabled():
            self._follow(total.detach().isfinite())
            either = torch.rand(len(labels)).to(labels.device) < 0.5
            entering = torch.where(either[:, None], centres[first], centres[second])
            self._enqueue(entering, labels, others)
        return total / 2, {"queue": others.sum().float()}

    def set_margin_scale(self, margin_scale: float) -> None:
        """Set the fraction of the margin in force, for margin warm-up."""
        self.margin_scale = margin_scale

    @torch.no_grad()
    def _centres(self, images: Tensor) -> Tensor:
        """Return (N, D) embeddings of the slow encoder, of unit length."""
        self.slow.eval()
        for module in self.slow.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(self.training)
        return functional.normalize(encoder_output(self.slow(images)).embedding.float())

    @torch.no_grad()
    def _follow(self, finite: Tensor) -> None:
        """Move the slow encoder towards the trained one, unless the loss is not a number."""
        trained = self.__dict__["encoder"].parameters()
        for own, new in zip(self.slow.parameters(), trained, strict=True):
            own.copy_(torch.where(finite, own.lerp(new.detach(), 1 - self.decay), own))

    @torch.no_grad()
    def _enqueue(self, entering: Tensor, labels: Tensor, kept: Tensor) -> None:
        """Put the identities of a batch first, and drop those that have no place any more."""
        size = len(self.identities)
        embeddings = torch.cat([entering, self.embeddings[kept]])[:size]
        identities = torch.cat([labels, self.identities[kept]])[:size]
        self.embeddings[: len(embeddings)] = embeddings
        self.identities[: len(identities)] = identities
        self.identities[len(identities) :] = -1


def _pairs(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the P labels that occur twice or more, and the (P,) first and second row of each."""
    order = torch.argsort(labels, stable=True)
    found, counts = torch.unique_consecutive(labels[order], return_counts=True)
    starts = counts.cumsum(0) - counts
    usable = (counts >= 2) & (found >= 0)
    return found[usable], order[starts[usable]], order[starts[usable] + 1]
