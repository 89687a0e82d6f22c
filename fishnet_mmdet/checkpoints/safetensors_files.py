"""Files of safetensors. The library checks their offsets, types and shapes; they have no checksums."""

import json
from pathlib import Path
from typing import Union

from ..errors import FishNetError
from .hashes import check_hash
from .text import shown

#: In bytes. The largest detectors have some 0.3 MB; the library takes 100 MB, which become many more in memory.
LARGEST_HEADER = 1 << 24


def read_safetensors(file: Union[str, Path]) -> dict:
    """Reads a file of safetensors to the CPU.

    Args:
        file (str | Path): A file that begins as those do.

    Returns:
        dict: ``dict(meta=..., state_dict=...)``. ``meta`` holds texts, and ``dataset_meta`` of a whole model is what training
            saved.

    Raises:
        FishNetError: If it is damaged, it has another hash than its name says, or the library is not there.
    """
    try:
        # Imported here: an optional package.
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise FishNetError(
            f'{file} is a file of safetensors, and the library is not there: pip install safetensors'
        ) from error
    # `convert` writes the file's hash into its name.
    check_hash(Path(file), Path(file).name)
    try:
        with safe_open(file, framework='pt', device='cpu') as opened:
            state_dict = {name: opened.get_tensor(name) for name in opened.keys()}
            meta = opened.metadata() or {}
        if 'dataset_meta' in meta:
            meta['dataset_meta'] = json.loads(meta['dataset_meta'])
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError, TypeError, KeyError) as error:
        raise FishNetError(
            f'{file} is not a checkpoint of torch.save or safetensors, or it was cut off: download or copy it again: '
            f'{shown(str(error), 300)}'
        ) from error
    return dict(meta=meta, state_dict=state_dict)
