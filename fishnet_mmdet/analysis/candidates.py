"""The networks that are timed: those of :mod:`.networks`, other implementations of them, and their convolutions alone."""

import copy
from functools import partial
from typing import Callable, Iterator, List, NamedTuple, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import FishNetError
from .networks import NETWORKS, SETTINGS, build, find_network
from .released_fishnet import ReleasedFishNet, Unit

#: Modules that are computed one after another, each with its input.
Parts = List[Tuple[nn.Module, Tensor]]


class ForeignBackbone(nn.Module):
    """A backbone that has no arguments for ``SETTINGS``: its BN and its stem are frozen from outside.

    Args:
        net (nn.Module): The backbone.
        stem (Sequence[nn.Module]): The layers that detection freezes.
        setting (str): A key of ``SETTINGS``.
    """

    def __init__(self, net: nn.Module, stem: Sequence[nn.Module], setting: str) -> None:
        super().__init__()
        settings = SETTINGS[setting]
        self.net = net
        self.norm_eval = settings['norm_eval']
        for norm in norms(net):
            norm.requires_grad_(settings['norm_cfg'].get('requires_grad', True))
        for part in stem:
            part.requires_grad_(settings['frozen_stages'] < 0)

    def train(self, mode: bool = True) -> 'ForeignBackbone':
        """Sets training mode; frozen BN stays in evaluation mode."""
        super().train(mode)
        for norm in norms(self):
            norm.train(mode and not self.norm_eval)
        return self


class ReferenceFishNet(ForeignBackbone):
    """The authors' definition, one PyTorch module after another: nothing is fused or in place."""

    def __init__(self, depth: int, setting: str) -> None:
        net = ReleasedFishNet(depth)
        last = net.fish.fish[9]
        # The classification head.
        last[3], last[4] = nn.Identity(), nn.Identity()
        for unit in net.modules():
            # An identity shortcut, written as a sum of one slice, would add 0 and so pass over memory once more.
            if isinstance(unit, Unit) and unit.k == 1 and not hasattr(unit, 'shortcut'):
                unit.shortcut = nn.Identity()
        super().__init__(net, [net.conv1, net.conv2, net.conv3], setting)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """(n, 3, h, w) to the outputs of FishNet."""
        features, refined, _ = self.net(image)
        return refined[7], refined[8], refined[9], features[10]


class PytorchCVFishNet(ForeignBackbone):
    """The network of the package pytorchcv.

    Raises:
        FishNetError: If the package is missing.
    """

    def __init__(self, depth: int, setting: str) -> None:
        try:
            # Optional: only this class needs the package.
            from pytorchcv.models.fishnet import get_fishnet
        except ImportError as error:
            raise FishNetError(f'pytorchcv_fishnet{depth} needs pytorchcv ({error}): pip install pytorchcv') from error
        features = get_fishnet(depth).features
        super().__init__(nn.Sequential(features.init_block, features.hg), [features.init_block], setting)
        self.refined = []
        for unit in features.hg.down2_seq:
            unit.blocks.register_forward_hook(lambda module, inputs, out: self.refined.append(out))

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """(n, 3, h, w) to the outputs of FishNet."""
        last = self.net(image)
        outputs = (*self.refined, last)
        self.refined.clear()
        return outputs


def whole(net: nn.Module, image: Tensor) -> Parts:
    """The network as it is."""
    return [(net, image)]


def convolutions(net: nn.Module, image: Tensor) -> Parts:
    """The convolutions of a network, in channels-last, each on a random input of its own shape.

    Their time is a lower bound: the network's time if all other layers took none.
    """
    calls, inputs = [], {}
    # The copy on the meta device computes nothing, and is not compiled.
    shadow = copy.deepcopy(net).to('meta')
    shadow.train()
    for name, module in shadow.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, x, name=name: calls.append((name, (x[0].shape, x[0].requires_grad))))
    shadow(image.to('meta'))
    for shape, with_gradient in {key for _, key in calls}:
        x = torch.randn(shape, dtype=image.dtype, device=image.device).contiguous(memory_format=torch.channels_last)
        inputs[shape, with_gradient] = x.requires_grad_(with_gradient)
    net.to(memory_format=torch.channels_last)
    return [(net.get_submodule(name), inputs[key]) for name, key in calls]


class Entry(NamedTuple):
    """A network that can be timed."""

    title: str
    #: A key of ``FAMILIES``, for colours.
    family: str
    #: Builds the backbone in one of ``SETTINGS``.
    make: Callable[[str], nn.Module]
    #: Chooses the modules that are computed.
    split: Callable[[nn.Module, Tensor], Parts] = whole


def _entries() -> Iterator[Tuple[str, Entry]]:
    for name, network in NETWORKS.items():
        yield name, Entry(network.title, network.backbone['type'], partial(build, network))
    for depth in (99, 150, 201):
        title = f'FishNet-{depth}, reference implementation'
        yield f'reference_fishnet{depth}', Entry(title, 'FishNet', partial(ReferenceFishNet, depth))
    for depth in (99, 150):
        yield f'pytorchcv_fishnet{depth}', Entry(f'FishNet-{depth}, pytorchcv', 'FishNet', partial(PytorchCVFishNet, depth))
    for name, network in NETWORKS.items():
        title = f'{network.title}, convolutions'
        yield f'convolutions_{name}', Entry(title, network.backbone['type'], partial(build, network), convolutions)


#: By name.
ENTRIES = dict(_entries())
#: Memory layouts that can follow a network name, as in ``resnet50@channels_last``, and their titles.
LAYOUTS = {'': (torch.preserve_format, ''), 'channels_last': (torch.channels_last, ', channels-last')}


def find_entry(name: str) -> Tuple[Entry, torch.memory_format]:
    """The network and the memory layout of a name such as 'resnet50@channels_last'; also the backbone of a config.

    Raises:
        FishNetError: If there is no such network, config or layout.
    """
    network, _, layout = name.partition('@')
    if layout not in LAYOUTS:
        raise FishNetError(f'unknown layout {layout!r}: use {network}@channels_last, or {network} for the default layout')
    if network in ENTRIES:
        entry = ENTRIES[network]
    elif network.endswith('.py'):
        found = find_network(network)
        entry = Entry(found.title, found.backbone['type'], partial(build, found))
    else:
        raise FishNetError(
            f'unknown network {network!r}: choose from {", ".join(ENTRIES)}, or give the path of a config (.py)'
        )
    memory_format, suffix = LAYOUTS[layout]
    return entry._replace(title=entry.title + suffix), memory_format


def norms(net: nn.Module) -> Iterator[nn.Module]:
    """The BN layers of a network."""
    return (module for module in net.modules() if isinstance(module, _BatchNorm))
