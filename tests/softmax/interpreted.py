"""Triton without a GPU: its interpreter, which has to be chosen before Triton is first imported.

Where there is a GPU the same tests compile the kernels and run them there.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

if DEVICE.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

pytest.importorskip("triton", reason="Triton: there are packages for Linux only")

if DEVICE.type == "cpu":
    from triton import language as tl
    from triton.runtime import interpreter

    _cast = interpreter.InterpreterBuilder.create_fp_trunc

    def _to_nearest(builder, source, kind):
        """The interpreter cuts off the digits that bf16 lacks; a GPU rounds to nearest."""
        if kind.scalar != tl.bfloat16:
            return _cast(builder, source, kind)
        values = torch.from_numpy(np.ascontiguousarray(source.data, dtype=np.float32))
        rounded = values.bfloat16().view(torch.int16).numpy().view(np.uint16)
        return interpreter.TensorHandle(rounded, kind.scalar)

    interpreter.InterpreterBuilder.create_fp_trunc = _to_nearest
