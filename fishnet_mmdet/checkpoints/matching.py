"""Whether the tensors of a checkpoint are those that a network needs."""

import re
from pathlib import Path
from typing import Iterable, Mapping, Optional, Union

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ..errors import FishNetError
from ..models import as_classifier_weights
from .architecture import describe
from .locate import local_file
from .reading import read_checkpoint, weights_in
from .text import shown, some

COUNT = 'num_batches_tracked'
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


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


def check_numbers(tensors: Mapping[str, Tensor], file: str, wanted: Optional[Mapping[str, Tensor]] = None) -> None:
    """Checks that weights are numbers that a network can compute with.

    Args:
        tensors (Mapping[str, Tensor]): Tensors by name.
        file (str): Where they are from, for the message.
        wanted (Mapping[str, Tensor], optional): The network's ``state_dict()``, whose types they get. Default: float32.

    Raises:
        FishNetError: If one is of another kind of type, NaN, infinite, too large for its new type, or a negative variance; the
            message names the first tensors.
    """
    for name, tensor in tensors.items():
        is_count = name.endswith(COUNT) if wanted is None else not wanted[name].is_floating_point()
        if tensor.dtype not in (FLOATS + INTEGERS if is_count else FLOATS):
            raise FishNetError(
                f'{file}: {shown(name)} is of the type {_name(tensor.dtype)}, and weights are of '
                f'{", ".join(map(_name, FLOATS))}: take the checkpoint before it was quantised or converted'
            )
    extremes = {name: numbers for name, tensor in tensors.items() if (numbers := extremes_of(tensor)) is not None}
    broken = [name for name, numbers in extremes.items() if not numbers.isfinite().all()]
    if broken:
        raise FishNetError(
            f'{file} has NaN or infinite numbers in {len(broken)} tensors: {some(broken)}; they are from a training that '
            'diverged, or the file is damaged: take an earlier checkpoint'
        )
    for name, numbers in extremes.items():
        dtype = torch.float32 if wanted is None else wanted[name].dtype
        if dtype.is_floating_point and not numbers.to(dtype).isfinite().all():
            raise FishNetError(f'{file}: {shown(name)} has numbers too large for {_name(dtype)}: the file is damaged')
    negative = [name for name, numbers in extremes.items() if name.endswith('running_var') and (numbers < 0).any()]
    if negative:
        raise FishNetError(
            f'{file} has negative variances in {len(negative)} tensors: {some(negative)}; the file is damaged, or was '
            'changed: take another one'
        )


def extremes_of(tensor: Tensor) -> Optional[Tensor]:
    """The least and the largest number of a tensor, or NaN; None of an empty one."""
    if tensor.numel() == 0:
        return None
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    # On the CPU, older releases find these of no shorter floats.
    tensor = tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor
    return torch.stack(tensor.aminmax())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).replace('torch.', '')


def check_fits(model: nn.Module, checkpoint: Union[str, Path]) -> None:
    """Checks that a checkpoint has all tensors of a model, and no others.

    Args:
        model (nn.Module): A whole detector or classifier. For a classifier, a released file fits too.
        checkpoint (str | Path): A file, a URL or a name of published weights.

    Raises:
        FishNetError: If the file cannot be read, a name or shape differs, or :func:`check_numbers` refuses a tensor; the
            message names the first ones.
    """
    path = local_file(str(checkpoint))
    weights = weights_in(read_checkpoint(path), path)
    wanted = (model.module if is_model_wrapper(model) else model).state_dict()
    given = {re.sub(r'^module\.', '', name): tensor for name, tensor in as_classifier_weights(weights).items()}
    problem = differences(given, wanted, [name for name in given if name not in wanted])
    if problem:
        raise FishNetError(
            f'{path} holds {describe(weights)}, which does not fit this {type(model).__name__}, {describe(wanted)}, of '
            f'{len(wanted)} tensors: {problem}{_remedy(given, wanted)}'
        )
    check_numbers({name: given[name] for name in wanted if name in given}, path, wanted)


def _remedy(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    def has_head(names):
        return any(name.startswith('cls_head.') for name in names)

    if not has_head(wanted) or has_head(given) or 'no FishNet' in describe(given):
        return ''
    return (
        '. The file has no classification head. Convert the classifier again and keep its head: '
        'python -m fishnet_mmdet convert FILE OUT --with-cls-head'
    )
