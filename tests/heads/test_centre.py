"""A head over class centres is the margin softmax of what it owns."""

from __future__ import annotations

import math

import pytest
import torch

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, CentreSGD, Sampled, scale_for
from arcwise.margins import ArcFace, Filtered, MagFace, NormSoftmax, SupportVector
from arcwise.softmax import Streaming, Truncated
from tests.heads.batches import C, D, batch, head
from tests.softmax.exact import exact

IMPLEMENTATIONS = ["auto", "dense", "streaming", Streaming(keep="none", chunk=3), Truncated(tau=0)]
implementations = pytest.mark.parametrize("impl", IMPLEMENTATIONS, ids=str)
MARGINS = {
    "arc": ArcFace(0.3),
    "filtered": Filtered(ArcFace(0.3), 0.2),
    "filtered out": Filtered(ArcFace(0.3), 0.2, "exclude"),
    "mag": MagFace(l_a=1.0, u_a=4.0),
}


@implementations
@pytest.mark.parametrize("subcentres", [1, 3])
@pytest.mark.parametrize("name", MARGINS)
def test_loss_and_gradients_are_those_of_its_centres(name, subcentres, impl):
    owner = head(MARGINS[name], subcentres=subcentres, impl=impl)
    x, y = batch()
    loss = owner.loss(x, y)
    loss.backward()
    expected = exact(x, owner.centres, y, owner.margin, owner.scale)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-10)
    torch.testing.assert_close(x.grad, expected.dx)
    torch.testing.assert_close(owner.centres.grad, expected.dw)


def test_it_is_margin_softmax_to_the_last_bit():
    owner = head(dtype=torch.float32)
    x, y = batch(dtype=torch.float32)
    got = margin_softmax(x, owner.centres, y, margin=owner.margin, scale=owner.scale)
    assert owner.loss(x, y).item() == got.item()


@implementations
@pytest.mark.parametrize("margin_scale", [0.0, 0.5, 1.0])
def test_margin_scale_is_a_fraction_of_the_margin(margin_scale, impl):
    x, y = batch()
    weak = head(ArcFace(0.4), impl=impl).loss(x, y, margin_scale)
    assert weak.item() == head(ArcFace(0.4 * margin_scale), impl=impl).loss(x, y).item()


def test_at_margin_scale_0_there_is_no_margin():
    x, y = batch()
    assert head(ArcFace()).loss(x, y, 0.0).item() == head(NormSoftmax()).loss(x, y).item()


@pytest.mark.parametrize(("subcentres", "shape"), [(1, (500, 64)), (3, (500, 3, 64))])
def test_centres_start_about_at_right_angles(subcentres, shape):
    torch.manual_seed(0)
    centres = CentreHead(500, 64, margin=ArcFace(), subcentres=subcentres).centres.detach()
    assert centres.shape == shape
    assert centres.std().item() == pytest.approx(0.01, rel=0.02)
    directions = torch.nn.functional.normalize(centres.reshape(-1, 64))
    cosines = (directions @ directions.T).fill_diagonal_(0)
    assert cosines.abs().max() < 0.7


def test_the_scale_is_arcfaces_unless_asked():
    assert CentreHead(C, D, margin=ArcFace()).scale == 64


def test_only_the_centres_learn_and_only_they_and_statistics_are_saved():
    owner = head()
    assert [name for name, _ in owner.named_parameters()] == ["centres"]
    assert list(owner.state_dict()) == ["centres"]


@implementations
def test_two_losses_before_one_backward_keep_apart(impl):
    owner = head(impl=impl)
    (first_x, first_y), (second_x, second_y) = batch(0), batch(1)
    (owner.loss(first_x, first_y) + owner.loss(second_x, second_y)).backward()
    first = exact(first_x, owner.centres, first_y, owner.margin, owner.scale)
    second = exact(second_x, owner.centres, second_y, owner.margin, owner.scale)
    torch.testing.assert_close(owner.centres.grad, first.dw + second.dw)
    torch.testing.assert_close(first_x.grad, first.dx)


def test_a_loss_that_is_never_asked_for_its_gradient_disturbs_nobody():
    owner = head(impl=Streaming(keep="fp32"))
    owner.loss(*batch(3)).backward()  # its memory is free again
    owner.centres.grad = None
    x, y = batch(0)
    loss = owner.loss(x, y)
    owner.loss(*batch(1))
    loss.backward()
    expected = exact(x, owner.centres, y, owner.margin, owner.scale)
    torch.testing.assert_close(owner.centres.grad, expected.dw)


def test_a_graph_that_is_kept_does_not_read_memory_that_it_gave_back():
    owner = head(impl=Streaming(keep="fp32"))
    x, y = batch(0)
    loss = owner.loss(x, y)
    loss.backward(retain_graph=True)
    owner.loss(*batch(1))  # takes the memory
    owner.centres.grad = None
    loss.backward()
    expected = exact(x, owner.centres, y, owner.margin, owner.scale)
    torch.testing.assert_close(owner.centres.grad, expected.dw)


