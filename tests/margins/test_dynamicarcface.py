from __future__ import annotations

import numpy as np
import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, CentreSGD, Sampled
from arcwise.margins import ArcFace, DynamicArcFace, Filtered, SupportVector
from tests import oracles

SIZES = torch.tensor([1, 3, 40, 8])


def margins_of(sizes: torch.Tensor) -> np.ndarray:
    """As the released code of arXiv 2010.05350 has them."""
    root = np.sqrt(1 / np.sqrt(sizes.numpy()))
    return (root - root.min()) / (root.max() - root.min()) * 0.45 + 0.05


def test_a_class_has_the_margin_of_its_size() -> None:
    rarity = DynamicArcFace().of_classes(SIZES)["rarity"]
    np.testing.assert_allclose(0.05 + 0.45 * rarity, margins_of(SIZES), atol=1e-6)


def test_classes_of_one_size_have_arcface_s() -> None:
    cos = torch.linspace(-1, 1, 9, dtype=torch.float64)
    state = DynamicArcFace().of_classes(torch.full((9,), 7))
    for found in (state, {}):
        got, slope, _ = DynamicArcFace().target(cos, cos, found)
        expected, expected_slope, _ = ArcFace(0.5).target(cos, cos, {})
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(slope, expected_slope)


@pytest.mark.parametrize("impl", ["dense", "streaming"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_sample_pays_the_margin_of_its_class(impl: str, wrapped: bool) -> None:
    torch.manual_seed(0)
    margin = Filtered(DynamicArcFace(), 1.0) if wrapped else DynamicArcFace()
    head = CentreHead(4, 6, margin=margin, scale=8.0, impl=impl, sizes=SIZES)
    x = torch.randn(9, 6, requires_grad=True)
    y = torch.tensor([3, 0, -1, 2, 2, 1, 0, -1, 3])
    centres = head.centres.detach().double().numpy()
    total, gradient = 0.0, torch.zeros_like(x)
    for row in torch.nonzero(y >= 0).flatten().tolist():
        psi = oracles.arcface(float(margins_of(SIZES)[y[row]]))
        one = x[row : row + 1].detach().double().numpy()
        total += oracles.margin_softmax(one, centres, [int(y[row])], psi, 8.0) / 7
        alone = CentreHead(4, 6, margin=ArcFace(float(margins_of(SIZES)[y[row]])), scale=8.0)
        alone.centres.data.copy_(head.centres.data)
        (part,) = torch.autograd.grad(alone.loss(x[row : row + 1], y[row : row + 1]), x)
        gradient += part / 7
    loss = head.loss(x, y)
    assert loss.item() == pytest.approx(total, rel=1e-5)
    torch.testing.assert_close(torch.autograd.grad(loss, x)[0], gradient, rtol=1e-4, atol=1e-6)


def test_sampled_classes_keep_their_sizes() -> None:
    """Classes that take part in a step are numbered anew; their margins are still their own."""
    torch.manual_seed(0)
    sizes = torch.arange(1, 41)
    head = CentreHead(
        40, 6, margin=DynamicArcFace(), scale=8.0, selection=Sampled(0.1), sizes=sizes
    )
    head.centre_optimiser = CentreSGD(head, 0.1)
    seen: list[torch.Tensor] = []
    margin = head.margin

    class Noted(DynamicArcFace):
        def target(self, cos, norm, state):  # type: ignore[no-untyped-def]
            seen.append(state["rarity"])
            return super().target(cos, norm, state)

    head.margin = Noted()
    labels = torch.tensor([39, 0, -1, 17])
    head.loss(torch.randn(4, 6, requires_grad=True), labels)
    expected = margin.of_classes(sizes)["rarity"][labels[labels >= 0]]
    torch.testing.assert_close(seen[0], expected)


def test_it_is_no_part_of_a_checkpoint() -> None:
    margin = SupportVector(DynamicArcFace())
    known = CentreHead(4, 6, margin=margin, sizes=SIZES).state_dict()
    assert known.keys() == CentreHead(4, 6, margin=ArcFace()).state_dict().keys()


def test_half_the_margin_in_the_middle_of_the_warm_up() -> None:
    assert DynamicArcFace().scaled(0.5) == DynamicArcFace(0.025, 0.25)


@pytest.mark.parametrize("low", [-0.1, 0.6, float("nan")])
def test_a_low_end_above_the_high_one(low: float) -> None:
    with pytest.raises(ArcwiseError, match=r"low=.*expected 0 to 0\.5 radians"):
        DynamicArcFace(low)
