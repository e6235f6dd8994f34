"""Resident memory of this process, as Linux counts it: now, and the peak since its reset."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def settle() -> None:
    """Give freed memory back, so that what is resident is what is in use."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc: what it keeps counts as used
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def resident() -> int:
    """Bytes resident now; 0 where there is no /proc."""
    return _field("VmRSS:")


def peak() -> int:
    """Bytes resident at the highest since `reset_peak`; 0 where there is no /proc."""
    return _field("VmHWM:")


def reset_peak() -> str:
    """Start the peak anew, and say how the peak is then known."""
    if not STATUS.exists():
        return "not measured (no /proc)"
    try:
        CLEAR.write_text("5")
    except OSError:
        return "VmHWM of the whole process (it may not be reset here)"
    return "VmHWM, reset before the steps"


def _field(name: str) -> int:
    if not STATUS.exists():
        return 0
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return 1024 * next(int(words[1]) for words in lines if words[:1] == [name])
