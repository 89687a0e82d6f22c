"""Reading checkpoint files without running code that they may hold."""

import os
import stat
from pathlib import Path
from typing import Dict, Union

from torch import Tensor

from ..errors import FishNetError
from .archive import ZIP_START, member_of, open_weights
from .pickles import Refused
from .safetensors_files import LARGEST_HEADER, read_safetensors
from .tensors import Unusable
from .text import check_path, shown, some
from .torch_files import read_legacy, read_zip

ZIP, LEGACY, SAFETENSORS, ARCHIVE = FORMATS = (
    'torch.save',
    'torch.save from before PyTorch 1.6',
    'safetensors',
    'zip archive with a file of torch.save',
)
#: What torch.save began its files with before PyTorch 1.6: a number, pickled.
MAGIC_NUMBER = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
LENGTH_OF_START = 1024
NO_CHECKPOINT = 'is not a checkpoint of torch.save or safetensors, or it was cut off: download or copy it again'
#: No network has longer ones.
LONGEST_TENSOR_NAME = 1000


def file_format(file: Union[str, Path]) -> str:
    """In which format a checkpoint file is, by its first bytes.

    Args:
        file (str | Path): Any file.

    Returns:
        str: One of ``FORMATS``. The contents of the file may still be broken.

    Raises:
        FishNetError: If the file cannot be read, or does not begin as a checkpoint; the message says what it seems to be.
    """
    check_path(file)
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise FishNetError(f'{file} is a folder, not a checkpoint: name a file in it')
        # Opening a pipe waits for a writer, and some devices never end.
        if not stat.S_ISREG(mode):
            raise FishNetError(f'{file} is a pipe, socket or device, not a checkpoint: name a file')
        with open(file, 'rb') as opened:
            start = opened.read(LENGTH_OF_START)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FishNetError(f'there is no checkpoint file {file}') from error
    except PermissionError as error:
        raise FishNetError(f'{file} may not be read by this user (permission denied): chmod a+r lets everyone') from error
    except OSError as error:
        raise FishNetError(f'{shown(str(file), 300)} cannot be read: {error.strerror}') from error
    if start.startswith(ZIP_START):
        return ZIP if member_of(file) is None else ARCHIVE
    if MAGIC_NUMBER in start[:32]:
        return LEGACY
    # The length of the header, then the header: JSON.
    if start[8:9] == b'{' and int.from_bytes(start[:8], 'little') <= LARGEST_HEADER:
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
        file (str | Path): A file of ``torch.save``, in its present format or the one from before PyTorch 1.6, or a zip
            archive with one such file, or a file of safetensors. Its name does not matter.

    Returns:
        dict: The contents of the file; of safetensors ``dict(meta=..., state_dict=...)``.

    Raises:
        FishNetError: If the file cannot be read, is not a checkpoint, or holds code.
    """
    if file_format(file) == SAFETENSORS:
        return read_safetensors(file)
    try:
        with open_weights(file) as opened:
            is_zip = opened.read(len(ZIP_START)) == ZIP_START
            checkpoint = read_zip(opened, str(file)) if is_zip else read_legacy(opened)
    except FishNetError:
        raise
    except Refused as error:
        raise FishNetError(f'{file} {error}') from error
    except MemoryError as error:
        raise FishNetError(f'{file} does not fit into the memory that is free here: {shown(str(error))}') from error
    except Exception as error:  # whatever error damaged bytes lead to
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
    items = weights.items() if isinstance(weights, dict) else ()
    weights = {name: value for name, value in items if isinstance(name, str) and isinstance(value, (Tensor, Unusable))}
    if not weights:
        raise FishNetError(
            f'{file} holds no weights: no state_dict of names and tensors, but {some([*map(str, checkpoint)]) or "nothing"}'
        )
    strangers = [name for name, _ in items if not isinstance(name, str)]
    if strangers:
        raise FishNetError(f'{file} has a {type(strangers[0]).__name__} as the name of a tensor: no state_dict has such names')
    for name, value in weights.items():
        if isinstance(value, Unusable):
            raise FishNetError(f'{file}: {shown(name)} is {value.kind}: save it as a plain tensor, tensor.to_dense() say')
        if len(name) > LONGEST_TENSOR_NAME:
            raise FishNetError(
                f'{file} names a tensor with {len(name):,} characters, {shown(name)}: no network has such names'
            )
    return weights
