"""The same step on a CUDA device, compared with the time that its matrix products need.

N = 1024, C = 1,000,000, d = 512, bf16 products. The bound is 8·N·C·d flops (the logits twice, both
gradients) at the rate of one large bf16 product in the same run.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .lines import MARGIN, SCALE, SGD, Step, ours

N, C, DIM = 1024, 1_000_000, 512
FLOPS = 8 * N * C * DIM
BYTES = 5 * 4 * C * DIM
"""Least traffic: W read twice, momentum once, both written, in fp32."""


def run() -> dict[str, Any]:
    """Times, bound and peaks; exits with status 2 where there is no CUDA device."""
    if not torch.cuda.is_available():
        print("no GPU here: torch.cuda.is_available() is False", file=sys.stderr)
        sys.exit(2)
    rate, copy = product_rate(), copy_rate()
    bound, traffic = FLOPS / rate, BYTES / copy
    rows: list[tuple[str, tuple[str, str, str]]] = [
        (f"8·N·C·d = {FLOPS / 1e12:.2f} TFLOP at {rate / 1e12:.0f} TFLOP/s",
         (f"{1e3 * bound:.1f}", "1", "")),
        (f"least traffic, {BYTES / 1e9:.1f} GB at {copy / 1e12:.2f} TB/s",
         (f"{1e3 * traffic:.1f}", f"{traffic / bound:.2f}", "")),
    ]  # fmt: skip
    for name, build in {
        "arcwise, triton": ours("Triton", {}),
        "Partial FC's operations, rate 1, bf16 autocast": materialised(1.0),
        "Partial FC's operations, rate 0.1, bf16 autocast": materialised(0.1),
    }.items():
        seconds, peak = measured(build)
        rows.append((name, (f"{1e3 * seconds:.1f}", f"{seconds / bound:.2f}", f"{peak:.2f}")))
    for name, values in rows:
        print(f"{name:60}{values}", file=sys.stderr)
    return {"rows": rows, "device": torch.cuda.get_device_name(), "batch": N, "classes": C}


def materialised(rate: float) -> Callable[[Tensor, Tensor, Tensor], Step]:
    """The (N, C) logits and (C, D) gradient in full, products in bf16 by autocast."""

    def build(x: Tensor, labels: Tensor, centres: Tensor) -> Step:
        from . import peers

        weight = torch.nn.Parameter(centres)
        sgd = torch.optim.SGD([weight], **SGD, fused=True)

        def loss() -> Tensor:
            x.grad = weight.grad = None
            value = peers.partial_fc(
                x, weight, labels, margin=MARGIN, scale=SCALE, rate=rate, autocast=torch.bfloat16
            )
            value.backward()
            return value.detach()

        return Step(loss, sgd.step)

    return build


def measured(build: Callable[[Tensor, Tensor, Tensor], Step]) -> tuple[float, float]:
    """Median seconds of a step after two, and GiB at the highest, X, W and momentum included."""
    torch.cuda.empty_cache()
    x = torch.randn(N, DIM, device="cuda").requires_grad_()
    labels = torch.randint(0, C, (N,), device="cuda")
    step = build(x, labels, torch.randn(C, DIM, device="cuda").mul_(0.01))

    def once() -> None:
        step.loss()
        step.update()

    once()
    torch.cuda.reset_peak_memory_stats()
    seconds = median(once, 10)
    return seconds, torch.cuda.max_memory_allocated() / 2**30


def product_rate() -> float:
    """Flops a second of one large bf16 product."""
    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / median(lambda: a @ b, 20)


def copy_rate() -> float:
    """Bytes read and written a second."""
    a = torch.zeros(2**28, device="cuda")
    b = torch.empty_like(a)
    return 2 * 4 * a.numel() / median(lambda: b.copy_(a), 20)


def median(call: Callable[[], object], repeats: int) -> float:
    """Seconds by the device's own clock, after one call that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)
