"""Shows what a checkpoint holds: python tools/inspect_checkpoint.py FILE"""

import argparse
import re

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.checkpoints.fetching import local_file
from fishnet_mmdet.checkpoints.reading import file_format, read_checkpoint, some, weights_in
from fishnet_mmdet.checkpoints.recognise import recognise

#: What mmengine's Runner logs of a validation that is an accuracy.
ACCURACY = r'val/.*(acc|top\d|mAP)[^/]*'
STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(description='Show which FishNet a checkpoint holds, and what else')
    parser.add_argument('checkpoint', help='file or address')
    parser.add_argument('--prefix', help='what the names of the backbone begin with, where there are several')
    return parser.parse_args()


def main():
    """Reads, recognises, prints."""
    args = parse_args()
    print('\n'.join(report(args.checkpoint, args.prefix)))


def report(checkpoint, prefix=None):
    """The lines that say what a checkpoint holds.

    Raises:
        FishNetError: If it cannot be read, or holds no FishNet.
    """
    file = local_file(checkpoint)
    content = read_checkpoint(file)
    weights = weights_in(content, file)
    found = recognise(weights, file, prefix)
    loader = f"init_cfg=dict(type='FishNetPretrained', checkpoint={checkpoint!r}{f', prefix={prefix!r}' if prefix else ''})"
    network = found.architecture
    if network.depth:
        loader = f'type={network.type!r}, depth={network.depth}, {loader}'
    yield f'file          {file}, {file.stat().st_size / 1e6:.1f} MB, format: {file_format(file)}'
    yield f'holds         {found.description}'
    yield f'architecture  {network.name}'
    yield f'training      {", ".join(training(content)) or "nothing recorded"}'
    for part in ('backbone', 'cls_head', 'other'):
        yield f'{part:14}{summary(getattr(found, part))}'
    yield f'in a config   {loader}'
    yield ''
    yield f'{"part":24}{"tensors":>8}{"parameters":>14}'
    for part, tensors in by_part(found.backbone).items():
        yield f'{part:24}{len(tensors):8}{parameters(tensors):14,}'


def training(content):
    """What a checkpoint records of its training: epoch, iteration, accuracies."""
    meta = content.get('meta')
    counts = {**(meta if isinstance(meta, dict) else {}), **content}
    for name, key in (('epoch', 'epoch'), ('iteration', 'iter')):
        if isinstance(counts.get(key), int):
            yield f'{name} {counts[key]}'
    accuracy = number(content.get('best_prec1'))
    if accuracy is not None:
        yield f'best_prec1 {accuracy:g}'
    hub = content.get('message_hub')
    scalars = hub.get('log_scalars') if isinstance(hub, dict) else None
    for name, history in (scalars or {}).items():
        if re.fullmatch(ACCURACY, name):
            yield f'{name} {history.current():g}'


def number(value):
    """A number from what may be one, or a tensor or array of one; None from anything else."""
    try:
        return float(value.item() if hasattr(value, 'item') else value)
    except (TypeError, ValueError, RuntimeError):
        return None


def summary(tensors):
    """In one line how many tensors there are, of which types, and whether they are finite."""
    if not tensors:
        return 'none'
    types = sorted({str(tensor.dtype).replace('torch.', '') for name, tensor in tensors.items() if 'num_batches' not in name})
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    state = f'NaN or infinite in {len(broken)}: {some(broken)}' if broken else 'finite'
    return f'{len(tensors)} tensors, {parameters(tensors):,} parameters, {", ".join(types)}, {state}'


def parameters(tensors):
    """How many numbers are learned; the statistics of BN are not."""
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(STATISTICS))


def by_part(backbone):
    """The tensors of a FishNet by stem, bridge and the stages of tail, body and head."""
    parts = {}
    for name, tensor in backbone.items():
        part = re.match(r'(?:tail|body|head)\.stage\d+|\w+', name)[0]
        parts.setdefault(part, {})[name] = tensor
    return parts


if __name__ == '__main__':
    launch.run(main)
