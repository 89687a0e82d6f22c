"""Conversion: the FishNet of any checkpoint in a small file of its own."""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Dict, Optional, Set, Union

import torch
from torch import Tensor

from ..errors import FishNetError
from ..models import FISHES, FISHNEXTS, FishNet
from .architecture import FishWeights, detect
from .first_convolution import FIRST, adapt
from .locate import local_file
from .matching import COUNT, check_numbers, differences
from .reading import read_checkpoint, weights_in
from .text import some

SUFFIXES = ('.pth', '.safetensors')
#: The modules of every residual unit and of the stem, and those of the bridge beside its units.
UNIT = tuple(f'{kind}{number}' for kind in ('norm', 'conv') for number in (1, 2, 3))
BRIDGE = ('norm1', 'conv1', 'norm2', 'conv2', 'attention.norm', 'attention.conv1', 'attention.conv2')


def convert(
    checkpoint: str,
    out: Union[str, Path],
    with_cls_head: bool = False,
    prefix: Optional[str] = None,
) -> Path:
    """Writes the FishNet of a checkpoint to a file of its own: ``dict(meta=..., state_dict=...)``.

    Args:
        checkpoint (str): A name of published weights, a path or a URL.
        out (str | Path): NAME.pth or NAME.safetensors. The beginning of the file's SHA-256 is put into the name.
        with_cls_head (bool): Whether to keep the classification head too. The names are then those of a classifier.
        prefix (str, optional): What the names of the backbone's tensors begin with, where there are several FishNets.

    Returns:
        Path: The new file, NAME-HASH.pth or NAME-HASH.safetensors.

    Raises:
        FishNetError: If the checkpoint cannot be read or holds no whole FishNet of finite weights, or the file cannot be
            written.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise FishNetError(f'{out} must end with {" or ".join(SUFFIXES)}: that says in which format to write')
    source = local_file(checkpoint)
    found = detect(weights_in(read_checkpoint(source), source), source, prefix)
    if with_cls_head and not found.cls_head:
        raise FishNetError(f'{source} holds {found.description}: there is no classification head to keep')
    check_whole(found, source)
    weights = found.backbone
    if with_cls_head:
        weights = {
            **{f'backbone.{name}': tensor for name, tensor in found.backbone.items()},
            **{f'cls_head.{name}': tensor for name, tensor in found.cls_head.items()},
        }
    check_numbers(weights, source)
    meta = dict(arch=found.architecture.name, source=source.name)
    return write(dict(meta=meta, state_dict=plain(weights)), out, source)


def check_whole(found: FishWeights, source: Path) -> None:
    """Checks that no tensor of a FishNet is missing but those of the head's end, which a detector may leave out.

    Raises:
        FishNetError: If one is, or has another shape. Of a fish of its own, the shapes and the number of units are not known.
    """
    if not found.architecture.depth:
        _check_modules(found, source)
        return
    fish = (FISHES if found.architecture.type == 'FishNet' else FISHNEXTS)[found.architecture.depth]
    last = max((int(stage) for stage in re.findall(r'head\.stage(\d{1,2})\.refine', ' '.join(found.backbone))), default=0)
    if not last or any(name.startswith(f'head.stage{last}.transfer') for name in found.backbone):
        outputs = dict(out_indices=(last,), head_output='concat')
    else:
        outputs = dict(out_indices=(last - 1,))
    norm = 'BN' if any(name.endswith('running_mean') for name in found.backbone) else 'GN'
    norm_cfg = dict(type=norm) if norm == 'BN' else dict(type=norm, num_groups=1)
    with torch.device('meta'):
        whole = FishNet(arch=fish, norm_cfg=norm_cfg, **outputs).state_dict()
    if FIRST in found.backbone:
        # A network for grey images, or for more than three channels, is whole too.
        whole = adapt(whole, found.backbone)
    if problem := differences(found.backbone, whole, [name for name in found.backbone if name not in whole]):
        raise FishNetError(f'{source} holds {found.description}, and not the whole of it: {problem}')


def _check_modules(found: FishWeights, source: Path) -> None:
    """Checks that the modules of a fish of its own have all of their tensors, and its units all of their modules."""
    modules: Dict[str, Set[str]] = {}
    for name in found.backbone:
        module, _, last = name.rpartition('.')
        modules.setdefault(module, set()).add(last)
    norm = (
        {'weight', 'bias', 'running_mean', 'running_var'}
        if 'running_mean' in modules.get('stem.norm1', ())
        else {'weight', 'bias'}
    )
    units = {'stem', *(match[1] for match in map(re.compile(r'(.*\.\d+)\.').match, modules) if match)}
    needed = {f'{unit}.{member}' for unit in units for member in UNIT} | {f'bridge.{member}' for member in BRIDGE}
    wrong = [module for module in needed if module not in modules]
    for module, tensors in modules.items():
        kind = re.search(r'(norm|conv)\d?$', module)
        if not kind or (tensors - {COUNT} != norm if kind[1] == 'norm' else tensors not in ({'weight'}, {'weight', 'bias'})):
            wrong.append(module)
    if wrong:
        raise FishNetError(
            f'{source} holds {found.description}, and not the whole of it: tensors are missing or have other names in '
            f'{some(sorted(wrong))}'
        )


def plain(weights: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Copies of the tensors that share no memory, and the counts of BN where they are missing."""
    tensors = {}
    for name, tensor in weights.items():
        tensors[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        count = name.replace('running_var', COUNT)
        if name.endswith('running_var') and count not in weights:
            tensors[count] = torch.zeros((), dtype=torch.int64)
    return tensors


def write(content: dict, out: Path, source: Path) -> Path:
    """Writes a checkpoint to a partial file, which is then renamed to NAME-HASH.pth or NAME-HASH.safetensors.

    Raises:
        FishNetError: If it cannot be written, or would be written over its source.
    """
    partial = out.with_name(f'{out.name}.{os.getpid()}.partial')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == '.safetensors':
            from safetensors.torch import save

            content = save(content['state_dict'], dict(content['meta'], format='pt'))
            # The library writes the metadata in an order that changes, and with it the hash.
            end = 8 + int.from_bytes(content[:8], 'little')
            header = json.dumps(json.loads(content[8:end]), sort_keys=True).encode()
            header += b' ' * (-len(header) % 8)
            partial.write_bytes(len(header).to_bytes(8, 'little') + header + content[end:])
        else:
            # To an open file: torch.save would write the name of the partial one into it, and the hash would change.
            with partial.open('wb') as opened:
                torch.save(content, opened)
        final = out.with_name(f'{out.stem}-{hashlib.sha256(partial.read_bytes()).hexdigest()[:8]}{out.suffix}')
        if final.exists() and final.samefile(source):
            raise FishNetError(f'{source} is what would be written: it is slim already')
        partial.replace(final)
    except ImportError as error:
        raise FishNetError(f'{out} needs the library safetensors: pip install safetensors') from error
    except OSError as error:
        raise FishNetError(f'{out} cannot be written: {error.strerror}') from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return final
