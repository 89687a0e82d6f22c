"""A trained model as one ONNX model."""

import json
from inspect import signature
from typing import Dict, Tuple

import torch
from mmengine.config import Config
from onnx import ModelProto
from torch import Tensor, nn

from .axes import name_axes
from .conditions import require
from .detectors import Network, as_network
from .graph import chain, share_initializers, to_onnx
from .images import Preprocessing
from .metadata import add_metadata
from .steps import read_steps

#: The place of the preprocessing, and what the file then gets.
PLACES = dict(
    inside='for images (height, width, 3) as OpenCV reads them',
    beside='for images that are resized, normalised and padded already',
)
#: An example of each value between the parts of a file, and the axes whose length can change. Each one has a tensor of its
#: own, or PyTorch would take two inputs for one.
BETWEEN: Dict[str, Tuple[Tensor, Tuple[int, ...]]] = dict(
    image_size=(torch.tensor([180, 250]), ()),
    original=(torch.tensor([100, 150]), ()),
    resized=(torch.tensor([180, 250]), ()),
    boxes=(torch.tensor([[0.0, 0, 50, 40]]).repeat(3, 1), (0,)),
    labels=(torch.zeros(3, dtype=torch.long), (0,)),
    masks=(torch.zeros(3, 28, 28), (0,)),
    semantic=(torch.zeros(1, 3, 192, 256), (1, 2, 3)),
)


def export(model: nn.Module, cfg: Config, where: str = 'inside') -> ModelProto:
    """A model as ONNX.

    Args:
        model (nn.Module): The trained model, with ``dataset_meta``.
        cfg (Config): Its config.
        where (str): One of ``PLACES``.

    Raises:
        FishNetError: If a part of the model cannot be exported.
    """
    steps = read_steps(cfg, model.data_preprocessor)
    network = as_network(model)
    if where == 'beside':
        require(network.beside, model, 'draws in pixels of the given image: use --preprocessing inside')
        result = network_to_onnx(network, 'image', '')
    else:
        result = whole_to_onnx(network, steps)
    share_initializers(result)
    name_axes(result)
    settings = {key: str(value) for key, value in network.settings.items()}
    if network.fixed_size:
        settings['fixed_size'] = json.dumps(network.fixed_size)
    settings.update(task=network.task, preprocessing=json.dumps(dict(where=where, **steps)))
    return add_metadata(result, model.dataset_meta, settings)


def network_to_onnx(network: Network, image: str, prefix: str) -> ModelProto:
    """The network alone.

    Args:
        network (Network): The network.
        image (str): The name of its first input.
        prefix (str): Of the names of its outputs.
    """
    height, width = network.fixed_size or (192, 256)
    inputs, dynamic = {image: torch.zeros(1, 3, height, width)}, {}
    if not network.fixed_size:
        dynamic[image] = (2, 3)
    if 'image_size' in signature(network.forward).parameters:
        inputs['image_size'] = BETWEEN['image_size'][0]
    return to_onnx(network, inputs, [prefix + name for name in network.outputs], dynamic)


def whole_to_onnx(network: Network, steps: dict) -> ModelProto:
    """The network between its preprocessing and what makes outputs in pixels of the given image.

    Args:
        network (Network): The network.
        steps (dict): Of the preprocessing.
    """
    example = dict(image=torch.zeros(200, 300, 3, dtype=torch.uint8))
    sizes = ['image_size', 'original', 'resized']
    parts = [
        to_onnx(Preprocessing(steps), example, ['pixels', *sizes], dict(image=(0, 1))),
        network_to_onnx(network, 'pixels', 'network_'),
    ]
    names = {name: f'network_{name}' for name in network.outputs}
    if network.end is not None:
        names = {name: names[name] for name in ('labels', 'scores') if 'panoptic' not in network.end_outputs}
        inputs, dynamic = {}, {}
        for name in signature(network.end.forward).parameters:
            inner = name if name in sizes else f'network_{name}'
            inputs[inner], dynamic[inner] = BETWEEN[name]
            if name not in (*sizes, *network.outputs):
                # Masks of a detector without masks.
                inputs[inner], dynamic[inner] = None, ()
        parts.append(to_onnx(network.end, inputs, network.end_outputs, dynamic))
        names = {**dict(zip(network.end_outputs, network.end_outputs)), **names}
    order = [name for name in ('boxes', 'labels', 'scores', 'masks', 'panoptic') if name in names]
    return chain(parts, {name: names[name] for name in order})
