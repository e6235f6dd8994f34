"""Numbers of the public implementations: each was run, on these inputs, in float64.

Rows are samples and columns classes; `COSINES` are scaled by 16 and go through the mean
cross-entropy, whose gradient by the cosines is compared. Commits are those whose lines were run.
"""

from __future__ import annotations

import math

import pytest
import torch

from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    SphereFace,
    SupportVector,
)
from tests.margins.numbers import ask, column

ANGLES = (0.3, 1.0, 1.8, 2.9)
COSINES = torch.stack(
    [column(0.8, 0.1, 0.5, -0.3), column(0.2, 0.45, 0.39, 0.9), column(0.41, -0.2, -0.1, 0.6)]
)
LABELS = torch.tensor([0, 1, 2])
SCALE = 16.0


def curve(margin, state=None):
    """Logits and derivatives at the four angles."""
    values, derivatives = zip(*(ask(margin, theta, 1.0, state) for theta in ANGLES), strict=True)
    return list(values), list(derivatives)


def run(margin, norm=(1.0, 1.0, 1.0), state=None):
    """Cosines after the margin, and the gradient by the cosines, each flat."""
    rows = torch.arange(3)
    cos = COSINES[rows, LABELS]
    value, derivative, norm_derivative = margin.target(cos, column(*norm), state or {})
    negatives, negatives_derivative = margin.negatives(COSINES, value, state or {})
    logits = negatives.index_put((rows, LABELS), value)
    derivatives = (
        torch.ones_like(negatives) if negatives_derivative is None else negatives_derivative
    )
    derivatives = derivatives.index_put((rows, LABELS), derivative)
    target = torch.nn.functional.one_hot(LABELS, 4)
    by_logit = SCALE / 3 * (torch.softmax(SCALE * logits, 1) - target)
    by_norm = None if norm_derivative is None else by_logit[rows, LABELS] * norm_derivative
    return logits, by_logit * derivatives, by_norm


def same(got, expected):
    assert got.flatten().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-11)


# fmt: off
# deepinsight/insightface 7fadd420c2, recognition/arcface_torch/losses.py, CombinedMarginLoss
ARCFACE_TORCH = [0.41441072635, 0.1, 0.5, -0.3, 0.2, -0.033228543107, 0.39, 0.9,
                 0.41, -0.2, -0.564780644128, 0.6]
ARCFACE_TORCH_GRADIENT = [
    -4.25363421004, 0.00705591357482, 4.24656657266, 1.17238045191e-05,
    7.29071834345e-05, -5.33333158698, 0.00152414240328, 5.33173453739,
    0.243472267492, 1.40519099187e-05, -5.33333329231, 5.08984697291]
# (1, 0.3, 0.2) there
ARCFACE_TORCH_COMBINED = [0.6, 0.1, 0.5, -0.3, 0.2, 0.25, 0.39, 0.9, 0.41, -0.2, -0.3, 0.6]
# interclass_filtering_threshold=0.4 there, with (1, 0.5, 0)
ARCFACE_TORCH_FILTERED = [0.41441072635, 0.1, 0, -0.3, 0.2, -0.033228543107, 0.39, 0,
                          0, -0.2, -0.564780644128, 0]
ARCFACE_TORCH_FILTERED_GRADIENT = [
    -0.0416211209229, 0.034581730436, 0.0, 5.74595257248e-05,
    0.242755730239, -5.32751857618, 5.07486758735, 0.0,
    0.0, 0.106521840714, -5.33302238865, 0.0]
# fmt: on


def test_trap_1_gradient_of_arcface_torch_is_the_detached_one():
    logits, gradient, _ = run(ArcFace(0.5, "detached"))
    same(logits, ARCFACE_TORCH)
    same(gradient, ARCFACE_TORCH_GRADIENT)
    assert run(ArcFace(0.5))[1][0, 0].item() != pytest.approx(ARCFACE_TORCH_GRADIENT[0], rel=0.1)


def test_trap_2_combined_in_arcface_torch_is_cosface():
    same(run(CosFace(0.2))[0], ARCFACE_TORCH_COMBINED)
    assert run(Combined(1, 0.3, 0.2))[0][0, 0].item() != pytest.approx(0.6, abs=0.1)


def test_filter_of_arcface_torch():
    logits, gradient, _ = run(Filtered(ArcFace(0.5, "detached"), 0.4))
    same(logits, ARCFACE_TORCH_FILTERED)
    same(gradient, ARCFACE_TORCH_FILTERED_GRADIENT)


