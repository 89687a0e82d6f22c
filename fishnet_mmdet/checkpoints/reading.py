"""Reading checkpoint files without running code that they may hold."""

import pickle
import re
from pathlib import Path
from typing import Callable, Union

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer

from ..errors import FishNetError

HISTORY_METHODS = ('min', 'max', 'current', 'mean')


def allow_training_state() -> None:
    """Lets ``torch.load`` read what mmengine's Runner puts beside the weights, as ``--resume`` and testing need.

    From torch 2.6 on, ``torch.load`` reads only tensors and plain containers unless told otherwise. A checkpoint of
    mmengine also holds the history of the logged values: HistoryBuffer, whose members are numpy arrays of numbers, and
    the names of its methods. Reading these runs nothing; everything else stays refused.
    """
    multiarray = np.core.multiarray if np.lib.NumpyVersion(np.__version__) < '2.0.0' else np._core.multiarray
    number_types = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_method_of_history, 'builtins.getattr'),
            # As numpy 1 names them, and numpy 2.
            (multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
            (multiarray._reconstruct, 'numpy._core.multiarray._reconstruct'),
            (multiarray.scalar, 'numpy.core.multiarray.scalar'),
            (multiarray.scalar, 'numpy._core.multiarray.scalar'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(number_type)) for number_type in number_types},
        ]
    )


def _method_of_history(owner: type, name: str) -> Callable:
    """Stands in for ``getattr``, by which pickle names the methods that HistoryBuffer keeps: gives those and no others."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr was given {owner} and {name}')
    return getattr(owner, name)


def read_checkpoint(file: Union[str, Path]) -> dict:
    """Reads a checkpoint file to the CPU, as data only.

    Args:
        file (str | Path): What ``torch.save`` wrote, in its present format or the one from before PyTorch 1.6.

    Returns:
        dict: What the file holds.

    Raises:
        FishNetError: If the file is not there, is not a checkpoint, or holds code.
    """
    file = Path(file)
    if not file.is_file():
        raise FishNetError(f'there is no checkpoint file {file}')
    try:
        checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # whatever bytes that are no checkpoint can lead torch.load to
        if code := re.search(r'GLOBAL (\S+) (was|whose)', str(error)):
            raise FishNetError(
                f'{file} is not a checkpoint that can be read safely: it names code that reading would run ({code[1]})'
            ) from error
        raise FishNetError(f'{file} is not a checkpoint (nothing that torch.save wrote), or it was cut off') from error
    if not isinstance(checkpoint, dict):
        raise FishNetError(f'{file} holds a {type(checkpoint).__name__}, not a checkpoint')
    return checkpoint
