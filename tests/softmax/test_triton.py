from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, CentreSGD, Sampled
from arcwise.margins import ArcFace, CosFace, CurricularFace, NormSoftmax
from arcwise.softmax import Streaming, Triton
from arcwise.softmax.flow import backward, forward
from arcwise.softmax.function import implementation
from arcwise.softmax.problem import Chunk, prepare
from tests.softmax.exact import Exact, exact
from tests.softmax.family import FAMILY
from tests.softmax.interpreted import DEVICE
from tests.softmax.problems import at_cosine, draw, error

# The interpreter computes in numpy, which warns where a GPU is silent.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

BOUND = {"fp32": 2e-6, "half": 2e-3}
LOGIT = {"fp32": 2e-7, "half": 2e-4}
"""Largest error of a cosine."""

precisions = pytest.mark.parametrize("precision", BOUND)


def ask(x, w, y, impl, **options) -> Exact:
    x, w = (rows.detach().to(DEVICE, torch.float32).requires_grad_() for rows in (x, w))
    state = {name: value.to(DEVICE) for name, value in options.pop("state", {}).items()}
    loss = margin_softmax(x, w, y.to(DEVICE), impl=impl, state=state, **options)
    loss.backward()
    return Exact(loss.detach().cpu(), x.grad.cpu(), w.grad.cpu())


def agree(got: Exact, expected: Exact, precision: str, scale: float, slack: float = 1.0) -> None:
    assert got.loss.dtype == torch.float32
    loose = scale * LOGIT[precision] + 2e-6 * float(expected.loss)
    assert got.loss.item() == pytest.approx(expected.loss.item(), abs=loose)
    assert error(got.dx, expected.dx) < slack * BOUND[precision]
    assert error(got.dw, expected.dw) < slack * BOUND[precision]


@precisions
@pytest.mark.parametrize("name", FAMILY)
def test_every_margin(name, precision):
    case = FAMILY[name]
    x, w, y = draw(4, 9, 24, 1)
    x = 0.8 * x  # lengths about 4, around which the margins of a length differ
    w[y[0]] = at_cosine(0.8, x[:1])[0]
    w[(y[1] + 1) % 9] = at_cosine(0.5, x[1:2])[0]  # a hard class
    y[3] = -1
    state = case.state(y)
    got = ask(x, w, y, Triton(precision, chunk=5), margin=case.margin, scale=16.0, state=state)
    agree(got, exact(x.float(), w.float(), y, case.margin, 16.0, state), precision, 16.0)


@precisions
@pytest.mark.parametrize(
    ("n", "c", "d", "chunk", "scale"),
    [
        (1, 2, 5, 16384, 1.0),
        (1, 2, 32, 1, 16.0),
        (4, 7, 512, 3, 64.0),
        (3, 507, 32, 300, 64.0),
        (2, 4100, 5, 4097, 16.0),  # more than one program's classes, and a chunk of three
        (7, 13, 33, 5, 80.0),
        (5, 21, 40, 8, 100.0),
    ],
)
def test_awkward_shapes_and_scales(n, c, d, chunk, scale, precision):
    x, w, y = draw(n, c, d, 3)
    got = ask(x, w, y, Triton(precision, chunk), margin=ArcFace(0.5), scale=scale)
    slack = 1.5 if d < 64 else 1.0  # fewer components to average the rounding of
    agree(got, exact(x.float(), w.float(), y, ArcFace(0.5), scale), precision, scale, slack)


def test_more_samples_of_a_class_than_a_kernel_counts_at_once():
    from arcwise.softmax.triton.kernels import TargetTerms, gradient

    generator = torch.Generator().manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(4, 5, generator=generator))
    sums = torch.randn(4, 5, generator=generator)
    terms = torch.randn(600, 5, generator=generator)
    rows = torch.tensor([10] * 270 + [11, 11] + [13] * 300 + [20] * 28)
    expected = sums.double()
    for i, row in enumerate(rows.tolist()):
        if row < 14:  # the others are in the next chunk
            expected[row - 10] += terms[i]
    expected -= (expected * centres).sum(1, keepdim=True) * centres
    got = sums.clone().to(DEVICE)
    targets = TargetTerms(rows.to(DEVICE), terms.to(DEVICE))
    gradient(got, centres.to(DEVICE), targets, Chunk(10, 14, slice(0, 572), 1))
    assert error(got.cpu(), expected) < 1e-6


