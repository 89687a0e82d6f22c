"""Weights and files in the format of the released models, for the tests."""

import zlib

import numpy as np
import torch

from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet


def fill_by_rule(shapes):
    """The golden outputs' weights: each tensor from a seed that its released name makes.

    Args:
        shapes (Iterable[tuple[str, Sequence[int]]]): Released names and shapes.
    """
    state_dict = {}
    for name, shape in shapes:
        random = np.random.RandomState(zlib.crc32(name.encode()))
        if name.endswith('num_batches_tracked'):
            array = np.zeros(shape, np.int64)
        elif len(shape) == 4:
            array = random.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
        elif name.endswith('running_var') or name.endswith('.weight'):
            array = random.uniform(0.5, 1.5, shape)
        else:
            array = 0.1 * random.standard_normal(shape)
        if array.dtype != np.int64:
            array = np.asarray(array, np.float32)
        state_dict[name] = torch.from_numpy(np.array(array))
    return state_dict


def released_weights(depth):
    """A released model's state dict, filled by the rule."""
    with torch.device('meta'):
        model = ReleasedFishNet(depth)
    return fill_by_rule((name, tuple(tensor.shape)) for name, tensor in model.state_dict().items())


def save_released(state_dict, file, legacy=True):
    """Writes a file as the released ones are: a dict with optimizer state and so on, keys behind ``module.``."""
    checkpoint = dict(
        epoch=100,
        arch='fishnet',
        best_prec1=torch.tensor(78.0),
        optimizer=dict(state={}, param_groups=[]),
        state_dict={f'module.{name}': tensor for name, tensor in state_dict.items()},
    )
    torch.save(checkpoint, file, _use_new_zipfile_serialization=not legacy)
