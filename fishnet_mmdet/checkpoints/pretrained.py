"""The initialisation of FishNet with pretrained weights, as a config asks for it in ``init_cfg``."""

import logging
import os
from typing import Container, Optional

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ..errors import FishNetError
from ..models import FROM_SCRATCH
from .architecture import architecture, detect
from .first_convolution import FIRST, adapt
from .locate import by_hand, find, find_local, is_first_of_machine, local_file
from .matching import COUNT, check_numbers, differences
from .names import RELEASES
from .reading import read_checkpoint, weights_in
from .text import shown, some
from .urls import is_remote, printable


def check_pretrained(checkpoint: str) -> None:
    """Checks that pretrained weights are there, before a run begins; downloads them if they have to be.

    Of several processes on one machine, only the first downloads.

    Args:
        checkpoint (str): A name of ``RELEASES``, a path or a URL.

    Raises:
        FishNetError: If they are not there; the message says where to get them, where to put them, and how to train without
            them.
    """
    if checkpoint in RELEASES or is_remote(checkpoint):
        if is_first_of_machine():
            try:
                find(checkpoint)
            except FishNetError as error:
                raise FishNetError(f'{error}; {FROM_SCRATCH}') from error
        return
    file = find_local(checkpoint)
    if os.path.isfile(file):
        return
    names = [name for name, release in RELEASES.items() if file.name in (name, release.file_name)]
    option = '--cfg-options model.backbone.init_cfg.checkpoint='
    if names:
        remedy = f'use its name, which downloads it: {option}{names[0]}. {by_hand(names[0])}'
    else:
        remedy = f'use a file that exists, a URL, or a name that is downloaded ({", ".join(RELEASES)}): {option}NAME'
    raise FishNetError(f'there is no checkpoint file {shown(str(file), 300)}: {remedy}; {FROM_SCRATCH}')


@WEIGHT_INITIALIZERS.register_module()
class FishNetPretrained:
    """Loads the weights of a FishNet: ``init_cfg=dict(type='FishNetPretrained', checkpoint='fishnet150')``.

    A file may be a released one (``fishnet150_ckpt.tar``, or pytorchcv's), a checkpoint of a classifier or detector with a
    FishNet in it, or a FishNet's own ``state_dict``; saved by ``torch.save`` or by safetensors.

    Where the network has another number of input channels than the file, the first convolution is adapted, see
    :func:`fishnet_mmdet.checkpoints.first_convolution.adapt`.

    Args:
        checkpoint (str): A name of published weights (``python -m fishnet_mmdet weights`` lists them), a path, or a URL
            (https, http or file). Names and URLs are downloaded once.
        strict (bool): Whether every tensor of the network must be set. If False, the tensors that match by name and shape
            are set.
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
                strict: no tensor fits), or
                :func:`check_numbers` refuses a weight.
        """
        wanted = module.state_dict()
        if FIRST not in wanted:
            raise FishNetError(
                f'FishNetPretrained sets the weights of a FishNet, not of a {type(module).__name__}: its init_cfg belongs in '
                'the backbone'
            )
        if not is_remote(self.checkpoint) and self.checkpoint not in RELEASES:
            check_pretrained(self.checkpoint)
        file = local_file(self.checkpoint)
        weights = weights_in(read_checkpoint(file), file)
        found = detect(weights, file, self.prefix)
        given = adapt(found.backbone, wanted)
        matching = {name: given[name] for name in wanted if name in given and given[name].shape == wanted[name].shape}
        # BN's counts do not matter: a file without them sets everything, and one that fits in them alone nothing.
        learned = [name for name in wanted if not name.endswith(COUNT)]
        left = [name for name in learned if name not in matching]
        problem = differences(given, wanted, [name for name in given if _belongs_to_fish(name, wanted)])
        if problem and (self.strict or len(left) == len(learned)):
            raise FishNetError(
                f'{file} holds {found.description}, which does not fit this {architecture(wanted).name} of {len(wanted)} '
                f'tensors: {problem}'
            )
        check_numbers(matching, file, wanted)
        module.load_state_dict(matching, strict=False)
        if given is not found.backbone:
            print_log(
                f'FishNet: the first convolution of {file} takes {found.backbone[FIRST].shape[1]} channels and was adapted to '
                f'{wanted[FIRST].shape[1]}',
                logger='current',
            )
        if problem:
            print_log(
                f'FishNet: {file} holds {found.description}, which does not fit this {architecture(wanted).name}; '
                f'{len(left)} of {len(wanted)} tensors keep their initial values: {some(left) or "none"}',
                logger='current',
                level=logging.WARNING,
            )
        print_log(
            f'FishNet: loaded {len(wanted) - len(left)} of {len(wanted)} tensors from {file}, {found.description}; '
            f"{len(weights) - len(matching)} others in it (a classification head's, say) are not used",
            logger='current',
        )
        if hasattr(module, '_params_init_info'):  # in a BaseModule's init_weights; mmengine's init log is made from it
            update_init_info(module, init_info=self._get_init_info())

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: load from {printable(self.checkpoint)}'


def _belongs_to_fish(name: str, wanted: Container[str]) -> bool:
    """Whether the network should have a tensor, and has not: one outside of what a shortened head leaves out."""
    part, *rest = name.split('.')
    block = '.'.join([part, *rest[:2]]) + '.'
    return name not in wanted and (part != 'head' or any(other.startswith(block) for other in wanted))