@precisions
@pytest.mark.parametrize("margin", [ArcFace(0.5), CurricularFace(0.5)])
def test_places_without_digits(margin, precision):
    """Zero, equal, opposite, huge, tiny and unlabelled rows, and two centres in one place."""
    x, w, y = draw(8, 12, 16, 0)
    y[:8] = torch.tensor([0, 1, 2, 3, 4, 5, -1, 4])
    w[0] = x[0]
    w[1] = -x[1]
    w[7] = x[2]
    x[3] = 0
    w[5] = 0
    w[8] = w[9]
    w[10] *= 1e25
    w[11] *= 1e-25
    x[4] *= 1e-20
    got = ask(x, w, y, Triton(precision, chunk=5), margin=margin, scale=16.0)
    expected = exact(x.float(), w.float(), y, margin, 16.0)
    assert all(part.isfinite().all() for part in got)
    for zero in (got.dx[3], got.dx[6], got.dw[5]):
        assert (zero == 0).all()
    agree(  # the gradients' lengths aside: each row is as long as its own length makes it
        Exact(got.loss, *_at_length_one(got, x, w)),
        Exact(expected.loss, *_at_length_one(expected, x, w)),
        precision,
        16.0,
        slack=1.5,
    )


def _at_length_one(exact_or_got, x, w):
    lengths = (rows.float().double().norm(dim=1, keepdim=True) for rows in (x, w))
    return [part.double() * length for part, length in zip(exact_or_got[1:], lengths, strict=True)]


@pytest.mark.parametrize("margin", [NormSoftmax(), CurricularFace()])
@pytest.mark.parametrize("place", ["x", "w"])
def test_a_nan_is_not_hidden(margin, place):
    x, w, y = draw(2, 3, 4, 0)
    {"x": x, "w": w}[place][0] = math.nan
    loss = margin_softmax(
        x.float().to(DEVICE), w.float().to(DEVICE), y.to(DEVICE), margin=margin, impl="triton"
    )
    assert loss.isnan()


@precisions
@pytest.mark.parametrize("margin", [ArcFace(0.3), CurricularFace(0.3)])
@pytest.mark.parametrize("scale", [16.0, 120.0])
def test_subcentres_and_offsets(margin, scale, precision):
    x, w, y = draw(5, 9, 10, 2, torch.float32, subcentres=3)
    offsets = torch.linspace(0, 2, 9)
    problem = prepare(
        x.to(DEVICE), w.to(DEVICE), y.to(DEVICE), margin, scale, {}, offsets.to(DEVICE)
    )
    loss, ctx = forward(Triton(precision, chunk=4), problem)
    dw = torch.cat([chunk.clone() for _, chunk in backward(ctx)]).cpu().view_as(w)
    got = Exact(loss.cpu(), ctx.embedding_gradient.cpu(), dw)
    agree(got, exact(x, w, y, margin, scale, {}, offsets), precision, scale)


def test_nothing_labelled_is_nothing():
    x, w, _ = draw(2, 3, 4, 0)
    got = ask(x, w, torch.tensor([-1, -1]), "triton", margin=ArcFace())
    assert all((part == 0).all() for part in got)


@pytest.mark.parametrize("margin", [ArcFace(), CurricularFace()])
def test_the_loss_alone_is_the_same(margin):
    x, w, y = (part.to(DEVICE) for part in draw(3, 8, 6, 0, torch.float32))
    options = {"margin": margin, "impl": Triton(chunk=3)}
    assert margin_softmax(x, w, y, **options) == margin_softmax(x.requires_grad_(), w, y, **options)


