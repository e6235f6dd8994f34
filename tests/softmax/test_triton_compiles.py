from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_kernels_compile_and_keep_to_their_registers(tmp_path):
    pytest.importorskip("triton", reason="Triton: there are packages for Linux only")
    made = subprocess.run(
        [sys.executable, "-m", "tests.softmax.compile_kernels"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    kernels = ["_directions"] * 2 + ["_exponentials"] * 2 + ["_gradient", "_descend"]
    assert made.stdout.split("\n") == [*(f"{kernel} fits" for kernel in kernels), ""]
