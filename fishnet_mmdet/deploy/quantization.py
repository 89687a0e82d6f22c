"""int8: the convolutions and linear layers of a model file compute with whole numbers, whose ranges images decide."""

import tempfile
from pathlib import Path
from typing import Dict, Iterable, Iterator, List

import numpy as np

from ..errors import FishNetError
from .images import Image, as_image
from .metadata import Metadata, read_metadata
from .preprocessing import prepare
from .scan import read_properties
from .session import first_line, load_runtime

#: Operators with weights that ONNX Runtime has in int8. What has no weights, such as the interpolation of masks, is no layer.
LAYERS = ('Conv', 'Gemm', 'MatMul')


def quantize(file: Path, out: Path, images: Iterable[Image]) -> Path:
    """Saves a model file in int8 (ONNX Runtime's static quantisation: weights by channel, activations by tensor).

    Args:
        file (Path): The model file in float32.
        out (Path): The new file.
        images (Iterable[np.ndarray | str | PathLike]): Images of the training set. They decide which range of values the
            8 bits of each layer cover; some dozens with the variety of all are enough.

    Returns:
        Path: The new file.

    Raises:
        FishNetError: If the file is no model file in float32, an image cannot be read or processed, or a package is missing.
    """
    metadata = read_metadata(Path(file))
    if metadata.properties.get('precision', 'float32') != 'float32':
        raise FishNetError(f'{file} is in {metadata.properties["precision"]}: int8 is made of a file in float32')
    quantization = _load_quantization()
    import onnx

    model = onnx.load(file)
    # Keeps ONNX Runtime from asking for what the export has done: constants and BN are folded.
    onnx.helper.set_model_props(model, {'onnx.quant.pre_process': 'onnxruntime.quant'})
    layers = find_layers(model)
    if not layers:
        raise FishNetError(f'{file} has no layer that can compute in int8: {", ".join(LAYERS)} with weights of its own')

    class Reader(quantization.CalibrationDataReader):
        """The inputs, one after another, as ONNX Runtime asks for them."""

        def __init__(self) -> None:
            self.inputs = inputs_of(images, metadata)
            self.names = [one.name for one in model.graph.input]

        def get_next(self):
            inputs = next(self.inputs, None)
            return inputs and {name: inputs[name] for name in self.names}

    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / 'int8.onnx'
        try:
            quantization.quantize_static(
                model,
                unfinished,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=layers,
            )
        except FishNetError:
            raise
        # ONNX Runtime's errors have no type in common but this one.
        except Exception as error:
            raise FishNetError(f'{file} cannot be made int8: {first_line(error)}') from error
        model = onnx.load(unfinished)
    onnx.helper.set_model_props(model, {**metadata.properties, 'precision': 'int8'})
    onnx.save(model, out)
    # The file must be one that Detector opens.
    read_properties(Path(out))
    return Path(out)


def find_layers(model) -> List[str]:
    """The names of the layers that have weights. All nodes without a name get one."""
    weights = {one.name for one in model.graph.initializer}
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f'node_{number}'
    return [
        node.name for node in model.graph.node if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in weights
    ]


def inputs_of(images: Iterable[Image], metadata: Metadata) -> Iterator[Dict[str, np.ndarray]]:
    """The inputs of the graph for images.

    Raises:
        FishNetError: If an image cannot be read, or there is none.
    """
    image = None
    for image in images:
        if metadata.steps.where == 'inside':
            yield dict(image=as_image(image))
        else:
            prepared = prepare(as_image(image), metadata.steps)
            yield dict(image=prepared.image, image_size=prepared.size)
    if image is None:
        raise FishNetError('int8 needs images of the training set, and there is none')


def _load_quantization():
    """The module onnxruntime.quantization.

    Raises:
        FishNetError: If onnxruntime or onnx is missing.
    """
    load_runtime('onnxruntime')
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise FishNetError(f'int8 needs the package {error.name}, which is not installed: pip install onnx') from error
    return quantization
