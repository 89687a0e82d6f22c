"""Modules of PyTorch as ONNX, and the parts of a detector as one graph."""

import logging
import warnings
from typing import Dict, Mapping, Sequence

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from .operators import TRANSLATIONS

#: The version of ONNX's operators.
OPSET = 18
DYNAMIC = torch.export.Dim.DYNAMIC


def to_onnx(
    module: nn.Module, inputs: Dict[str, Tensor], outputs: Sequence[str], dynamic: Mapping[str, Sequence[int]]
) -> ModelProto:
    """A module as ONNX, for all sizes of its inputs.

    Args:
        module (nn.Module): In evaluation mode.
        inputs (dict[str, Tensor]): An example of each input, in the order of the module's arguments.
        outputs (Sequence[str]): Names of the outputs.
        dynamic (Mapping[str, Sequence[int]]): The axes of the inputs whose length can change.
    """
    shapes = tuple({axis: DYNAMIC for axis in dynamic.get(name, ())} for name in inputs)
    logger, level = logging.getLogger('torch.onnx'), logging.getLogger('torch.onnx').level
    logger.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            exported = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes, strict=False)
            program = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    return strip(program.model_proto)


def strip(model: ModelProto) -> ModelProto:
    """Removes what no runtime needs: PyTorch's notes on each node, and the shapes between nodes."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ''
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


def chain(models: Sequence[ModelProto], outputs: Sequence[str]) -> ModelProto:
    """Models in a row as one. A model gets the last output with the name of its input, or is given it.

    Args:
        models (Sequence[ModelProto]): The models. Their values can have the same names.
        outputs (Sequence[str]): Names of outputs of any of them, the last model with such an output.
    """
    nodes, initializers, inputs = [], [], []
    known: Dict[str, str] = {}
    described = {}
    for i, model in enumerate(models):
        names = {}
        for value in model.graph.input:
            if value.name not in known:
                known[value.name] = value.name
                inputs.append(value)
            names[value.name] = known[value.name]
        for node in model.graph.node:
            node = onnx.NodeProto.FromString(node.SerializeToString())
            for values in (node.input, node.output):
                values[:] = [name and names.setdefault(name, f'{i}.{name}') for name in values]
            node.name = f'{i}.{node.name}'
            nodes.append(node)
        for tensor in model.graph.initializer:
            if tensor.name in names:
                initializers.append(onnx.TensorProto.FromString(tensor.SerializeToString()))
                initializers[-1].name = names[tensor.name]
        for value in model.graph.output:
            known[value.name] = names[value.name]
            described[value.name] = value
    nodes += [onnx.helper.make_node('Identity', [known[name]], [name], name=name) for name in outputs]
    graph = onnx.helper.make_graph(nodes, 'detector', inputs, [described[name] for name in outputs], initializers)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', OPSET)], ir_version=models[0].ir_version)


def share_initializers(model: ModelProto) -> None:
    """Keeps one of equal initialisers."""
    first: Dict[bytes, str] = {}
    same: Dict[str, str] = {}
    kept = []
    for tensor in model.graph.initializer:
        content = onnx.TensorProto()
        content.CopyFrom(tensor)
        content.name = ''
        key = content.SerializeToString(deterministic=True)
        if key in first:
            same[tensor.name] = first[key]
        else:
            first[key] = tensor.name
            kept.append(tensor)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