def test_linear_fallback():
    # deepinsight/insightface 5ef9804754, recognition/arcface_torch/losses.py, ArcFace; the same
    # lines in HuangYG123/CurricularFace d3802651f9, head/metrics.py, and the same numbers from
    # ArcFaceLoss of pytorch-metric-learning 2.9.0.
    values, derivatives = curve(ArcFace(0.5, beyond="linear"))
    assert values == pytest.approx(
        [0.696706709347, 0.0707372016677, -0.66627602128, -1.21067093445]
    )
    assert derivatives == pytest.approx([2.42743499338, 1.18541816012, 0.765730889035, 1.0])


def test_easy_margin():
    # The easy_margin branch of the same lines.
    values, derivatives = curve(ArcFace(0.5, beyond="easy"))
    assert values == pytest.approx(
        [0.696706709347, 0.0707372016677, -0.227202094693, -0.97095816515]
    )
    assert derivatives == pytest.approx([2.42743499338, 1.18541816012, 1.0, 1.0])


@pytest.mark.parametrize(
    ("numbers", "values", "derivatives"),
    [
        (
            (1.0, 0.3, 0.2),
            [0.62533561491, 0.0674988286246, -0.7048461046],
            [1.91067297825, 1.14508783168, 0.886390580291],
        ),
        (
            (0.9, 0.4, 0.15),
            [0.633821665881, 0.117498828625, -0.584248346118, -1.14135417395],
            [1.89119855677, 1.03057904851, 0.83248533617, 0.493593329282],
        ),
    ],
)
def test_combined_of_mxnet(numbers, values, derivatives):
    # deepinsight/insightface ce3600a742, recognition/arcface_mxnet/train.py, as far as
    # m1·θ + m2 stays below π.
    got = curve(Combined(*numbers))
    assert got[0][: len(values)] == pytest.approx(values)
    assert got[1][: len(derivatives)] == pytest.approx(derivatives)


@pytest.mark.parametrize(
    ("step", "values", "derivatives"),
    [
        (
            1,
            [0.954743984413, 0.53841715536, -0.230364011655, -0.976551022161],
            [1.01160628628, 1.00259544509, 1.00225811969, 1.01274664079],
        ),
        (
            1000,
            [0.954619851988, 0.538022207778, -0.231026447601, -0.977722751073],
            [1.0140378559, 1.00313920261, 1.002731206, 1.01541711985],
        ),
        (
            200_000,
            [0.856506700017, 0.225859191701, -0.754609859822, -1.90384674259],
            [2.93592860986, 1.43292025431, 1.376654375, 3.12613974766],
        ),
    ],
)
def test_annealed_sphereface_of_sv_x_softmax(step, values, derivatives):
    # xiaoboCASIA/SV-X-Softmax de3a82d7b6, fc_layers.py, 'SphereFace' with margin 4.
    margin = SphereFace(4, annealed=True, gamma=1e-4, power=2)
    assert curve(margin, {"step": torch.tensor(step)}) == (
        pytest.approx(values),
        pytest.approx(derivatives),
    )


@pytest.mark.parametrize(
    ("step", "values"),
    [
        (1, [0.954673095943, 0.538191612118, -0.230742309834, -0.977220162952]),
        (100, [0.947726692926, 0.516090496485, -0.267811971969, -1.0427896647]),
        (2000, [0.856506700017, 0.225859191701, -0.754609859822, -1.90384674259]),
    ],
)
def test_annealed_sphereface_of_the_authors(step, values):
    # wy1iu/sphereface 966c44c905, margin_inner_product_layer.cpp, QUADRUPLE, with the numbers of
    # sphereface_model.prototxt at 7f9acb157c. (Its backward rescales the gradient: not compared.)
    assert curve(SphereFace(4, annealed=True), {"step": torch.tensor(step)})[0] == pytest.approx(
        values
    )


def test_sphereface_r():
    # ydwen/opensphere 22b3d9038a, model/head/spherefacer.py, get_d_theta 'v0' with m = 1.5:
    # computed under no_grad, so its derivative is 1.
    values, derivatives = curve(SphereFace(1.5, "detached"))
    assert values == pytest.approx(
        [0.900447102353, 0.0707372016677, -0.904072142017, -1.64549093495]
    )
    assert derivatives == [1, 1, 1, 1]


# fmt: off
# xiaoboCASIA/SV-X-Softmax de3a82d7b6, fc_layers.py, easy_margin=False, t=0.2
MV_AM = [0.45, 0.1, 0.8, -0.3, 0.44, 0.1, 0.668, 1.28, 0.692, -0.04, -0.45, 0.92]
MV_AM_GRADIENT = [
    -5.31368432201, 7.2659366041e-05, 6.3763338503, 1.2072769811e-07,
    9.31616618877e-06, -5.33333329964, 0.000357720226599, 6.39963292318,
    0.162445611281, 1.33122360748e-06, -5.33333333176, 6.23755305561]
MV_ARC = [0.41441072635, 0.1, 0.8, -0.3, 0.44, -0.033228543107, 0.668, 1.28,
          0.692, -0.04, -0.564780644128, 0.92]