def test_autocast_does_not_reach_the_loss():
    owner = head(dtype=torch.float32, subcentres=2)
    x, y = batch(dtype=torch.float32)
    plain = owner.loss(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        cast = owner.loss(x, y)
    assert cast.dtype == torch.float32
    assert cast.item() == plain.item()


def test_calling_it_is_asking_for_the_loss():
    owner = head()
    assert owner(*batch()).item() == owner.loss(*batch()).item()


@implementations
def test_without_gradients_the_loss_is_the_same(impl):
    owner = head(impl=impl)
    with torch.no_grad():
        silent = owner.loss(*batch())
    assert not silent.requires_grad
    assert silent.item() == owner.loss(*batch()).item()


def test_embeddings_that_do_not_learn_still_move_the_centres():
    owner = head()
    x, y = batch()
    owner.loss(x.detach(), y).backward()
    expected = exact(x, owner.centres, y, owner.margin, owner.scale)
    torch.testing.assert_close(owner.centres.grad, expected.dw)


def test_a_truncated_pass_has_metrics_and_an_exact_one_has_none():
    truncated, exact_ = head(impl=Truncated(tau=0.01)), head()
    truncated.loss(*batch())
    exact_.loss(*batch())
    assert 0 < truncated.metrics["dropped"] < 0.1
    assert exact_.metrics == {}


def test_the_dense_one_cannot_have_a_fused_optimiser():
    owner = head(impl="dense")
    CentreSGD(owner, 0.1)
    with pytest.raises(ArcwiseError, match='impl="dense" under a CentreSGD'):
        owner.loss(*batch())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "got 1 classes"),
        ({"scale": 0.0}, "scale=0.0; expected a positive number"),
        ({"scale": -1.0}, "scale=-1.0"),
        ({"scale": math.nan}, "scale=nan"),
        ({"scale": math.inf}, "scale=inf"),
        ({"subcentres": 0}, "subcentres=0; expected at least 1"),
        ({"margin": 0.5}, r"margin=0.5; expected one of arcwise.margins"),
        ({"selection": 0.1}, r"selection=0.1; expected All\(\) or, say, Sampled\(0.1\)"),
        ({"selection": Sampled}, r"expected All\(\) or, say, Sampled\(0.1\)"),
        ({"impl": "fast"}, r"impl='fast'; expected one of"),
        ({"impl": Streaming}, r"expected one of .*, or an object like Streaming\(\)"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ArcwiseError, match=message):
        CentreHead(**{"classes": C, "dim": D, "margin": ArcFace(), **options})


def test_batches_that_do_not_fit_are_refused():
    x, y = batch()
    with pytest.raises(ArcwiseError, match="embeddings"):
        head().loss(x[:, :3], y)
    with pytest.raises(ArcwiseError, match="expected 0 to 10"):
        head().loss(x, y + C)


def test_scale_grows_with_the_classes_as_adacos_does():
    start = math.sqrt(2) * math.log(9_999)  # AdaCos at 10,000 classes
    assert scale_for(10_000) == pytest.approx(2.5 * start)
    scales = [scale_for(c) for c in (2, 5, 50, 500, 5_000, 1_000_000)]
    assert scales == sorted(scales)
    assert scales[0] == 8
    assert 45 < scales[-1] < 64  # what the field uses by hand for a million


def test_a_scale_is_smaller_where_classes_are_seen_a_few_times_only():
    assert scale_for(1000, 80) == scale_for(1000, 1e6) == scale_for(1000)
    assert scale_for(1000, 20) == pytest.approx(scale_for(1000) / 2)
    assert scale_for(1000, 0) == 8


def test_a_scale_for_one_class_is_refused():
    with pytest.raises(ArcwiseError, match="got 1 classes"):
        scale_for(1)


@pytest.mark.parametrize("impl", [Streaming(chunk=3), Streaming(keep="none")], ids=str)
def test_support_vectors_are_counted(impl: Streaming) -> None:
    owner = head(SupportVector(ArcFace(0.5), 1.3), impl=impl)
    x, y = batch()
    owner.loss(x, y)
    cosines = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(owner.centres).T
    own = y >= 0
    angles = cosines[own, y[own]].acos()
    hard = cosines[own] > torch.cos(angles + 0.5)[:, None]
    hard[torch.arange(int(own.sum())), y[own]] = False
    expected = hard.sum() / own.sum()
    assert 0 < expected < C
    assert float(owner.metrics["support_vectors"]) == pytest.approx(float(expected))


def test_no_support_vectors_are_counted_without_re_weighting() -> None:
    owner = head(ArcFace(0.5))
    owner.loss(*batch())
    assert owner.metrics == {}
