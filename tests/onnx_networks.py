"""Small ONNX networks in the forms in which people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

D, SIZE = 6, (16, 20)


def network(
    path: Path,
    *,
    layout: str = "nchw",
    batch: int | None = None,
    half: bool = False,
    size: tuple[Any, Any] = SIZE,
    extra: bool = False,
    softmax: bool = False,
    weight: float = 1.0,
    unsaid: bool = False,
) -> Path:
    """Write a convolution, pooling and a matrix to D dimensions; return the path.

    Args:
        path: where to.
        layout: of the images.
        batch: the fixed batch, which its reshape has too; any where None.
        half: whether it computes in float16.
        size: (H, W), or names of what may vary.
        extra: whether the features before pooling are its first output.
        softmax: whether the embedding ends in probabilities.
        weight: factor of the last matrix.
        unsaid: whether its input has no shape but the number of dimensions.
    """
    rng = np.random.default_rng(0)
    kind = np.float16 if half else np.float32
    weights = {
        "kernel": rng.normal(size=(8, 3, 3, 3)) / 5,
        "matrix": rng.normal(size=(8, D)) * weight,
    }
    tensors = [numpy_helper.from_array(one.astype(kind), name) for name, one in weights.items()]
    tensors.append(numpy_helper.from_array(np.array([batch or -1, 8]), "shape"))
    nodes = [
        helper.make_node("Conv", ["planes", "kernel"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["raw"]),
        helper.make_node("Softmax" if softmax else "Identity", ["raw"], ["embedding"]),
    ]
    turn = ["Transpose", "Identity"][layout == "nchw"]
    how = {"perm": [0, 3, 1, 2]} if layout == "nhwc" else {}
    nodes.insert(0, helper.make_node(turn, ["images"], ["planes"], **how))
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    rows: Any = batch or "batch"
    shape = [rows, 3, *size] if layout == "nchw" else [rows, *size, 3]
    outputs = [helper.make_tensor_value_info("embedding", element, [rows, D])]
    if extra:
        outputs.insert(0, helper.make_tensor_value_info("positive", element, [rows, 8, "h", "w"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", element, [None] * 4 if unsaid else shape)],
        outputs,
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path
