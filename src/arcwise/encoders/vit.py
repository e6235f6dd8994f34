"""Vision transformers as DINOv2 lays them out, with its names in the state dict.

Dosovitskiy et al., arXiv 2010.11929; DINOv2, Oquab et al., arXiv 2304.07193; register tokens,
Darcet et al., arXiv 2309.16588. One without layer scale (DINO, DeiT) is one with a scale of 1.

The state dict holds the position embeddings of the grid that a network was trained on, whatever the
size of the images, so that published weights stay word for word in the model folder. For another
grid they are interpolated in every forward pass. Interpolation is linear, so it is two products
with matrices that depend on the size alone: gradients reach the embeddings, ONNX has two MatMul,
and the original grid takes them as they are.

The embedding head takes the class token, which DINO trains as the summary of the image, and
normalises before its linear map (as MAE does, arXiv 2111.06377, appendix A): it removes what all
images share, which would leave every two embeddings similar before the first step.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.embedding_head import Features
from arcwise.encoders.interface import full_precision
from arcwise.encoders.vit_layouts import completed, published
from arcwise.errors import ArcwiseError

__all__ = ["Attention", "VisionTransformer", "build", "completed", "published"]

WIDTHS = {"small": (384, 6), "base": (768, 12)}  # channels and heads
DEPTH = 12
GRIDS = {14: 37, 16: 14}
"""Patches along a side in published weights, by their size: images of 518 and of 224 pixels."""

_EPSILON = 1e-6  # of layer normalisation
_OFFSET = 0.1  # patches, of DINO's and DINOv2's interpolation without registers


class Attention(nn.Module):
    """Multi-head self-attention: (N, T, C) -> (N, T, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, T, C)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class LayerScale(nn.Module):
    """A factor for each channel of what a block adds (arXiv 2103.17239, equation 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, T, C)."""
        return x * self.gamma


class TransformerBlock(nn.Module):
    """Attention, then a perceptron on each token, both normalised before and added."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=_EPSILON)
        self.attn = Attention(channels, heads)
        self.ls1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels, eps=_EPSILON)
        self.mlp = _named(
            fc1=nn.Linear(channels, 4 * channels),
            act=nn.GELU(),
            fc2=nn.Linear(4 * channels, channels),
        )
        self.ls2 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, T, C)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """(N, 3, H, W) -> `Features`: the class token and the patches, after the last normalisation.

    Args:
        channels: C.
        heads: of attention, a divisor of C.
        depth: number of blocks.
        patch: side of a patch in pixels.
        registers: number of register tokens.
        grid: patches along a side that the position embeddings are stored for.
        size: (H, W) of the images, multiples of the patch.

    Raises:
        ArcwiseError: the size is no multiple of the patch.
    """

    mask_token: Tensor
    rows: Tensor | None
    columns: Tensor | None

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        depth: int,
        patch: int,
        registers: int,
        grid: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        if any(side % patch for side in size):
            fitting = [_nearest_multiple(side, patch) for side in size]
            raise ArcwiseError(
                f"size is {size[0]} x {size[1]}, and patches have {patch} pixels: give a multiple "
                f"of {patch}, such as {fitting[0]} x {fitting[1]}"
            )
        self.channels, self.grid, self.registers = channels, grid, registers
        self.cls_token = nn.Parameter(torch.empty(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid**2, channels))
        if registers:
            self.register_tokens = nn.Parameter(torch.empty(1, registers, channels))
        # Published with the weights. Only pretraining puts it into images, so it is not trained.
        self.register_buffer("mask_token", torch.zeros(1, channels))
        self.patch_embed = _named(proj=nn.Conv2d(3, channels, patch, patch))
        self.blocks = nn.ModuleList([TransformerBlock(channels, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        native = size == (grid * patch, grid * patch)
        for name, side in zip(("rows", "columns"), size, strict=True):
            weights = resampling(grid, side // patch, antialias=registers > 0).float()
            self.register_buffer(name, None if native else weights, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Start as DINOv2 does, with a layer scale of 1."""
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        if self.registers:
            nn.init.normal_(self.register_tokens, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    @property
    def layers(self) -> list[nn.Module]:
        """The tokens with the patch embedding, the blocks, and the last block with the last norm.

        The first and the last are put together at every call: as modules of this network they would
        change the names in the state dict.
        """
        tokens = [self.cls_token, self.pos_embed]
        tokens += [self.register_tokens] if self.registers else []
        *blocks, last = self.blocks
        first = nn.ModuleList([nn.ParameterList(tokens), self.patch_embed])
        return [first, *blocks, nn.ModuleList([last, self.norm])]

    def positions(self) -> Tensor:
        """Return (1, 1 + P, C): the position embeddings for the size, the class token's first."""
        if self.rows is None or self.columns is None:
            return self.pos_embed
        with full_precision(self.pos_embed):
            grid = self.pos_embed[0, 1:].unflatten(0, (self.grid, self.grid))
            grid = (self.rows @ grid.flatten(1)).unflatten(1, (self.grid, self.channels))
            patches = (self.columns @ grid).flatten(0, 1)
        return torch.cat((self.pos_embed[:, :1], patches[None]), dim=1)

    def forward(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        count = images.shape[0]
        x = torch.cat((self.cls_token.expand(count, -1, -1), patches), dim=1) + self.positions()
        if self.registers:
            tokens = self.register_tokens.expand(count, -1, -1)
            x = torch.cat((x[:, :1], tokens, x[:, 1:]), dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return Features(x[:, 1 + self.registers :].transpose(1, 2), x[:, 0])


def nearest_size(name: str, size: int) -> int:
    """Return the multiple of the patch nearest to a size."""
    return _nearest_multiple(size, int(name.split("_")[2]))


def _nearest_multiple(side: int, patch: int) -> int:
    return max(round(side / patch), 1) * patch


def _named(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))


def resampling(length: int, target: int, *, antialias: bool) -> Tensor:
    """Return the (target, length) float64 matrix of bicubic interpolation along one side.

    As published: DINO and DINOv2 sample a grid of target + 0.1 patches, without a filter. Their
    networks with registers sample the grid itself, with a filter against aliasing.
    """
    each = torch.eye(length, dtype=torch.float64, device="cpu")[None, None]  # not meta
    if antialias:
        out = F.interpolate(each, size=(target, length), mode="bicubic", antialias=True)
    else:
        scale = (target + _OFFSET) / length
        out = F.interpolate(each, scale_factor=(scale, 1.0), mode="bicubic")
    return out[0, 0]


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    pooling: str = "cls",
    projection: str = "bn-linear-bn",
) -> BackboneEncoder:
    """Return the vision transformer of that name with an embedding head."""
    _, width, patch, *registers = name.split("_")
    channels, heads = WIDTHS[width]
    backbone = VisionTransformer(
        channels=channels,
        heads=heads,
        depth=DEPTH,
        patch=int(patch),
        registers=4 if registers else 0,
        grid=GRIDS[int(patch)],
        size=size,
    )
    return BackboneEncoder(backbone, dim=dim, size=size, pooling=pooling, projection=projection)