MV_ARC_GRADIENT = [
    -8.07279705918, 7.27757705479e-05, 6.38654910593, 1.20921110865e-07,
    9.31616624063e-06, -5.96888881501, 0.000357720228591, 6.39963295881,
    0.162445611321, 1.33122360781e-06, -4.42345857206, 6.23755305716]
# fmt: on


@pytest.mark.parametrize(
    ("inner", "expected", "expected_gradient"),
    [(CosFace(0.35), MV_AM, MV_AM_GRADIENT), (ArcFace(0.5), MV_ARC, MV_ARC_GRADIENT)],
)
def test_trap_4_mv_softmax_at_its_own_t(inner, expected, expected_gradient):
    logits, gradient, _ = run(SupportVector(inner, 1.2))
    same(logits, expected)
    same(gradient, expected_gradient)


# fmt: off
# HuangYG123/CurricularFace d3802651f9, head/metrics.py, at t = 0 and t = 0.6 before the step
CURRICULAR = {
    0.0: ([0.41441072635, 0.1, 0.251916666667, -0.3, 0.0407666666667, -0.033228543107,
           0.153595, 0.81345, 0.169671666667, 0.0392333333333, -0.564780644128, 0.3623],
          [-0.604964572416, 0.0322472897119, 0.367942498274, 5.35807187609e-05,
           9.2052047327e-06, -5.96888101122, 0.000108659218655, 9.62014068462,
           0.191640479117, -0.0114326641292, -4.42345705202, 6.10566550344],
          0.00383333333333),
    0.6: ([0.41441072635, 0.1, 0.548916666667, -0.3, 0.159566666667, -0.033228543107,
           0.385255, 1.34805, 0.413211666667, -0.0795666666667, -0.564780644128, 0.7187],
          [-7.24783779647, 0.00362704179703, 7.62915671298, 6.02653767796e-06,
           2.93513842893e-08, -5.96888881798, 1.4997208619e-06, 12.7884417607,
           0.0565732255356, 2.97242326267e-06, -4.42345856697, 9.51668174612],
          0.597833333333),
}
# fmt: on


@pytest.mark.parametrize("before", CURRICULAR)
def test_curricularface_of_the_authors(before):
    expected, expected_gradient, t = CURRICULAR[before]
    margin = CurricularFace(0.5, beyond="linear")
    cos = COSINES.diagonal()
    state = margin.observe(cos, cos, {"t": column(before)})
    assert state["t"].item() == pytest.approx(t)
    logits, gradient, _ = run(margin, state=state)
    same(logits, expected)
    same(gradient, expected_gradient)


# fmt: off
# mk-minchul/AdaFace 9cb9816421, head.py, lengths 12, 25, 130, from mean 20 and deviation 100
ADAFACE = {
    0.01: ([0.404373567839, 0.1, 0.5, -0.3, 0.2, 0.0493114668103, 0.39, 0.9,
            0.41, -0.2, -0.5001674693, 0.6],
           [-4.44972393553, 0.00727440074751, 4.37806199338, 1.208683347e-05,
            7.2907117884e-05, -5.31615006558, 0.00152414103294, 5.33172974366,
            0.243472264099, 1.40519097229e-05, -5.36008445943, 5.08984690199],
           20.2566666667, 99.4750087718),
    1.0: ([0.434283722982, 0.1, 0.5, -0.3, 0.2, 0.0554726861774, 0.39, 0.9,
           0.41, -0.2, -0.500191108601, 0.6],
          [-4.43335149222, 0.00655887449431, 3.94742606843, 1.08979456199e-05,
           7.29071086196e-05, -5.48002907203, 0.00152414083926, 5.33172906615,
           0.243472264101, 1.4051909723e-05, -5.35290354813, 5.08984690203],
          45.6666666667, 47.5008771849),
}
# fmt: on


@pytest.mark.parametrize("alpha", ADAFACE)
def test_adaface_of_the_authors(alpha):
    expected, expected_gradient, mean, std = ADAFACE[alpha]
    margin, lengths = AdaFace(alpha=alpha), (12.0, 25.0, 130.0)
    state = {"mean": column(20)[0], "std": column(100)[0]}
    state = margin.observe(COSINES.diagonal(), column(*lengths), state)
    assert state["mean"].item() == pytest.approx(mean)
    assert state["std"].item() == pytest.approx(std)
    logits, gradient, _ = run(margin, lengths, state)
    same(logits, expected)
    same(gradient, expected_gradient)


