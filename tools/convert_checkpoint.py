"""Makes a slim file of a checkpoint's FishNet: python tools/convert_checkpoint.py IN OUT"""

import argparse
import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None

import torch

from fishnet_mmdet import FishNet
from fishnet_mmdet.checkpoints.fetching import local_file
from fishnet_mmdet.checkpoints.fitting import COUNT, check_finite, differences
from fishnet_mmdet.checkpoints.reading import read_checkpoint, weights_in
from fishnet_mmdet.checkpoints.recognise import recognise
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FISHES, FISHNEXTS

SUFFIXES = ('.pth', '.safetensors')


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(
        description='Write the FishNet of a checkpoint, as plain tensors, to a file with the beginning of its hash in its name'
    )
    parser.add_argument('checkpoint', metavar='IN', help='file or address: released, of a classifier or detector, plain')
    parser.add_argument('out', metavar='OUT', help='NAME.pth or NAME.safetensors; NAME-HASH.pth is written')
    parser.add_argument('--with-cls-head', action='store_true', help='keep the classification head too, for tools/test.py')
    parser.add_argument('--prefix', help='what the names of the backbone begin with, where there are several')
    return parser.parse_args()


def main():
    """Reads, recognises, writes."""
    args = parse_args()
    print(convert(args.checkpoint, Path(args.out), args.with_cls_head, args.prefix))


def convert(checkpoint, out, with_cls_head=False, prefix=None):
    """Writes the FishNet of a checkpoint to a file of its own and returns the file.

    Raises:
        FishNetError: If the checkpoint cannot be read or holds no whole FishNet of finite weights, or the file cannot be
            written.
    """
    if out.suffix not in SUFFIXES:
        raise FishNetError(f'{out} must end with {" or ".join(SUFFIXES)}: that says in which format to write')
    source = local_file(checkpoint)
    found = recognise(weights_in(read_checkpoint(source), source), source, prefix)
    if with_cls_head and not found.cls_head:
        raise FishNetError(f'{source} holds {found.description}: there is no classification head to keep')
    check_whole(found, source)
    weights = found.backbone
    if with_cls_head:
        weights = {
            **{f'backbone.{name}': tensor for name, tensor in found.backbone.items()},
            **{f'cls_head.{name}': tensor for name, tensor in found.cls_head.items()},
        }
    check_finite(weights, source)
    meta = dict(arch=found.architecture.name, source=source.name)
    return write(dict(meta=meta, state_dict=plain(weights)), out, source)


def check_whole(found, source):
    """Checks a FishNet of a known depth: no tensor may be missing but those of the head's end, which a detector may leave out.

    Raises:
        FishNetError: If one is, or has another shape.
    """
    if not found.architecture.depth:
        return
    fish = (FISHES if found.architecture.type == 'FishNet' else FISHNEXTS)[found.architecture.depth]
    last = max((int(stage) for stage in re.findall(r'head\.stage(\d+)\.refine', ' '.join(found.backbone))), default=0)
    if not last or any(name.startswith(f'head.stage{last}.transfer') for name in found.backbone):
        outputs = dict(out_indices=(last,), head_output='concat')
    else:
        outputs = dict(out_indices=(last - 1,))
    norm = 'BN' if any(name.endswith('running_mean') for name in found.backbone) else 'GN'
    norm_cfg = dict(type=norm) if norm == 'BN' else dict(type=norm, num_groups=1)
    with torch.device('meta'):
        whole = FishNet(arch=fish, norm_cfg=norm_cfg, **outputs).state_dict()
    if problem := differences(found.backbone, whole, [name for name in found.backbone if name not in whole]):
        raise FishNetError(f'{source} holds {found.description}, and not the whole of it: {problem}')


def plain(weights):
    """The tensors without anything around them that a file would keep, and with the counts of BN where they are missing."""
    tensors = {}
    for name, tensor in weights.items():
        tensors[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        count = name.replace('running_var', COUNT)
        if name.endswith('running_var') and count not in weights:
            tensors[count] = torch.zeros((), dtype=torch.int64)
    return tensors


def write(content, out, source):
    """Writes a checkpoint to a file beside its own, which then takes its place, named with the beginning of its hash.

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


if __name__ == '__main__':
    launch.run(main)
