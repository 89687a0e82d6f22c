"""Reading checkpoint files without running code that they may hold."""

import pickle
import re
from pathlib import Path
from typing import Callable, Dict, Sequence, Union

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch import Tensor

from ..errors import FishNetError

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
ZIP, LEGACY, SAFETENSORS = FORMATS = ('torch.save', 'torch.save from before PyTorch 1.6', 'safetensors')
#: What torch.save began its files with before PyTorch 1.6: a number, pickled.
MAGIC_NUMBER = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
LENGTH_OF_START = 1024
NO_CHECKPOINT = 'is not a checkpoint (nothing that torch.save or safetensors wrote), or it was cut off'
SHOWN_NAMES = 5


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


def file_format(file: Union[str, Path]) -> str:
    """In which format a checkpoint file is, by its first bytes.

    Args:
        file (str | Path): Any file.

    Returns:
        str: One of ``FORMATS``. The rest of the file may still be broken.

    Raises:
        FishNetError: If the file cannot be read, or begins like no checkpoint; the message says what it seems to be.
    """
    try:
        with open(file, 'rb') as opened:
            start = opened.read(LENGTH_OF_START)
    except IsADirectoryError as error:
        raise FishNetError(f'{file} is a folder, not a checkpoint: name a file in it') from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FishNetError(f'there is no checkpoint file {file}') from error
    except PermissionError as error:
        raise FishNetError(f'{file} may not be read by this user (permission denied): chmod a+r lets everyone') from error
    except OSError as error:
        raise FishNetError(f'{file} cannot be read: {error.strerror}') from error
    if start.startswith(b'PK\x03\x04'):
        return ZIP
    if MAGIC_NUMBER in start[:32]:
        return LEGACY
    # The length of the header, then the header: JSON. The library itself takes headers up to 100 MB.
    if start[8:9] == b'{' and int.from_bytes(start[:8], 'little') <= 100_000_000:
        return SAFETENSORS
    text = start.lstrip(b'\xef\xbb\xbf \r\n\t').lower()
    if not start:
        raise FishNetError(f'{file} is not a checkpoint: it is empty; download or copy it again')
    if text.startswith((b'<!doctype', b'<html', b'<?xml', b'<head')):
        raise FishNetError(
            f'{file} is not a checkpoint but a page of HTML, as a dead link or a log-in page gives: download it with a browser'
        )
    if text.startswith(b'version https://git-lfs'):
        raise FishNetError(f'{file} is not a checkpoint but the pointer of Git LFS to one: git lfs pull brings the file')
    raise FishNetError(f'{file} {NO_CHECKPOINT}')


def read_checkpoint(file: Union[str, Path]) -> dict:
    """Reads a checkpoint file to the CPU, as data only.

    Args:
        file (str | Path): What ``torch.save`` wrote, in its present format or the one from before PyTorch 1.6, or a file of
            safetensors, whatever its name.

    Returns:
        dict: What the file holds; of safetensors ``dict(meta=..., state_dict=...)``.

    Raises:
        FishNetError: If the file cannot be read, is not a checkpoint, or holds code.
    """
    if file_format(file) == SAFETENSORS:
        return _read_safetensors(file)
    try:
        # An open file: of a path, torch.load takes the suffix for the format.
        with open(file, 'rb') as opened:
            checkpoint = torch.load(opened, map_location='cpu', weights_only=True)
    except Exception as error:  # whatever bytes that are no checkpoint can lead torch.load to
        if code := re.search(r'GLOBAL (\S+) (was|whose)', str(error)):
            raise FishNetError(
                f'{file} is not a checkpoint that can be read safely: it names code that reading would run ({code[1]})'
            ) from error
        raise FishNetError(f'{file} {NO_CHECKPOINT}') from error
    if not isinstance(checkpoint, dict):
        raise FishNetError(f'{file} holds a {type(checkpoint).__name__}, not a checkpoint')
    return checkpoint


def weights_in(checkpoint: dict, file: Union[str, Path]) -> Dict[str, Tensor]:
    """The tensors of a checkpoint by their names: those of its ``state_dict``, or its own where it has none.

    Args:
        checkpoint (dict): What :func:`read_checkpoint` returned.
        file (str | Path): Where it is from, for the message.

    Raises:
        FishNetError: If there are none.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    weights = weights if isinstance(weights, dict) else {}
    weights = {name: tensor for name, tensor in weights.items() if isinstance(name, str) and isinstance(tensor, Tensor)}
    if not weights:
        raise FishNetError(
            f'{file} holds no weights: no state_dict of names and tensors, but {some([*map(str, checkpoint)]) or "nothing"}'
        )
    return weights


def some(names: Sequence[str]) -> str:
    """The first of some names."""
    return ', '.join(names[:SHOWN_NAMES]) + (' ...' if len(names) > SHOWN_NAMES else '')


def _read_safetensors(file: Union[str, Path]) -> dict:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise FishNetError(
            f'{file} is a file of safetensors, and the library is not there: pip install safetensors'
        ) from error
    try:
        with safe_open(file, framework='pt', device='cpu') as opened:
            state_dict = {name: opened.get_tensor(name) for name in opened.keys()}
            return dict(meta=opened.metadata() or {}, state_dict=state_dict)
    except (SafetensorError, OSError) as error:
        raise FishNetError(f'{file} {NO_CHECKPOINT}: {error}') from error
