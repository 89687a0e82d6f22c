"""The initialisation of FishNet from a file: where classification pretraining and detection are joined."""

import logging
from typing import Container, Optional

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ..errors import FishNetError
from ..models import FROM_SCRATCH
from .fetching import is_remote, local_file
from .fitting import COUNT, check_finite, differences
from .reading import read_checkpoint, some, weights_in
from .recognise import architecture, recognise


def check_pretrained(checkpoint: str) -> None:
    """Checks that a file with pretrained weights is there; an address is left to the download.

    Raises:
        FishNetError: If it is not; the message says where to get it and how to train without it.
    """
    if not is_remote(checkpoint) and not local_file(checkpoint).is_file():
        raise FishNetError(
            f'the pretrained weights {checkpoint} are not there. Released ones (fishnet99_ckpt.tar, fishnet150_ckpt.tar, '
            'fishnet201_ckpt.tar) are linked from the README of https://github.com/kevin-ssy/FishNet: put the file there, or '
            'name yours with --cfg-options model.backbone.init_cfg.checkpoint=FILE; '
            f'{FROM_SCRATCH}'
        )


@WEIGHT_INITIALIZERS.register_module()
class FishNetPretrained:
    """Loads the weights of a FishNet: ``init_cfg=dict(type='FishNetPretrained', checkpoint=FILE_OR_URL)``.

    The file may be a released one (``fishnet150_ckpt.tar``), a checkpoint of a classifier or detector with a FishNet in it,
    or a FishNet's own ``state_dict``; written by ``torch.save`` or by safetensors.

    Args:
        checkpoint (str): A file, or an address (https, http or file) that it is downloaded from, once.
        strict (bool): Whether every tensor of the network must be set. If not, those are that fit by name and shape.
        prefix (str, optional): What the names of the backbone's tensors begin with, where the file holds several FishNets:
            'teacher.backbone.', say.
    """

    def __init__(self, checkpoint: str, strict: bool = True, prefix: Optional[str] = None) -> None:
        self.checkpoint = checkpoint
        self.strict = strict
        self.prefix = prefix

    def __call__(self, module: nn.Module) -> None:
        """Sets every tensor of ``module``, or none.

        Raises:
            FishNetError: If the file cannot be read, a tensor of the network is missing in it or has another shape (where not
                strict: no tensor fits), or a weight is NaN or infinite.
        """
        wanted = module.state_dict()
        if 'stem.conv1.weight' not in wanted:
            raise FishNetError(
                f'FishNetPretrained sets the weights of a FishNet, not of a {type(module).__name__}: its init_cfg belongs in '
                'the backbone'
            )
        check_pretrained(self.checkpoint)
        file = local_file(self.checkpoint)
        weights = weights_in(read_checkpoint(file), file)
        found = recognise(weights, file, self.prefix)
        given = found.backbone
        fitting = {name: given[name] for name in wanted if name in given and given[name].shape == wanted[name].shape}
        # BN's counts do not matter: a file without them sets everything, and one that fits in them alone nothing.
        learned = [name for name in wanted if not name.endswith(COUNT)]
        left = [name for name in learned if name not in fitting]
        problem = differences(given, wanted, [name for name in given if _belongs_to_fish(name, wanted)])
        if problem and (self.strict or len(left) == len(learned)):
            raise FishNetError(
                f'{file} holds {found.description}, which does not fit this {architecture(wanted).name} of {len(wanted)} '
                f'tensors: {problem}'
            )
        check_finite(fitting, file)
        module.load_state_dict(fitting, strict=False)
        # mmengine's log of the initialisation names the source of each parameter, as for its own initializers.
        if hasattr(module, '_params_init_info'):
            update_init_info(module, self._get_init_info())
        if problem:
            print_log(
                f'FishNet: {file} holds {found.description}, which does not fit this {architecture(wanted).name}; '
                f'{len(left)} of {len(wanted)} tensors keep their initial values: {some(left) or "none"}',
                logger='current',
                level=logging.WARNING,
            )
        print_log(
            f'FishNet: loaded {len(wanted) - len(left)} of {len(wanted)} tensors from {file}, {found.description}; '
            f"{len(weights) - len(fitting)} others in it (a classification head's, say) are not used",
            logger='current',
        )

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: load from {self.checkpoint}'


def _belongs_to_fish(name: str, wanted: Container[str]) -> bool:
    """Whether the network should have a tensor, and has not: one outside of what a shortened head leaves out."""
    part, *rest = name.split('.')
    block = '.'.join([part, *rest[:2]]) + '.'
    return name not in wanted and (part != 'head' or any(other.startswith(block) for other in wanted))
