"""An imported ONNX network and its embedding head as one ONNX file of the usual form.

The form is that of every exported encoder: float32 images (batch, 3, H, W) in, embeddings
(batch, D) out, any batch. The nodes of the network stay. What its own form differs in is put
before and after them, and so is the head.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from arcwise.encoders.onnx_graph import OnnxGraph

IMAGES, EMBEDDINGS, BATCH = "images", "embeddings", "batch"
_NETWORK, _OURS = "network/", "arcwise/"


def write_imported(encoder: nn.Module, path: Path) -> int:
    """Write an encoder whose backbone is an `OnnxGraph` as an ONNX file, and return its opset."""
    import onnx
    from onnx import TensorProto, helper

    backbone: Any = encoder.backbone
    assert isinstance(backbone, OnnxGraph)
    session = backbone.session()
    model = onnx.load_from_string(backbone.graph.cpu().numpy().tobytes())
    model = onnx.compose.add_prefix(model, _NETWORK)  # so that no name of ours is in it
    graph = model.graph
    first, last = _NETWORK + session.input, _NETWORK + session.output
    if session.batch:
        _loosen_batch(graph, first)
    half = session.precision == "float16"
    before = _Chain(IMAGES)
    if session.layout == "nhwc":
        before.then("Transpose", perm=[0, 2, 3, 1])
    if half:
        before.then("Cast", to=TensorProto.FLOAT16)
    before.then("Identity", output=first)
    after = _Chain(last)
    if half:
        after.then("Cast", to=TensorProto.FLOAT)
    after.then("Flatten", axis=1)
    matrix, bias = _affine(encoder)
    if matrix is not None:
        after.then("MatMul", constant=matrix)
        after.then("Add", constant=bias)
    after.then("Identity", output=EMBEDDINGS)

    inputs = {one.name for one in graph.initializer}  # old files list their weights as inputs too
    kept = [one for one in graph.input if one.name in inputs]
    del graph.input[:], graph.output[:], graph.value_info[:]
    size, dim = list(backbone.size), backbone.channels if matrix is None else matrix.shape[1]
    graph.input.append(helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, [BATCH, 3, *size]))
    graph.input.extend(kept)
    graph.output.append(helper.make_tensor_value_info(EMBEDDINGS, TensorProto.FLOAT, [BATCH, dim]))
    nodes = [*before.nodes, *graph.node, *after.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(after.constants)
    onnx.save(model, path)
    return next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))


class _Chain:
    """Nodes of one input, one after the other.

    Args:
        value: the name of what the first one takes.
    """

    def __init__(self, value: str) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._value = value

    def then(
        self, operator: str, *, constant: Any = None, output: str = "", **attributes: Any
    ) -> None:
        """Append a node: with a constant as its second input, or with an output of that name."""
        from onnx import helper, numpy_helper

        name = f"{_OURS}{self._value}/{operator}"
        inputs = [self._value]
        if constant is not None:
            inputs.append(f"{name}/constant")
            self.constants.append(numpy_helper.from_array(constant, inputs[1]))
        self._value = output or name
        self.nodes.append(helper.make_node(operator, inputs, [self._value], name, **attributes))


def _affine(encoder: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return A (F, D) and b (D,) of the embedding head, which is x A + b; None for no projection.

    Every projection is of that form once it is not trained any more.
    """
    project = encoder.head.project
    if isinstance(project, nn.Identity):
        return None, None
    project = copy.deepcopy(project).cpu().double().eval()
    with torch.inference_mode():
        bias = project(torch.zeros(1, encoder.head.width, dtype=torch.float64))
        matrix = project(torch.eye(encoder.head.width, dtype=torch.float64)) - bias
    return matrix.float().numpy(), bias[0].float().numpy()


def _loosen_batch(graph: Any, first: str) -> None:
    """Let whatever is computed of the images have any number of rows.

    A network of a fixed batch writes the number into its reshapes. The first number becomes "the
    rest", or "as it comes in" where another one is that already.
    """
    from onnx import numpy_helper

    constants = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants |= {node.output[0]: node.attribute[0].t}
    computed = {first}
    for node in graph.node:
        if computed.isdisjoint(node.input):
            continue
        computed.update(node.output)
        if node.op_type == "Reshape" and node.input[0] in computed and node.input[1] in constants:
            tensor = constants[node.input[1]]
            shape = numpy_helper.to_array(tensor).copy()
            if len(shape) and shape[0] > 0:
                shape[0] = 0 if -1 in shape else -1
                tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
