"""What goes wrong, in the user's words: what was got, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ArcwiseError(ValueError):
    """A user's mistake, or a file that is not what it should be; one clear line."""


class ImageError(ArcwiseError):
    """One image that cannot be used.

    Batch jobs catch this one, count it and list it; everything else stops them.

    Attributes:
        name: the image's file name, as the user knows it.
        reason: what is wrong with it, without the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.name, self.reason)  # both arguments survive a worker process


class UnreadableImages(ArcwiseError):
    """Several images, none of which can be used.

    Attributes:
        failures: why, one for each.
    """

    def __init__(self, message: str, failures: Sequence[ImageError] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)

    def __reduce__(self) -> tuple[type[UnreadableImages], tuple[str, tuple[ImageError, ...]]]:
        return type(self), (str(self), self.failures)


class BundleError(ArcwiseError):
    """A model folder that is missing, damaged, or not what its own description says."""


class GalleryError(ArcwiseError):
    """A gallery that is missing, damaged, or bound to another model."""


class Stopped(KeyboardInterrupt):
    """A signal that asks the process to end: Ctrl-C, SIGTERM or SIGHUP.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


EXTRAS = {
    "data": ("pyarrow", "scipy", "faiss"),
    "train": ("torch", "kornia", "numba", "pydantic", "yaml"),
    "serve": (
        "onnxruntime",
        "fastapi",
        "uvicorn",
        "httptools",
        "prometheus_client",
        "python_multipart",
    ),
    "export": ("onnx", "onnxscript"),
    "report": ("matplotlib", "jinja2"),
    "cluster": ("sklearn",),
}
"""The extra of Arcwise that brings a package, by the name it is imported by."""


def missing_package(name: str) -> str:
    """Return what to say of a package that is not installed, and how to get it."""
    package = name.partition(".")[0]
    extra = next((one for one, packages in EXTRAS.items() if package in packages), None)
    remedy = "`arcwise doctor` says how to get it"
    return f"this needs the package {package!r}: " + (
        remedy if extra is None else f"pip install 'arcwise[{extra}]'"
    )


class NonFiniteError(ArcwiseError):
    """A NaN or an infinity during training; names the step, the layer and the batch."""


def in_one_line(problem: BaseException, most: int = 200) -> str:
    """Return what an exception of another library says, on one line, cut to so many characters."""
    return " ".join(str(problem).split())[:most]


def closest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is closest to a mistyped name; None if none is close."""
    spellings = {one.lower(): one for one in names}
    closest = difflib.get_close_matches(name.lower(), spellings, n=1)
    return spellings[closest[0]] if closest else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return "did you mean 'x'?" with the closest of `names`; empty where none is close."""
    closest = closest_name(name, names)
    return "" if closest is None else f"did you mean {closest!r}?"
