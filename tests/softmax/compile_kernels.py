"""Compile the kernels for a GPU that need not be there; a process of its own, not interpreted.

The interpreter takes programs that the compiler refuses.
"""

from __future__ import annotations

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from arcwise.softmax.triton import kernels

AMPERE = GPUTarget("cuda", 80, 32)
TILE = {"count": "i32", "dim": "i32", "ROWS": 4, "DIM": 512}
FINISH = {
    "sums": "*fp32", "centres": "*fp32", "terms": "*fp32", "targets": "*i64",
    "first": "i32", "last": "i32", "start": "i32", **TILE,
}  # fmt: skip
WEIGH = {
    "cosines": "*fp32", "labels": "*i64", "maximum": "*fp32", "weights": "*bf16",
    "scale": "fp32", "start": "i32", "samples": "i32", "classes": "i32", "BLOCK": 2048,
}  # fmt: skip
KERNELS = [
    (kernels._directions, {"centres": "*fp32", "first": "*fp16", "second": "*bf16", **TILE}),
    (kernels._directions, {"centres": "*bf16", "first": "*fp32", "second": None, **TILE}),
    (
        kernels._exponentials,
        {**WEIGH, "offsets": None, "sums": "*fp32", "rounded": "*fp32", "SUBCENTRES": 1},
    ),
    (
        kernels._exponentials,
        {**WEIGH, "offsets": "*fp32", "sums": None, "rounded": None, "SUBCENTRES": 3},
    ),
    (kernels._gradient, FINISH),
    (
        kernels._descend,
        {
            **FINISH, "velocities": "*fp32", "multiple": "fp32", "lr": "fp32", "momentum": "fp32",
            "decay": "fp32", "NESTEROV": True, "SPHERE": True,
        },
    ),
]  # fmt: skip
ALIGNED = ("dim", "classes")


def main() -> None:
    """A line a kernel: its name, and whether it spills registers."""
    for kernel, arguments in KERNELS:
        names = kernel.arg_names
        types = {name: value for name, value in arguments.items() if isinstance(value, str)}
        aligned = [name for name in names if name in ALIGNED or types.get(name, "").startswith("*")]
        source = ASTSource(
            kernel,
            {name: types.get(name, "constexpr") for name in names},
            {(i,): arguments[name] for i, name in enumerate(names) if name not in types},
            {(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
        )
        made = triton.compile(source, target=AMPERE, options={"enable_fp_fusion": True})
        print(kernel.__name__, "spills" if ".local" in made.asm["ptx"] else "fits")


if __name__ == "__main__":
    main()
