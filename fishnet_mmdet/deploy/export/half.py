"""A model in float16: the weights, and the features that are computed from them.

Boxes, scores and pixels stay float32: coordinates above 2048 are not even whole numbers in float16.
"""

from typing import Dict, List, Set

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

#: Operators that become float16 if their second input is a weight.
WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
#: Operators that become float16 if their first input is. Not Transpose: with it, heads turn their outputs into rows, one for
#: each anchor, and from there on everything is float32.
FOLLOWING = ('Relu', 'Sigmoid', 'MaxPool', 'AveragePool', 'ReduceMean', 'InstanceNormalization', 'Reshape', 'Resize')
#: Operators that become float16 if all of their inputs are, or are weights.
JOINING = ('Add', 'Mul', 'Concat')
#: Operators of which only the first input is a feature; the others are sizes.
SIZED = ('ReduceMean', 'Reshape', 'Resize')
LARGEST = float(np.finfo(np.float16).max)


def to_float16(model: ModelProto) -> ModelProto:
    """Converts a model in place, and returns it.

    Args:
        model (ModelProto): A model whose batch norms are folded where they can be.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    split_batch_norms(graph, weights)
    Converter(graph, weights).run()
    return model


def split_batch_norms(graph: GraphProto, weights: Dict[str, TensorProto]) -> None:
    """Replaces batch norms by a product and a sum. Variances can be too large for float16; these factors are not.

    Args:
        graph (GraphProto): Changed in place.
        weights (dict[str, TensorProto]): Its initialisers in float32; new ones are added.
    """
    nodes: List[NodeProto] = []
    for node in graph.node:
        if node.op_type != 'BatchNormalization':
            nodes.append(node)
            continue
        eps = next((attribute.f for attribute in node.attribute if attribute.name == 'epsilon'), 1e-5)
        scale, bias, mean, var = (numpy_helper.to_array(weights[name]) for name in node.input[1:])
        factor = scale / np.sqrt(var + eps)
        out = node.output[0]
        for name, values in ((f'{out}.factor', factor), (f'{out}.shift', bias - mean * factor)):
            weights[name] = numpy_helper.from_array(values.reshape(-1, 1, 1), name)
            graph.initializer.append(weights[name])
        nodes.append(helper.make_node('Mul', [node.input[0], f'{out}.factor'], [f'{out}.scaled'], f'{node.name}.scaled'))
        nodes.append(helper.make_node('Add', [f'{out}.scaled', f'{out}.shift'], [out], node.name))
    del graph.node[:]
    graph.node.extend(nodes)


class Converter:
    """Goes through the nodes of a graph in their order.

    Args:
        graph (GraphProto): Changed in place.
        weights (dict[str, TensorProto]): Its initialisers in float32.
    """

    def __init__(self, graph: GraphProto, weights: Dict[str, TensorProto]) -> None:
        self.graph = graph
        self.weights = weights
        self.nodes: List[NodeProto] = []
        #: Names of values that are float16 now.
        self.halves: Set[str] = set()
        #: Names of casts that exist.
        self.casts: Set[str] = set()

    def run(self) -> None:
        """Converts all nodes, then the initialisers that they use in float16."""
        for node in self.graph.node:
            if self._becomes_half(node):
                features = 1 if node.op_type in SIZED else len(node.input)
                node.input[:features] = [self._as_half(name) for name in node.input[:features]]
                self.halves.update(node.output)
            else:
                node.input[:] = [self._as_float(name) for name in node.input]
            self.nodes.append(node)
        ends = {value.name for value in self.graph.output}
        assert not ends & self.halves, 'a network ends with boxes and scores, which are float32'
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used or tensor.name not in self.weights]
        kept += [self._half_weight(name) for name in self.weights if f'{name}.half' in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _becomes_half(self, node: NodeProto) -> bool:
        if node.op_type in WEIGHTED:
            return node.input[1] in self.weights
        if node.op_type in FOLLOWING:
            return node.input[0] in self.halves
        inputs = [name for name in node.input if name not in self.weights]
        return node.op_type in JOINING and bool(inputs) and all(name in self.halves for name in inputs)

    def _as_half(self, name: str) -> str:
        if name in self.halves:
            return name
        if name in self.weights:
            return f'{name}.half'
        return self._cast(name, TensorProto.FLOAT16, 'half')

    def _as_float(self, name: str) -> str:
        return self._cast(name, TensorProto.FLOAT, 'float') if name in self.halves else name

    def _cast(self, name: str, kind: int, suffix: str) -> str:
        new = f'{name}.{suffix}'
        if new not in self.casts:
            self.casts.add(new)
            self.nodes.append(helper.make_node('Cast', [name], [new], new, to=kind))
        return new

    def _half_weight(self, name: str) -> TensorProto:
        values = numpy_helper.to_array(self.weights[name]).clip(-LARGEST, LARGEST)
        return numpy_helper.from_array(values.astype(np.float16), f'{name}.half')
