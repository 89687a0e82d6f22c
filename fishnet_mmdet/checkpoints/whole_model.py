"""Whole trained models as safetensors: written in half precision, with the names of the classes."""

import json
from pathlib import Path
from typing import Union

from ..errors import FishNetError
from .convert import plain, write
from .locate import local_file
from .matching import check_numbers
from .reading import read_checkpoint, weights_in


def pack(checkpoint: str, out: Union[str, Path]) -> Path:
    """Writes all weights of a trained detector or classifier, without the optimizer's state, to a small file.

    Weights of convolutions and linear layers are written in float16. Vectors, such as BN's statistics, keep their type: a
    variance can be larger than float16's largest number.

    Args:
        checkpoint (str): A checkpoint of mmengine's Runner.
        out (str | Path): NAME.safetensors. The beginning of the file's SHA-256 is put into the name.

    Returns:
        Path: The new file, NAME-HASH.safetensors.

    Raises:
        FishNetError: If the checkpoint cannot be read, names no classes or has weights that float16 cannot hold, or the file
            cannot be written.
    """
    out = Path(out)
    if out.suffix != '.safetensors':
        raise FishNetError(f'{out} must end with .safetensors: a whole model is written in this format')
    source = local_file(checkpoint)
    content = read_checkpoint(source)
    classes = ((content.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if not classes:
        raise FishNetError(f'{source} names no classes: it is not a checkpoint that training saved')
    weights = {
        name: tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        for name, tensor in plain(weights_in(content, source)).items()
    }
    check_numbers(weights, f'{source} in float16')
    meta = dict(dataset_meta=json.dumps(dict(classes=list(classes))), source=source.name)
    return write(dict(meta=meta, state_dict=weights), out, source)
