from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from arcwise.errors import NonFiniteError
from arcwise.heads import CentreHead, CentreSGD
from arcwise.margins import AdaFace, ArcFace
from arcwise.objectives import Batch, ClassCentres
from arcwise.training.step import sentence, update


class Spoil(nn.Module):
    """Passes its input on, times a value, and the gradient back, times another."""

    def __init__(self, forward: float = 1.0, backward: float = 1.0) -> None:
        super().__init__()
        self.factors = forward, backward

    def forward(self, x):
        return Scaled.apply(x, *self.factors)


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_factor = backward
        return x * forward

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.backward_factor, None, None


def parts(spoil=None):
    """An encoder with a place to spoil between two layers, a head, and their optimiser."""
    torch.manual_seed(0)
    encoder = nn.Sequential()
    encoder.add_module("first", nn.Conv2d(3, 4, 3, bias=False))
    encoder.add_module("norm", nn.BatchNorm2d(4))
    encoder.add_module("middle", spoil or nn.Identity())
    encoder.add_module("flat", nn.Flatten())
    encoder.add_module("last", nn.Linear(36, 6))
    head = ClassCentres(CentreHead(5, 6, margin=ArcFace(0.3), scale=16.0))
    parameters = [*encoder.parameters(), *head.parameters()]
    return encoder, head, torch.optim.SGD(parameters, 0.1, momentum=0.9)


def fused_parts(spoil=None):
    """The same encoder, and a head with statistics whose centres a fused optimiser moves."""
    encoder, _, _ = parts(spoil)
    head = CentreHead(5, 6, margin=AdaFace(0.3), scale=16.0)
    centres = CentreSGD(head, 0.1, 0.9, nesterov=True)
    return (
        encoder,
        ClassCentres(head),
        torch.optim.SGD(encoder.parameters(), 0.1, momentum=0.9),
        centres,
    )


def batch():
    torch.manual_seed(1)
    return torch.randn(8, 3, 5, 5), torch.arange(8) % 5


def step(
    encoder,
    objective,
    optimiser,
    centres=None,
    *,
    max_grad_norm=0.0,
    margin_scale=1.0,
    inputs=None,
    careful=True,
):
    """The loss and the norm of the gradient of one step."""
    images, labels = batch()
    objective.set_margin_scale(margin_scale)
    result = update(
        encoder,
        objective,
        optimiser,
        Batch(images if inputs is None else inputs, labels),
        max_grad_norm=max_grad_norm,
        autocast=nullcontext(),
        centres=centres,
        careful=careful,
    )
    return float(result.loss), float(result.gradient)


def everything(encoder, head, *optimisers):
    """Copies of all that a step may change."""
    state = {f"encoder.{k}": v.clone() for k, v in encoder.state_dict().items()}
    state |= {f"head.{k}": v.clone() for k, v in head.state_dict().items()}
    for which, optimiser in enumerate(optimisers):
        for number, values in optimiser.state_dict()["state"].items():
            state[f"momentum.{which}.{number}"] = values["momentum_buffer"].clone()
    return state


def gradients(encoder, objective, margin_scale=1.0):
    """What a plain backward pass gives."""
    images, labels = batch()
    loss = objective.head.loss(encoder(images), labels, margin_scale)
    return loss.item(), torch.autograd.grad(loss, [*encoder.parameters(), *objective.parameters()])


def test_a_step_is_forward_backward_and_the_optimiser_s_update():
    expected_loss, expected = gradients(*parts()[:2])
    encoder, head, optimiser = parts()
    before = [p.detach().clone() for p in (*encoder.parameters(), *head.parameters())]
    loss, norm = step(encoder, head, optimiser)
    assert loss == pytest.approx(expected_loss)
    assert norm == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in expected)))
    after = [*encoder.parameters(), *head.parameters()]
    for old, gradient, new in zip(before, expected, after, strict=True):
        torch.testing.assert_close(new.detach(), old - 0.1 * gradient)


