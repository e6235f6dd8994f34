"""An ONNX file, read whole: how it takes images, and which of its outputs embeds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arcwise.bundle import Bundle, write_bundle
from arcwise.encoders.onnx_session import GRAPH, OnnxSession
from arcwise.encoders.spec import EncoderSpec
from arcwise.errors import ArcwiseError, in_one_line
from arcwise.files import read_file
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import Engine, Floats, OnnxEngine
from arcwise.runtime.model import reference_embedding
from arcwise.verbs.export import built_in_images
from arcwise.verbs.stated_preparation import StatedPreparation


class ImportedNetwork(NamedTuple):
    """A network that was read, before it is a model folder.

    Attributes:
        engine: the function.
        preparation: with the network's own size.
        facts: what was found out about it, a line each.
        write: writes the model folder; it takes the folder and the fields of `write_bundle`.
    """

    engine: Engine
    preparation: Preparation
    facts: tuple[str, ...]
    write: Callable[..., Bundle]


def onnx_network(source: Path, stated: StatedPreparation, output: str) -> ImportedNetwork:
    """Return the network of an ONNX file.

    Args:
        source: the file.
        stated: how images are prepared for it.
        output: the name of the output that is the embedding; found out where it is empty.

    Raises:
        ArcwiseError: it is not a whole network from one image input to an embedding.
    """
    content, engine = _opened(source, stated)
    session = engine.session
    shape = f"takes {session.precision} images of {session.size[0]} x {session.size[1]}"
    shape += ", the colours last" if session.layout == "nhwc" else ""
    facts = [f"{shape}; {_batch_in_words(session.batch)}"]
    session.output = output or _embedding_output(session, source)
    if output and output not in session.outputs:
        raise ArcwiseError(
            f"{source}: has no output {output!r}; expected one of {', '.join(session.outputs)}"
        )
    if len(session.outputs) > 1:
        facts.append(f"its output {session.output!r} of {len(session.outputs)} is the embedding")
    preparation = replace(stated.preparation, height=session.size[0], width=session.size[1])
    images = preparation.tensor(
        np.stack([preparation.pixels(image) for image in built_in_images()[:3]])
    )
    dim = engine(images[:1]).shape[1]
    if not session.batch and not _same_alone(engine, images):
        session.batch = 1
        facts = [
            f"{shape}; {_batch_in_words(1)}: several at once it computes otherwise",
            *facts[1:],
        ]
    spec = EncoderSpec(
        "onnx",
        dim,
        session.size,
        {
            "width": dim,
            "file_bytes": len(content),
            "layout": session.layout,
            "output": session.output,
            "batch": session.batch,
        },
        source.name,
    )
    weights = {GRAPH: np.frombuffer(content, np.uint8)}

    def write(folder: Path, **about: Any) -> Bundle:
        reference = reference_embedding(engine, preparation)
        return write_bundle(
            folder, weights, spec.as_dict(), preparation, reference_embedding=reference, **about
        )

    return ImportedNetwork(engine, preparation, tuple(facts), write)


def _opened(source: Path, stated: StatedPreparation) -> tuple[bytes, OnnxEngine]:
    """Return the bytes of the network, with the weights that it keeps in other files, and run it.

    Raises:
        ArcwiseError: it cannot be run, or not without the package `onnx`.
    """
    content = read_file(source)
    how: dict[str, Any] = {"name": str(source), "usual_size": stated.usual_size}
    try:
        return content, OnnxEngine(content, stated.size, **how)
    except ArcwiseError:
        OnnxEngine(source, stated.size, **how)  # runs only if its weights are in other files
    if find_spec("onnx") is None:
        raise ArcwiseError(
            f"{source}: its weights are in other files, and putting them into one needs the "
            "package onnx: pip install 'arcwise[export]'"
        )
    import onnx

    try:
        content = onnx.load(source).SerializeToString()
    except Exception as problem:  # of protocol buffers, which hold 2 GiB at most
        said = in_one_line(problem, 100)
        raise ArcwiseError(
            f"{source}: does not fit into one file with its weights ({said})"
        ) from None
    return content, OnnxEngine(content, stated.size, **how)


def _embedding_output(session: OnnxSession, source: Path) -> str:
    """Return the name of the only output, or of the only one that has the shape (N, D)."""
    if len(session.outputs) == 1:
        return session.output
    fits = [
        name
        for name, shape in session.outputs.items()
        if len(shape) >= 2 and all(side == 1 for side in shape[2:])
    ]
    if len(fits) == 1:
        return fits[0]
    names = fits or list(session.outputs)
    listed = ", ".join(f"{name} {session.outputs[name]}" for name in names[:6])
    of_them = "" if fits else " and none of the shape (N, D) that an embedding has: a detector?"
    raise ArcwiseError(
        f"{source}: has {len(session.outputs)} outputs{of_them}; say which is the embedding, "
        f"--output NAME ({listed}{', …' if len(names) > 6 else ''})"
    )


def _same_alone(engine: Engine, images: Floats) -> bool:
    """Return whether images have the same embeddings together as each on its own."""
    alone = np.concatenate([engine(images[row : row + 1]) for row in range(len(images))])
    try:
        together = engine(images)
    except ArcwiseError:
        return False
    size = np.linalg.norm(alone, axis=1).max()
    return together.shape == alone.shape and np.abs(together - alone).max() <= 1e-2 * size


def _batch_in_words(batch: int) -> str:
    return (
        "any number at once" if not batch else "one at a time" if batch == 1 else f"{batch} at once"
    )
