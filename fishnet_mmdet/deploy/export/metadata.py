"""What a file says about itself: the strings in ``metadata_props``."""

import json
from pathlib import Path
from typing import Dict

import mmdet
import onnx
import torch
from onnx import ModelProto

from ...checkpoints.hashes import digest
from ...version import __version__

#: The version of the file's layout: its inputs, outputs and metadata.
LAYOUT = '1'


def add_metadata(model: ModelProto, meta: dict, settings: Dict[str, str]) -> ModelProto:
    """Adds what a user of the file needs to know.

    Args:
        model (ModelProto): Changed in place.
        meta (dict): ``dataset_meta`` of the trained model.
        settings (dict[str, str]): Task, preprocessing, thresholds.
    """
    versions = dict(fishnet_mmdet=__version__, torch=torch.__version__, mmdet=mmdet.__version__, onnx=onnx.__version__)
    lists = {key: json.dumps(list(meta[key])) for key in ('category_ids', 'thing_classes') if meta.get(key)}
    onnx.helper.set_model_props(
        model,
        dict(
            fishnet_mmdet=LAYOUT,
            classes=json.dumps(list(meta['classes'])),
            precision='float32',
            versions=json.dumps(versions),
            **lists,
            **settings,
        ),
    )
    model.producer_name, model.producer_version = 'fishnet_mmdet', __version__
    return model


def describe(model: ModelProto, config: str, checkpoint: str, created: str) -> None:
    """Adds where a model comes from.

    Args:
        model (ModelProto): Changed in place.
        config (str): The config file.
        checkpoint (str): The checkpoint file.
        created (str): The command.
    """
    with open(checkpoint, 'rb') as file:
        sha256 = digest(file, 'sha256')[:8]
    change_metadata(
        model, dict(config=Path(config).name, checkpoint=f'{Path(checkpoint).name} sha256:{sha256}', created=created)
    )


def change_metadata(model: ModelProto, changes: Dict[str, str]) -> None:
    """Replaces some of the strings."""
    onnx.helper.set_model_props(model, {**read_metadata(model), **changes})


def read_metadata(model: ModelProto) -> Dict[str, str]:
    """The strings by their keys."""
    return {entry.key: entry.value for entry in model.metadata_props}