@pytest.mark.parametrize(
    ("theta", "length", "value"), [(0.1, 100.0, 0.1999995), (3.08, 0.001, -0.9999995)]
)
def test_adaface_of_the_authors_where_it_clips(theta, length, value):
    # There the ends are 0.001 and π - 0.001, here 0 and π: 5e-7 apart in the value.
    state = {"mean": column(50)[0], "std": column(1)[0]}
    margin = AdaFace(beyond="clip")
    assert ask(margin, theta, length, state) == (pytest.approx(value, abs=6e-7), 0.0)


# fmt: off
# IrvingMeng/MagFace 719001a07b, models/magface.py, easy_margin True and False, λ_g = 35
MAGFACE = {
    "easy": ([0.459378361415, 0.1, 0.5, -0.3, 0.2, -0.0881202158127, 0.39, 0.9,
              0.41, -0.2, -0.1, 0.6],
             [-5.19027055218, 0.00581572277299, 3.50016389256, 9.66315647222e-06,
              7.29071973881e-05, -5.94895325465, 0.00152414269499, 5.33173555783,
              0.243469092112, 1.40517266529e-05, -5.33326373468, 5.08978059084],
             [0.0, 0.0122665686113, -0.000202479338843], 11.0956539818),
    "linear": ([0.459378361415, 0.1, 0.5, -0.3, 0.2, -0.0881202158127, 0.39, 0.9,
                0.41, -0.2, -0.761203849046, 0.6],
               [-5.19027055218, 0.00581572277299, 3.50016389256, 9.66315647222e-06,
                7.29071973881e-05, -5.94895325465, 0.00152414269499, 5.33173555783,
                0.243472269283, 1.40519100221e-05, -3.47615877343, 5.08984701037],
               [0.0, 0.0122665686113, 0.0119030907425], 14.6220701602),
}
# fmt: on


@pytest.mark.parametrize("beyond", MAGFACE)
def test_magface_of_the_authors(beyond):
    expected, expected_gradient, by_length, loss = MAGFACE[beyond]
    margin, lengths = MagFace(beyond=beyond), (5.0, 40.0, 100.0)
    logits, gradient, by_norm = run(margin, lengths)
    same(logits, expected)
    same(gradient, expected_gradient)
    penalty, penalty_derivative = margin.penalty(column(*lengths))
    same(by_norm + penalty_derivative / 3, by_length)
    entropy = torch.nn.functional.cross_entropy(SCALE * logits, LABELS)
    assert (entropy + penalty.mean()).item() == pytest.approx(loss)


# fmt: off
# fdbtrs/ElasticFace ea2c5af079, utils/losses.py, ElasticArcFace with these margins drawn
ELASTIC = [0.423490753985, 0.1, 0.5, -0.3, 0.2, -0.0532095206392, 0.39, 0.9,
           0.41, -0.2, -0.568899772544, 0.6]
ELASTIC_GRADIENT = [
    -6.22522321668, 0.00683941296969, 4.11626675777, 1.1364076364e-05,
    7.29071899668e-05, -5.96372498635, 0.00152414253984, 5.3317350151,
    0.243472267611, 1.40519099256e-05, -4.40826661969, 5.08984697541]
# fmt: on


def test_elasticface_of_the_authors():
    logits, gradient, _ = run(ElasticFace(), state={"margins": column(0.49, 0.52, 0.505)})
    same(logits, ELASTIC)
    same(gradient, ELASTIC_GRADIENT)


def test_arcface_and_cosface_of_pytorch_metric_learning_by_the_embedding():
    # ArcFaceLoss(margin=28.64788975654116, scale=16) and CosFaceLoss(margin=0.35, scale=16) of
    # pytorch-metric-learning 2.9.0 over the four unit vectors; its gradient by the embeddings.
    x = torch.tensor(
        [[0.8, 0.1, 0.5, -0.3], [0.2, 0.45, 0.39, 0.9], [0.41, -0.2, -0.1, 0.6]],
        dtype=torch.float64,
    )
    length = x.norm(dim=1, keepdim=True)
    u, rows = x / length, torch.arange(3)
    for margin, loss, first in (
        (ArcFace(math.radians(28.64788975654116)), 12.6689531754, -3.98324511749),
        (CosFace(0.35), 11.2216573601, -2.78021725473),
    ):
        value, derivative, _ = margin.target(u[rows, LABELS], length[:, 0], {})
        logits = u.index_put((rows, LABELS), value)
        target = torch.nn.functional.one_hot(LABELS, 4)
        gradient = SCALE / 3 * (torch.softmax(SCALE * logits, 1) - target)
        gradient[rows, LABELS] *= derivative
        gradient = (gradient - (gradient * u).sum(1, keepdim=True) * u) / length
        entropy = torch.nn.functional.cross_entropy(SCALE * logits, LABELS)
        # It divides by lengths rounded to float32 inside.
        assert entropy.item() == pytest.approx(loss, rel=1e-6)
        assert gradient[0, 0].item() == pytest.approx(first, rel=1e-5)
