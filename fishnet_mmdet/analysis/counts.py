"""What a network costs, counted without computing it: parameters, multiply-adds, memory saved for the backward pass."""

from itertools import chain
from typing import Sequence, Tuple

import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..errors import FishNetError
from .networks import SETTINGS, build, find_network

try:
    from torch.utils.flop_counter import FlopCounterMode
except ImportError:
    FlopCounterMode = None

#: Classes of ImageNet-1k, and the side of the images that its published errors are for.
CLASSES, SIDE = 1000, 224


def count_costs(name: str, size: Sequence[int] = (SIDE, SIDE), batch: int = 1) -> dict:
    """Counts what a network costs, on the meta device: nothing is computed and no memory is taken.

    Args:
        name (str): A key of ``NETWORKS``, or the path of a config.
        size (Sequence[int]): Height and width of the images.
        batch (int): Images in a batch.

    Returns:
        dict: The counts, ready for JSON. 'parameters' and 'multiply_adds' are those of the backbone; 'parameters_with_head'
        and 'multiply_adds_with_head' include the classification head for 1000 classes, or are None where mmdet has no such
        head. Multiply-adds are for one image, 'saved_bytes' for the batch, by setting.

    Raises:
        FishNetError: If there is no such network, or it cannot take such images, or with torch before 2.1.
    """
    if FlopCounterMode is None:
        raise FishNetError(f'counting multiply-adds needs torch 2.1 or newer, and {torch.__version__} is installed')
    if min(*size, batch) < 1:
        raise FishNetError(f'size and batch must be at least 1, not {size[0]}x{size[1]} and {batch}')
    network = find_network(name)
    with torch.device('meta'):
        image = torch.empty(batch, 3, *size)
        nets = {setting: build(network, setting) for setting in SETTINGS}
        try:
            operations, features = count_multiply_adds(nets['detection'], image)
            saved = {setting: count_saved_bytes(net, image) for setting, net in nets.items()}
        except (RuntimeError, ValueError) as error:
            raise FishNetError(
                f'{name} cannot train on {batch} x {size[0]}x{size[1]} pixels ({error}): choose height and width as multiples '
                'of 32, as mmdet pads images, and at least 64'
            ) from error
        parameters = count_parameters(nets['detection'])
        with_head = None, None
        if network.family.head:
            head = MODELS.build(dict(type=network.family.head, in_channels=features[-1].shape[1], num_classes=CLASSES))
            in_head, _ = count_multiply_adds(head, features[-1])
            with_head = parameters + count_parameters(head), (operations + in_head) // batch
    return dict(
        network=name,
        title=network.title,
        size=list(size),
        batch=batch,
        parameters=parameters,
        multiply_adds=operations // batch,
        parameters_with_head=with_head[0],
        multiply_adds_with_head=with_head[1],
        saved_bytes=saved,
        outputs=[list(feature.shape[1:]) for feature in features],
    )


def count_parameters(net: nn.Module) -> int:
    """Counts the parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_multiply_adds(net: nn.Module, x: Tensor) -> Tuple[int, Sequence[Tensor]]:
    """Counts the multiply-adds of a network's convolutions and matrix products in evaluation mode.

    BN, ReLU, pooling, up-sampling and sums count nothing.

    Returns:
        tuple[int, Sequence[Tensor]]: The multiply-adds of the batch, and the network's outputs.
    """
    net.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = net(x)
    return counter.get_total_flops() // 2, out


def count_saved_bytes(net: nn.Module, x: Tensor) -> int:
    """Counts the bytes that autograd saves for the backward pass of a batch in training, without parameters and buffers."""
    net.train()
    storages = {}

    def save(tensor):
        # Tensors that share memory share one storage object. It is held here, so that no other object gets its id.
        storage = tensor.untyped_storage()
        storages[id(storage)] = storage

    # No backward pass follows, so the second hook is never called.
    with saved_tensors_hooks(save, save):
        net(x)
    own = {id(tensor.untyped_storage()) for tensor in chain(net.parameters(), net.buffers())}
    return sum(storage.nbytes() for key, storage in storages.items() if key not in own)
