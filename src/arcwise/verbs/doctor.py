"""Doctor: what this machine can do, and what is missing for the rest."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PARTS = {
    "images, tables, galleries": ("numpy", "opencv-python-headless", "pyarrow", "faiss-cpu"),
    "train": ("torch",),
    "serve a model (ONNX Runtime)": ("onnxruntime",),
    "export to ONNX": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "reports": ("matplotlib", "jinja2"),
    "TensorBoard": ("tensorboard",),
}
"""What each part of Arcwise needs, by the name of its package."""

EXTRAS = {
    "train": "train",
    "serve a model (ONNX Runtime)": "serve",
    "export to ONNX": "export",
    "reports": "report",
    "TensorBoard": "logs",
}


@dataclass(frozen=True)
class Part:
    """One thing Arcwise can do, or not yet.

    Attributes:
        name: what it is.
        found: package and version of what it needs and has.
        missing: packages it lacks.
        mend: the command that installs them; empty when nothing is missing.
    """

    name: str
    found: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    mend: str


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        python: its version.
        system: operating system and processor.
        cores: that this process may use.
        memory_gb: physical memory, 0 where the system does not say.
        gpus: names of the accelerators torch sees.
        bf16: whether training on the processor uses bfloat16; None without torch.
        problem: why torch, which is installed, cannot be loaded; empty if it can or is not there.
        parts: what can be done.
    """

    python: str
    system: str
    cores: int
    memory_gb: float
    gpus: tuple[str, ...]
    bf16: bool | None
    problem: str
    parts: tuple[Part, ...]


def doctor() -> Machine:
    """Look at this machine; nothing is changed."""
    parts = tuple(_part(name, needs) for name, needs in PARTS.items())
    gpus, bf16, problem = _torch() if _version("torch") else ((), None, "")
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory_gb=_memory_gb(),
        gpus=gpus,
        bf16=bf16,
        problem=problem,
        parts=parts,
    )


def _torch() -> tuple[tuple[str, ...], bool | None, str]:
    """The accelerators' names, whether bfloat16 is used, and what is wrong with torch."""
    try:
        import torch

        from arcwise.training import build
        from arcwise.training.config import TrainConfig
    except (ImportError, OSError) as error:  # half an installation, or libraries that do not fit
        return (), None, str(error)
    gpus = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return gpus, build.precision(TrainConfig(), torch.device("cpu")) == "bf16", ""


def _part(name: str, needs: tuple[str, ...]) -> Part:
    versions = {package: _version(package) for package in needs}
    found = tuple((package, v) for package, v in versions.items() if v)
    missing = tuple(package for package, v in versions.items() if not v)
    extra = f"arcwise[{EXTRAS[name]}]" if name in EXTRAS else "arcwise"
    return Part(name, found, missing, f"pip install '{extra}'" if missing else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return 0.0