@precisions
def test_other_types_and_layouts_of_centres(precision):
    x, w, y = draw(3, 6, 8, 0)
    x, w, y = x.to(DEVICE), w.to(DEVICE), y.to(DEVICE)
    options = {"margin": ArcFace(), "scale": 16.0, "impl": Triton(precision)}
    plain = margin_softmax(x.float(), w.float(), y, **options)
    assert margin_softmax(x.float(), w.float().T.contiguous().T, y, **options) == plain
    half = w.bfloat16()
    assert margin_softmax(x.float(), half, y, **options) == margin_softmax(
        x.float(), half.float(), y, **options
    )
    exactly = margin_softmax(x, w, y, **options)  # float64 has no kernels
    assert exactly == margin_softmax(x, w, y, margin=ArcFace(), scale=16.0, impl=Streaming())


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
        {"momentum": 0.0, "weight_decay": 0.1},
    ],
)
def test_the_fused_steps_are_those_of_sgd(options):
    x, _, y = draw(3, 6, 7, 0)
    x, y = x.float().to(DEVICE), y.to(DEVICE)
    head = CentreHead(6, 7, margin=CosFace(), scale=16.0, impl=Triton("fp32", chunk=4)).to(DEVICE)
    plain = torch.nn.Parameter(head.centres.detach().double().clone())
    fused, usual = CentreSGD(head, lr=0.1, **options), torch.optim.SGD([plain], 0.1, **options)
    for step in range(2):
        (2.0 * head.loss(x + step, y)).backward()
        fused.step()
        usual.zero_grad()
        loss = margin_softmax(x.double() + step, plain, y, margin=CosFace(), scale=16.0)
        (2.0 * loss).backward()
        usual.step()
        assert error(head.centres.detach(), plain.detach()) < 2e-6
    for kept in usual.state_dict()["state"].values():
        if options["momentum"]:
            momentum = fused.state[head.centres]["momentum_buffer"]
            assert error(momentum, kept["momentum_buffer"]) < 2e-6


def test_the_fused_step_on_the_sphere_of_sampled_subcentres():
    heads = []
    for impl in (Triton("fp32", chunk=4), Streaming(chunk=4)):
        torch.manual_seed(0)
        sampled = Sampled(0.7, correction=True)
        head = CentreHead(
            12, 6, margin=CosFace(), scale=16.0, subcentres=2, selection=sampled, impl=impl
        ).to(DEVICE)
        sgd = CentreSGD(head, lr=0.1, sphere=True)
        x, y = torch.randn(5, 6).to(DEVICE), torch.tensor([0, 3, 3, -1, 7]).to(DEVICE)
        for _ in range(2):
            head.loss(x, y).backward()
            sgd.step()
        heads.append(head.centres.detach())
    torch.testing.assert_close(*heads, rtol=0, atol=2e-6)
    torch.testing.assert_close(heads[0].norm(dim=2), torch.ones(12, 2).to(DEVICE))


class Waits(TorchDispatchMode):
    """Counts what would make the host wait for a device."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default,
                               torch.ops.aten.nonzero.default)  # fmt: skip
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("margin", "times"), [(ArcFace(), 0), (CurricularFace(), 1)])
def test_the_host_waits_no_more_often_for_more_chunks(margin, times):
    """It never does where the negatives' logits have bounds that are known beforehand."""
    parts = [part.to(DEVICE) for part in draw(2, 9, 4, 0, torch.float32)]
    counts = []
    for chunk in (9, 3):
        problem = prepare(*parts, margin, 16.0, margin.initial())
        with Waits() as waits:
            for _ in backward(forward(Triton(chunk=chunk), problem)[1]):
                pass
        counts.append(waits.count)
    assert counts == [times, times]


@pytest.mark.skipif(DEVICE.type == "cpu", reason="a GPU, for which the host may wait")
def test_a_step_with_labels_on_the_cpu_waits_for_no_gpu():
    x, _, y = draw(5, 9, 8, 0, torch.float32)
    x = x.to(DEVICE).requires_grad_()
    head = CentreHead(9, 8, margin=ArcFace(), scale=16.0, impl=Triton(chunk=4)).to(DEVICE)
    optimiser = CentreSGD(head, lr=0.1)
    for mode in ("default", "error"):  # the first step compiles the kernels
        torch.cuda.set_sync_debug_mode(mode)
        try:
            head.loss(x, y).backward()
            optimiser.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("labels_on", ["cpu", DEVICE])
