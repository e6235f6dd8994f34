"""The state dicts in which vision transformers are published, and what each leaves out.

DINOv2's own names are ours, under `backbone.`; DINO and DeiT have the same ones without layer
scale. timm (`vit_small_patch14_dinov2`, `vit_small_patch14_reg4_dinov2`) and transformers
(`facebook/dinov2-small`) have others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError

_NAMES = {
    r"(?:embeddings\.)?(cls_token|mask_token|pos_embed|register_tokens)": r"\2",
    r"(norm\.\w+|patch_embed\.proj\.\w+)": r"\2",
    r"(blocks\.\d+\.[a-z].*)": r"\2",
    r"blocks\.\d+\.(\d+\.[a-z].*)": r"blocks.\2",  # in chunks; the numbers go on through them
    # timm
    r"reg_token": "register_tokens",
    # transformers
    r"embeddings\.position_embeddings": "pos_embed",
    r"embeddings\.patch_embeddings\.projection\.(\w+)": r"patch_embed.proj.\2",
    r"encoder\.layer\.(\d+)\.attention\.attention\.(\w+\.\w+)": r"blocks.\2.attn.\3",
    r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)": r"blocks.\2.attn.proj.\3",
    r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1": r"blocks.\2.ls\3.gamma",
    r"encoder\.layer\.(\d+)\.((?:norm\d|mlp\.fc\d)\.\w+)": r"blocks.\2.\3",
    r"layernorm\.(\w+)": r"norm.\2",
}
_PREFIX = r"((?:\w+\.)*?)(?:backbone\.)?"  # group 1, which is kept
_PATTERNS = {re.compile(_PREFIX + key): rf"\1backbone.{ours}" for key, ours in _NAMES.items()}
_PATTERNS[re.compile(_PREFIX + r"head\.(weight|bias)")] = r"\1classifier.\2"


def published(name: str, key: str) -> str:
    """Return our name of a tensor in a published state dict; the key itself where there is none.

    The head of a classifier is named `classifier`, as `head` is that of an encoder here.
    """
    for pattern, ours in _PATTERNS.items():
        if match := pattern.fullmatch(key):
            return match.expand(ours)
    return key


def completed(
    encoder: nn.Module, state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return a state dict in our names with what its layout leaves out, and what that was.

    Raises:
        ArcwiseError: the last normalisation is of pooled features.
    """
    state, notes = dict(state), []
    for key in [key for key in state if key.endswith("backbone.pos_embed")]:
        prefix = key.removesuffix("backbone.pos_embed")
        own = {prefix + name: one for name, one in encoder.state_dict().items()}
        notes += _complete(own, state, prefix)
    return state, notes


def _complete(own: Mapping[str, Tensor], state: dict[str, Tensor], prefix: str) -> list[str]:
    """Complete the tensors whose names have the prefix, and return what was added."""
    inside = [key for key in state if key.startswith(f"{prefix}backbone.")]
    if f"{prefix}backbone.norm.weight" not in inside and f"{prefix}fc_norm.weight" in state:
        raise ArcwiseError(
            "its last normalisation is of pooled features (fc_norm), not of tokens: give weights "
            "of a network that pools by its class token"
        )
    for key in [key for key in inside if ".attn.query." in key]:
        names = [key.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(name in state for name in names):
            state[key.replace(".query.", ".qkv.")] = torch.cat([state.pop(name) for name in names])
    added = {f"{prefix}backbone.mask_token": 0.0}  # it has no part in what is computed
    notes = []
    if not any(key.endswith(".gamma") for key in inside):
        added |= {key: 1.0 for key in own if key.endswith(".gamma")}
        notes.append("it has no layer scale, which is then 1")
    for key in added.keys() - state.keys():
        state[key] = torch.full(own[key].shape, added[key])
    key = f"{prefix}backbone.pos_embed"
    _, count, channels = own[key].shape
    if state[key].shape == (1, count - 1, channels):
        state[key] = torch.cat((state[key].new_zeros(1, 1, channels), state[key]), dim=1)
        notes.append("it has no position of the class token, which is then 0")
    return notes
