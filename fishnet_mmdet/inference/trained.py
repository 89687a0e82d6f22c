"""Trained models that come with the package, by name. ``fishnet_mmdet/trained/README.md`` describes them."""

from typing import Dict, NamedTuple, Optional, Tuple

from ..config_files import PACKAGE, config_file
from ..errors import FishNetError


class Trained(NamedTuple):
    """A model that needs no download."""

    config: str
    """Its config, in ``configs/``."""
    weights: str
    """Its weights, in ``fishnet_mmdet/trained/``."""


TRAINED: Dict[str, Trained] = dict(
    nuclei=Trained('demo/mask_rcnn_fishnet77_nuclei.py', 'nuclei-3d2eabca.safetensors'),
)


def find_model(config: str, checkpoint: Optional[str] = None) -> Tuple[str, str]:
    """The config file and the checkpoint file that a command's arguments name.

    Args:
        config (str): A config file, or a name of ``TRAINED``.
        checkpoint (str, optional): The checkpoint of a config file.

    Raises:
        FishNetError: If the checkpoint of a config file is missing.
    """
    if checkpoint is not None:
        return config, checkpoint
    if config not in TRAINED:
        raise FishNetError(
            f'{config} needs a checkpoint: name its file after the config; trained models without a file are '
            f'{", ".join(TRAINED)}'
        )
    model = TRAINED[config]
    return config_file(model.config), str(PACKAGE / 'trained' / model.weights)
