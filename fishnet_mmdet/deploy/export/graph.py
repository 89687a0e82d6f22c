"""Modules of PyTorch as ONNX, and the parts of a detector as one graph."""

import logging
import warnings
from typing import Dict, Mapping, Optional, Sequence

import torch
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper
from torch import Tensor, nn

from ...errors import FishNetError
from .operators import TRANSLATIONS

#: The version of ONNX's operators.
OPSET = 18
DYNAMIC = torch.export.Dim.DYNAMIC


def to_onnx(
    module: nn.Module, inputs: Dict[str, Optional[Tensor]], outputs: Sequence[str], dynamic: Mapping[str, Sequence[int]]
) -> ModelProto:
    """A module as ONNX, for all sizes of its inputs.

    Args:
        module (nn.Module): In evaluation mode.
        inputs (dict[str, Tensor]): An example of each input, in the order of the module's arguments; None of an
            argument that stays None.
        outputs (Sequence[str]): Names of the outputs.
        dynamic (Mapping[str, Sequence[int]]): The axes of the inputs whose length can change.
    """
    shapes = tuple(
        None if value is None else {axis: DYNAMIC for axis in dynamic.get(name, ())} for name, value in inputs.items()
    )
    given = [name for name, value in inputs.items() if value is not None]
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
                input_names=given,
                output_names=list(outputs),
                verbose=False,
            )
    except FishNetError:
        raise
    except Exception as error:  # the exporter raises classes of its own, of torch._dynamo and of onnxscript
        words = str(error).strip().splitlines() or ['']
        raise FishNetError(
            f'PyTorch {torch.__version__} cannot export {type(module).__name__}: {type(error).__name__}: {words[0]}'
        ) from error
    finally:
        logger.setLevel(level)
    return strip(program.model_proto)


def strip(model: ModelProto) -> ModelProto:
    """Removes what no runtime needs: PyTorch's notes on each node, and the shapes between nodes."""
    del model.metadata_props[:]
    strip_graph(model.graph)
    return model


def strip_graph(graph: GraphProto) -> None:
    """As :func:`strip`, for a graph and those inside of it."""
    del graph.value_info[:]
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ''
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField('g'):
                strip_graph(attribute.g)


def chain(models: Sequence[ModelProto], outputs: Mapping[str, str]) -> ModelProto:
    """Models in a row as one. An input is the last output with its name before it; without one, it is an input of the whole.

    Args:
        models (Sequence[ModelProto]): The models. Values inside of them can have the same names.
        outputs (Mapping[str, str]): The outputs of the whole: new names, and names of outputs of the models.
    """
    nodes, initializers, inputs = [], [], []
    known: Dict[str, str] = {}
    described: Dict[str, ValueInfoProto] = {}
    for i, model in enumerate(models):
        for value in model.graph.input:
            if value.name not in known:
                known[value.name] = value.name
                inputs.append(value)
        names = {value.name: known[value.name] for value in model.graph.input}
        graph = GraphProto.FromString(model.graph.SerializeToString())
        rename(graph, names, f'{i}.')
        nodes += graph.node
        initializers += graph.initializer
        for value in model.graph.output:
            known[value.name] = names[value.name]
            described[value.name] = value
    final = []
    for name, inner in outputs.items():
        nodes.append(helper.make_node('Identity', [known[inner]], [name], name=name))
        final.append(ValueInfoProto.FromString(described[inner].SerializeToString()))
        final[-1].name = name
    graph = helper.make_graph(nodes, 'detector', inputs, final, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=models[0].ir_version)


def rename(graph: GraphProto, names: Dict[str, str], prefix: str) -> None:
    """Gives all values of a graph new names.

    Args:
        graph (GraphProto): Changed in place.
        names (dict[str, str]): New names by the old ones; those that are missing are added, with the prefix.
        prefix (str): The prefix.
    """

    def new(name: str) -> str:
        return name and names.setdefault(name, prefix + name)

    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new(value.name)
    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = map(new, node.input)
        node.output[:] = map(new, node.output)
        for attribute in node.attribute:
            if attribute.HasField('g'):
                rename(attribute.g, names, prefix)


def share_initializers(model: ModelProto) -> None:
    """Keeps one of equal initialisers."""
    first: Dict[bytes, str] = {}
    same: Dict[str, str] = {}
    kept = []
    for tensor in model.graph.initializer:
        content = TensorProto()
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
    replace_inputs(model.graph, same)


def replace_inputs(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Lets the nodes of a graph take other values."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField('g'):
                replace_inputs(attribute.g, names)
