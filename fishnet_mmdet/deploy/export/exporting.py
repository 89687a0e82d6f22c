"""A trained model as one ONNX model."""

import json
from typing import Sequence

import torch
from mmengine.config import Config
from onnx import ModelProto
from torch import nn

from .detectors import as_network
from .graph import chain, share_initializers, to_onnx
from .images import Preprocessing
from .metadata import add_metadata
from .placing import Placing
from .steps import read_steps

#: The place of the preprocessing, and what the file then gets.
PLACES = dict(
    inside='for images (height, width, 3) as OpenCV reads them',
    beside='for images that are resized, normalised and padded already',
)
#: Outputs of the network that become outputs of the file only after a change: their names in between.
INNER = dict(boxes='network_boxes', masks='network_masks')


def export(model: nn.Module, cfg: Config, where: str = 'inside') -> ModelProto:
    """A detector as ONNX.

    Args:
        model (nn.Module): The trained model, with ``dataset_meta``.
        cfg (Config): Its config.
        where (str): One of ``PLACES``.

    Raises:
        FishNetError: If a part of the model cannot be exported.
    """
    steps = read_steps(cfg, model.data_preprocessor)
    network = as_network(model).eval()
    image, size = torch.zeros(1, 3, 192, 256), torch.tensor([180, 250])
    if where == 'beside':
        result = to_onnx(network, dict(image=image, image_size=size), network.outputs, dict(image=(2, 3)))
    else:
        inner = [INNER.get(name, name) for name in network.outputs]
        result = to_onnx(network, dict(pixels=image, image_size=size), inner, dict(pixels=(2, 3)))
        result = around(result, network.outputs, steps, float(network.settings.get('mask_threshold', 0.5)))
    share_initializers(result)
    settings = dict(network.settings, task=network.task, preprocessing=json.dumps(dict(where=where, **steps)))
    return add_metadata(result, model.dataset_meta, settings)


def around(network: ModelProto, names: Sequence[str], steps: dict, threshold: float) -> ModelProto:
    """The network between its preprocessing and the placing of its objects in the given image.

    Args:
        network (ModelProto): Its inputs are ``pixels`` and ``image_size``.
        names (Sequence[str]): Its outputs.
        steps (dict): Of the preprocessing.
        threshold (float): From which probability on a pixel belongs to a mask.
    """
    example = dict(image=torch.zeros(200, 300, 3, dtype=torch.uint8))
    before = to_onnx(Preprocessing(steps), example, ['pixels', 'image_size', 'original', 'resized'], dict(image=(0, 1)))
    # Each input needs a tensor of its own, or the exporter would take them for one.
    objects = dict(network_boxes=torch.zeros(3, 4), original=torch.tensor([200, 300]), resized=torch.tensor([400, 600]))
    if 'masks' in names:
        objects['network_masks'] = torch.zeros(3, 28, 28)
    placed = [name for name in INNER if name in names]
    after = to_onnx(Placing(threshold), objects, placed, dict.fromkeys(INNER.values(), (0,)))
    return chain([before, network, after], names)