def test_a_second_step_starts_from_no_gradient():
    encoder, head, optimiser = parts()
    step(encoder, head, optimiser)
    _, expected = gradients(encoder, head)
    step(encoder, head, optimiser)
    for p, gradient in zip((*encoder.parameters(), *head.parameters()), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_the_margin_scale_reaches_the_head():
    losses = [step(*parts(), margin_scale=scale)[0] for scale in (0.0, 0.5, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[2]
    assert losses[1] == pytest.approx(gradients(*parts()[:2], margin_scale=0.5)[0])


def test_without_clip_gradients_are_left_alone():
    expected = gradients(*parts()[:2])[1]
    encoder, head, optimiser = parts()
    step(encoder, head, optimiser, max_grad_norm=0.0)
    for p, gradient in zip((*encoder.parameters(), *head.parameters()), expected, strict=True):
        assert torch.equal(p.grad, gradient)


def test_clip_shortens_the_gradient_of_encoder_and_head_together():
    full, expected = step(*parts())[1], gradients(*parts()[:2])[1]
    encoder, head, optimiser = parts()
    _, reported = step(encoder, head, optimiser, max_grad_norm=full / 4)
    found = [p.grad for p in (*encoder.parameters(), *head.parameters())]
    total = math.sqrt(sum(float(g.square().sum()) for g in found))
    assert reported == pytest.approx(full)  # as it was before
    assert total == pytest.approx(full / 4, rel=1e-4)
    for gradient, whole in zip(found, expected, strict=True):  # one factor for all
        torch.testing.assert_close(gradient, whole / 4, rtol=1e-4, atol=1e-8)


def test_a_gradient_shorter_than_the_clip_is_left_alone():
    expected = gradients(*parts()[:2])[1]
    encoder, head, optimiser = parts()
    step(encoder, head, optimiser, max_grad_norm=1e6)
    for p, gradient in zip((*encoder.parameters(), *head.parameters()), expected, strict=True):
        assert torch.equal(p.grad, gradient)


FAULTS = {
    "nan in a layer": (lambda: Spoil(forward=math.nan), "layer middle"),
    "infinity in a layer": (lambda: Spoil(forward=math.inf), "layer middle"),
    "nan in the gradient": (lambda: Spoil(backward=math.nan), "layer encoder.norm"),
    "infinity in the gradient": (lambda: Spoil(backward=math.inf), "layer encoder.norm"),
}


@pytest.mark.parametrize("clip", [0.0, 5.0])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_finite_stops_the_step_and_names_its_layer(fault, clip):
    spoil, layer = FAULTS[fault]
    encoder, head, optimiser = parts(spoil())
    with pytest.raises(NonFiniteError, match=layer):
        step(encoder, head, optimiser, max_grad_norm=clip)


@pytest.mark.parametrize("make", [parts, fused_parts])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_finite_changes_nothing(fault, make):
    encoder, *rest = make()
    step(encoder, *rest)  # momentum and running statistics are there to be spoilt
    sound, encoder.middle = encoder.middle, FAULTS[fault][0]()
    before = everything(encoder, *rest)
    with pytest.raises(NonFiniteError):
        step(encoder, *rest)
    after = everything(encoder, *rest)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    encoder.middle = sound
    step(encoder, *rest)
    twin, *others = make()
    for _ in range(2):
        step(twin, *others)
    found, expected = everything(encoder, *rest), everything(twin, *others)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_the_usual_step_refuses_the_update_too(fault):
    """On a CPU: no weight has changed. Only a careful step undoes the statistics."""
    encoder, head, optimiser = parts(FAULTS[fault][0]())
    before = [p.detach().clone() for p in (*encoder.parameters(), *head.parameters())]
    with pytest.raises(NonFiniteError):
        step(encoder, head, optimiser, careful=False)
    after = (*encoder.parameters(), *head.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_usual_step_is_the_careful_step():
    found = {}
    for careful in (False, True):
        encoder, *rest = fused_parts()
        for _ in range(3):
            step(encoder, *rest, careful=careful)
        found[careful] = everything(encoder, *rest)
    same = [torch.equal(value, found[True][name]) for name, value in found[False].items()]
    assert all(same)


def test_a_step_moves_fused_centres_and_the_head_s_statistics():
    encoder, *rest = fused_parts()
    before = everything(encoder, *rest)
    step(encoder, *rest)
    after = everything(encoder, *rest)
    for name in ("encoder.last.weight", "head.head.centres", "head.head.statistics.mean"):
        assert not torch.equal(before[name], after[name])
    assert rest[0].head.centres.grad is None


def test_an_infinite_weight_is_found_in_its_layer():
    encoder, head, optimiser = parts()
    with torch.no_grad():
        encoder.first.weight[0, 0, 0, 0] = math.inf
    with pytest.raises(NonFiniteError, match="layer first"):
        step(encoder, head, optimiser)


def test_an_infinite_picture_is_not_blamed_on_a_layer():
    inputs = batch()[0]
    inputs[3, 0, 2, 2] = math.nan
    with pytest.raises(NonFiniteError, match="the images themselves are not finite"):
        step(*parts(), inputs=inputs)


def test_an_infinite_centre_is_found_in_the_objective():
    encoder, head, optimiser = parts()
    with torch.no_grad():
        head.head.centres[2, 0] = math.nan
    with pytest.raises(NonFiniteError, match="in the objective"):
        step(encoder, head, optimiser)


def test_a_fault_outside_every_layer_is_not_blamed_on_the_head():
    class Outside(nn.Sequential):
        def forward(self, x):
            return super().forward(x) / 0.0

    encoder, head, optimiser = parts()
    encoder.__class__ = Outside
    with pytest.raises(NonFiniteError, match="after the encoder's last layer"):
        step(encoder, head, optimiser)


def test_looking_for_the_layer_leaves_no_hook_behind():
    encoder, head, optimiser = parts(Spoil(forward=math.nan))
    with pytest.raises(NonFiniteError):
        step(encoder, head, optimiser)
    assert not any(module._forward_hooks for module in encoder.modules())


def test_the_message_names_the_step_and_the_batch_and_says_what_to_do():
    error = sentence(NonFiniteError("the loss is nan"), 17,
                     [f"{n}.jpg" for n in range(6)],
                     ["lower --lr", "set --optim.max-grad-norm 5"])  # fmt: skip
    assert str(error).startswith("step 17: the loss is nan; batch: 0.jpg, 1.jpg, 2.jpg, 3.jpg … ")
    assert "(6 images)" in str(error)
    assert "To go on, lower --lr or set --optim.max-grad-norm 5;" in str(error)
