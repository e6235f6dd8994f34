"""A design in a pose under a light, as a layer."""

from __future__ import annotations

from arcwise.synthetic.design import FOLDED, TURNED, Design
from arcwise.synthetic.folded import draw_folded
from arcwise.synthetic.layers import Layer
from arcwise.synthetic.paint import Skin
from arcwise.synthetic.pixels import Plane
from arcwise.synthetic.pose import Pose
from arcwise.synthetic.soft import draw_soft
from arcwise.synthetic.turned import draw_turned


def draw(
    design: Design, skin: Skin, pose: Pose, answers: Plane, size: tuple[int, int], crumple: int = 0
) -> Layer | None:
    """The thing as a layer on a (height, width) canvas; None when it is out of the picture.

    Args:
        design: what it is.
        skin: its textures.
        pose: where it stands.
        answers: the lit ball of `light.ball`.
        size: height and width of the canvas in pixels.
        crumple: which creases a soft body has in this photo.
    """
    if design.body in TURNED:
        return draw_turned(design, skin, pose, answers, size)
    if design.body in FOLDED:
        return draw_folded(design, skin, pose, answers, size)
    return draw_soft(design, skin, pose, answers, size, crumple)
