"""Whether the tensors of a checkpoint are those that a network needs."""

import re
from pathlib import Path
from typing import Iterable, Mapping, Union

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ..errors import FishNetError
from ..models import as_classifier_weights
from .architecture import describe
from .locate import local_file
from .reading import read_checkpoint, weights_in
from .text import some

COUNT = 'num_batches_tracked'


def differences(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], unwanted: Iterable[str]) -> str:
    """In what some tensors differ from those that a network has; empty if they fit.

    Files from before PyTorch 0.4.1 do not count batches; nothing that a network computes depends on the count.

    Args:
        given (Mapping[str, Tensor]): Tensors of a checkpoint.
        wanted (Mapping[str, Tensor]): The network's ``state_dict()``.
        unwanted (Iterable[str]): Names of given tensors that the network should have and has not.
    """
    found = {
        'are missing in the file': [name for name in wanted if name not in given and not name.endswith(COUNT)],
        'of the file are not in the network': list(unwanted),
        'have another shape': [
            f'{name} is {tuple(given[name].shape)} and should be {tuple(wanted[name].shape)}'
            for name in wanted
            if name in given and given[name].shape != wanted[name].shape
        ],
    }
    return '; '.join(f'{len(names)} tensors {what}: {some(names)}' for what, names in found.items() if names)


def check_finite(tensors: Mapping[str, Tensor], file: str) -> None:
    """Checks that no weight is NaN or infinite.

    Args:
        tensors (Mapping[str, Tensor]): Tensors by name.
        file (str): Where they are from, for the message.

    Raises:
        FishNetError: If one is; the message names the first tensors.
    """
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise FishNetError(
            f'{file} has NaN or infinite numbers in {len(broken)} tensors: {some(broken)}; they are from a training that '
            'diverged, or the file is damaged: take an earlier checkpoint'
        )


def check_fits(model: nn.Module, checkpoint: Union[str, Path], trusted: bool = False) -> None:
    """Checks that a checkpoint has all tensors of a model, and no others.

    Args:
        model (nn.Module): A whole detector or classifier. For a classifier, a released file fits too.
        checkpoint (str | Path): A file, a URL or a name of published weights.
        trusted (bool): As in :func:`fishnet_mmdet.checkpoints.read_checkpoint`.

    Raises:
        FishNetError: If the file cannot be read, or a name or shape differs; the message names the first ones.
    """
    path = local_file(str(checkpoint))
    weights = weights_in(read_checkpoint(path, trusted), path)
    wanted = (model.module if is_model_wrapper(model) else model).state_dict()
    given = {re.sub(r'^module\.', '', name): tensor for name, tensor in as_classifier_weights(weights).items()}
    if problem := differences(given, wanted, [name for name in given if name not in wanted]):
        raise FishNetError(
            f'{path} holds {describe(weights)}, which does not fit this {type(model).__name__}, {describe(wanted)}, of '
            f'{len(wanted)} tensors: {problem}{_remedy(given, wanted)}'
        )


def _remedy(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    def has_head(names):
        return any(name.startswith('cls_head.') for name in names)

    if not has_head(wanted) or has_head(given) or 'no FishNet' in describe(given):
        return ''
    return (
        '. The file has no classification head. Convert the classifier again and keep its head: '
        'python -m fishnet_mmdet convert FILE OUT --with-cls-head'
    )
