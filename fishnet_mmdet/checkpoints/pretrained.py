"""The initialisation of FishNet from a file: where classification pretraining and detection are joined."""

from pathlib import Path
from typing import Container, Sequence

from mmengine.logging import print_log
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from ..errors import FishNetError
from .reading import read_checkpoint
from .released import is_released, rename_released

SHOWN_KEYS = 5
PARTS = ('stem', 'tail', 'bridge', 'body')
#: How a detector is trained when there are no pretrained weights: fixed BN diverges on random ones.
FROM_SCRATCH = (
    "to train without any, do as configs/mask_rcnn_fishnet150_fpn_scratch.py: norm_cfg=dict(type='BN'), "
    "norm_eval=False, frozen_stages=-1 and init_cfg=None in the backbone, norm_cfg=dict(type='GN', num_groups=32) "
    'in the neck and the mask head'
)


def check_pretrained(checkpoint: str) -> None:
    """Checks that a file with pretrained weights is there.

    Raises:
        FishNetError: If it is not; the message says where to get it and how to train without it.
    """
    if not Path(checkpoint).is_file():
        raise FishNetError(
            f'the pretrained weights {checkpoint} are not there. Released ones (fishnet99_ckpt.tar, fishnet150_ckpt.tar, '
            'fishnet201_ckpt.tar) are linked from the README of https://github.com/kevin-ssy/FishNet: put the file there, or '
            'name yours with --cfg-options model.backbone.init_cfg.checkpoint=FILE; '
            f'{FROM_SCRATCH}'
        )


@WEIGHT_INITIALIZERS.register_module()
class FishNetPretrained:
    """Loads the weights of a FishNet: ``init_cfg=dict(type='FishNetPretrained', checkpoint=FILE)``.

    Args:
        checkpoint (str): A released file (``fishnet150_ckpt.tar``), or one with a FishNet's ``state_dict`` under our names.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Sets every tensor of ``module``.

        Raises:
            FishNetError: If the file cannot be read, or a tensor of the network is missing in it or has another shape.
        """
        check_pretrained(self.checkpoint)
        given = read_checkpoint(self.checkpoint)
        given = given.get('state_dict', given)
        if not _is_state_dict(given):
            raise FishNetError(f'{self.checkpoint} holds no weights: no state_dict of names and tensors')
        if is_released(given):
            given = rename_released(given)
        wanted = module.state_dict()
        # Files from before PyTorch 0.4.1 do not count batches; nothing that FishNet computes depends on the count.
        for name in wanted:
            if name.endswith('num_batches_tracked'):
                given.setdefault(name, wanted[name])
        unused = [name for name in given if name not in wanted]
        complaints = {
            'are missing in the file': [name for name in wanted if name not in given],
            'of the file are not in the network': [name for name in unused if _belongs_to_fish(name, wanted)],
            'have another shape': [
                f'{name} is {tuple(given[name].shape)} and should be {tuple(wanted[name].shape)}'
                for name in wanted
                if name in given and given[name].shape != wanted[name].shape
            ],
        }
        complaints = [f'{len(names)} tensors {what}: {_some(names)}' for what, names in complaints.items() if names]
        if complaints:
            raise FishNetError(
                f'{self.checkpoint} does not fit this FishNet-{module.fish.depth} of {len(wanted)} tensors: '
                f'{"; ".join(complaints)}'
            )
        module.load_state_dict({name: given[name] for name in wanted})
        print_log(
            f"FishNet: loaded {len(wanted)} tensors from {self.checkpoint}; {len(unused)} others in it (the score's, say) are "
            'not used',
            logger='current',
        )

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: load from {self.checkpoint}'


def _is_state_dict(value) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items()) and value


def _belongs_to_fish(name: str, wanted: Container[str]) -> bool:
    """Whether a tensor lies in a part that the network has: not the score, nor what a shortened head leaves out."""
    part, *rest = name.split('.')
    if part == 'head':
        block = '.'.join([part, *rest[:2]]) + '.'
        return any(other.startswith(block) for other in wanted)
    return part in PARTS


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:SHOWN_KEYS]) + (' ...' if len(names) > SHOWN_KEYS else '')
