"""inspect: shows which FishNet a checkpoint holds, and its other contents."""

import re
from typing import Dict, Iterator, List, Optional, Sequence

from mmengine.logging import HistoryBuffer
from torch import Tensor

from ..checkpoints.architecture import detect
from ..checkpoints.first_convolution import FIRST
from ..checkpoints.locate import local_file
from ..checkpoints.matching import extremes_of
from ..checkpoints.reading import file_format, read_checkpoint, weights_in
from ..checkpoints.text import shown, some
from ..checkpoints.urls import printable
from .arguments import Parser, add_checkpoint_options

#: What mmengine's Runner logs of a validation that is an accuracy.
ACCURACY = r'val/.{0,100}(acc|top\d|mAP)[^/]{0,100}'
STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prints the report on a checkpoint."""
    parser = Parser(description='Show which FishNet a checkpoint holds, and its other contents')
    parser.add_argument('checkpoint', metavar='FILE', help='file, URL or name of published weights')
    add_checkpoint_options(parser)
    args = parser.parse_args(argv)
    print('\n'.join(report(args.checkpoint, args.prefix)))


def report(checkpoint: str, prefix: Optional[str] = None) -> List[str]:
    """The lines of the report on a checkpoint.

    Args:
        checkpoint (str): A name of published weights, a path or a URL.
        prefix (str, optional): What the names of the backbone's tensors begin with, where there are several FishNets.

    Raises:
        FishNetError: If it cannot be read, or holds no FishNet.
    """
    file = local_file(checkpoint)
    content = read_checkpoint(file)
    weights = weights_in(content, file)
    found = detect(weights, file, prefix)
    options = f'checkpoint={printable(checkpoint)!r}' + (f', prefix={prefix!r}' if prefix else '')
    loader = f"init_cfg=dict(type='FishNetPretrained', {options})"
    network = found.architecture
    channels = found.backbone[FIRST].shape[1] if FIRST in found.backbone else 3
    if channels != 3:
        loader = f'in_channels={channels}, {loader}'
    if network.depth:
        loader = f'type={network.type!r}, depth={network.depth}, {loader}'
    lines = [
        f'file          {file}, {file.stat().st_size / 1e6:.1f} MB, format: {file_format(file)}',
        f'holds         {found.description}',
        f'architecture  {network.name}',
        f'training      {", ".join(training(content)) or "nothing recorded"}',
        *(f'{part:14}{summary(getattr(found, part))}' for part in ('backbone', 'cls_head', 'other')),
        f'in a config   {loader}',
        '',
        f'{"part":24}{"tensors":>8}{"parameters":>14}',
    ]
    for part, tensors in by_part(found.backbone).items():
        lines.append(f'{part:24}{len(tensors):8}{parameters(tensors):14,}')
    return lines


def training(content: dict) -> Iterator[str]:
    """What a checkpoint records of its training: epoch, iteration, accuracies."""
    meta = content.get('meta')
    counts = {**(meta if isinstance(meta, dict) else {}), **content}
    for name, key in (('epoch', 'epoch'), ('iteration', 'iter')):
        if isinstance(counts.get(key), int):
            yield f'{name} {shown(str(counts[key]))}'
    accuracy = number(content.get('best_prec1'))
    if accuracy is not None:
        yield f'best_prec1 {accuracy:g}'
    hub = content.get('message_hub')
    scalars = hub.get('log_scalars') if isinstance(hub, dict) else None
    for name, history in scalars.items() if isinstance(scalars, dict) else ():
        if re.fullmatch(ACCURACY, str(name)) and isinstance(history, HistoryBuffer) and len(history.data[0]):
            yield f'{shown(str(name))} {history.current():g}'


def number(value: object) -> Optional[float]:
    """A number from what may be one, or a tensor or array of one; None from anything else."""
    try:
        return float(value.item() if hasattr(value, 'item') else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def summary(tensors: Dict[str, Tensor]) -> str:
    """In one line how many tensors there are, of which types, and whether they are finite."""
    if not tensors:
        return 'none'
    types = sorted({str(tensor.dtype).replace('torch.', '') for name, tensor in tensors.items() if 'num_batches' not in name})
    extremes = {name: extremes_of(tensor) for name, tensor in tensors.items()}
    broken = [name for name, numbers in extremes.items() if numbers is not None and not numbers.isfinite().all()]
    state = f'NaN or infinite in {len(broken)}: {some(broken)}' if broken else 'finite'
    return f'{len(tensors)} tensors, {parameters(tensors):,} parameters, {", ".join(types)}, {state}'


def parameters(tensors: Dict[str, Tensor]) -> int:
    """How many numbers are learned; the statistics of BN are not."""
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(STATISTICS))


def by_part(backbone: Dict[str, Tensor]) -> Dict[str, Dict[str, Tensor]]:
    """The tensors of a FishNet by stem, bridge and the stages of tail, body and head."""
    parts = {}
    for name, tensor in backbone.items():
        part = re.match(r'(?:tail|body|head)\.stage\d{1,2}|\w+', name)[0]
        parts.setdefault(part, {})[name] = tensor
    return parts