def test_labels_may_be_on_either_device(labels_on):
    x, w, y = draw(5, 9, 8, 0, torch.float32)
    x, w = x.to(DEVICE), w.to(DEVICE)
    expected = margin_softmax(x, w, y.to(DEVICE), margin=ArcFace(), impl="streaming")
    for impl in ("dense", "triton", "streaming"):
        got = margin_softmax(x, w, y.to(labels_on), margin=ArcFace(), impl=Triton("fp32")
                             if impl == "triton" else impl)  # fmt: skip
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("chosen", ["ieee", "tf32"])
def test_products_round_as_they_say_whatever_the_user_chose(monkeypatch, chosen):
    from arcwise.softmax.triton.passes import accumulate, product

    matmul, seen, mm = torch.backends.cuda.matmul, [], torch.mm

    def watched(*args, **options):
        seen.append(matmul.fp32_precision)
        return mm(*args, **options)

    monkeypatch.setattr(torch, "mm", watched)
    before, matmul.fp32_precision = matmul.fp32_precision, chosen
    try:
        a = torch.eye(3)
        out = torch.empty(3, 3)
        product(a, a, out)
        product(a.half(), a.half(), out)
        assert matmul.fp32_precision == chosen
    finally:
        matmul.fp32_precision = before
    assert seen == ["ieee", "tf32"]  # float32 as it is; 16 bits, which tf32 holds, the fast way
    assert torch.equal(accumulate(a.bfloat16(), a.bfloat16(), accumulate(a, a, out)), 3 * a)


def test_rounded_weights_are_corrected_by_no_more_than_rounding_takes():
    from arcwise.softmax.triton.passes import rounding_correction

    sums = torch.tensor([[1.0, 0, 1, 1], [2.0, 0, 1, -1], [2.004, 0, 3, 1]]).double()
    expected = torch.tensor([2 / 2.004, 1, 1 - 2**-8, 1 - 2**-8]).double()
    torch.testing.assert_close(rounding_correction(sums), expected)


def test_the_same_bits_every_time():
    x, w, y = draw(9, 3, 6, 0)  # several samples a class, whose order of adding up would show
    one, two = (ask(x, w, y, Triton(chunk=2), margin=ArcFace(), scale=16.0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_without_triton_there_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    x, w, y = draw(2, 3, 4, 0)
    with pytest.raises(ArcwiseError, match=r"Triton is not installed.*arcwise\[gpu\]"):
        margin_softmax(x, w, y, margin=ArcFace(), impl="triton")
    assert isinstance(implementation("auto", torch.device("cuda")), Streaming)
    assert margin_softmax(x, w, y, margin=ArcFace()).isfinite()


def test_on_a_cpu_there_is_one_clear_error(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, w, y = draw(2, 3, 4, 0)
    with pytest.raises(ArcwiseError, match="got tensors on cpu; expected a CUDA device"):
        margin_softmax(x, w, y, margin=ArcFace(), impl="triton")


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), Streaming), ((8, 0), Triton), ((9, 0), Triton)]
)
def test_auto_is_triton_where_bf16_is_in_hardware(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert isinstance(implementation("auto", torch.device("cuda")), expected)
    assert isinstance(implementation("triton", torch.device("cuda")), Triton)
    assert isinstance(implementation("auto", torch.device("cpu")), Streaming)


def test_nothing_imports_triton_until_a_pass_is_made():
    code = "import sys; from arcwise import heads, softmax; softmax.Triton(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "arcwise.softmax.triton" in loaded.stdout.split()
    assert "triton" not in loaded.stdout.split()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, 'precision=\'fp8\'; expected "half" or "fp32"'),
        ({"chunk": 0}, "chunk=0; expected at least 1 class"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ArcwiseError, match=message):
        Triton(**options)
