"""Counts what networks cost, and draws the paper's Figure 4: python tools/model_stats.py [NETWORK ...] [--figure FILE]"""

import argparse
import json
from itertools import chain
from pathlib import Path
from textwrap import fill
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from terminaltables import GithubFlavoredMarkdownTable
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from mmdet.registry import MODELS

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FISHES, FISHNEXTS
from fishnet_mmdet.models.variants import name_of

CLASSES = 1000
COUNTS = ('parameters', 'multiply_adds')
#: The side of the images that the published errors are of.
SIDE = 224
PRETRAINING = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)
DETECTION = dict(norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True, frozen_stages=0)
HEADER = (
    'network',
    'parameters',
    'with score',
    'multiply-adds',
    'with score',
    'kept, detection',
    'kept, pretraining',
    'outputs: channels x height x width',
)
NOTES = f"""
Images of {{size}}, batches of {{batch}}, float32.
score: the last layers of a classifier of {CLASSES} classes; HRNet's own is not in mmdet.
multiply-adds: of convolutions and matrix products, for one image; counters that add BN show more (FishNet-150: 0.5 %).
kept: what the backbone keeps of the batch for the backward pass, without parameters; not the peak of memory, which gradients
and the rest of a detector add to. In detection BN and the first convolutions are fixed, as in the configs (HRNet: BN alone);
FishNet then keeps what its convolutions take, the others what BN takes too. In pretraining everything learns."""


class Network(NamedTuple):
    """A row of the table."""

    title: str
    family: str
    backbone: dict
    #: Config of the classifier's last layers, if they are known.
    score: Optional[dict]
    can_freeze: bool = True


class Family(NamedTuple):
    """How networks that are drawn as one line look, and where their errors were published."""

    colour: str
    marker: str
    source: str


class Point(NamedTuple):
    """A network in the figure, with its score; the error is in percent."""

    title: str
    family: str
    parameters: int
    multiply_adds: float
    error: float


def _fishes(family: str, variants: dict) -> Dict[str, Network]:
    rows = {}
    for depth, fish in variants.items():
        backbone = dict(type=family, depth=depth, out_indices=tuple(range(fish.num_stages + 1)))
        rows[f'{family.lower()}{depth}'] = Network(name_of(fish), family, backbone, dict(type='ClassificationHead'))
    return rows


def _resnet(title: str, family: str, **backbone) -> Network:
    return Network(title, family, dict(type=family, **backbone), dict(type='LinearHead'))


def _branches(block: str, modules: int, *channels: int) -> dict:
    return dict(
        num_modules=modules, num_branches=len(channels), block=block, num_blocks=(4,) * len(channels), num_channels=channels
    )


HRNET_W32 = dict(
    stage1=_branches('BOTTLENECK', 1, 64),
    stage2=_branches('BASIC', 1, 32, 64),
    stage3=_branches('BASIC', 4, 32, 64, 128),
    stage4=_branches('BASIC', 3, 32, 64, 128, 256),
)
NETWORKS = {
    **_fishes('FishNet', FISHES),
    **_fishes('FishNeXt', FISHNEXTS),
    'resnet50': _resnet('ResNet-50', 'ResNet', depth=50),
    'resnet101': _resnet('ResNet-101', 'ResNet', depth=101),
    'resnext50_32x4d': _resnet('ResNeXt-50 32x4d', 'ResNeXt', depth=50, groups=32, base_width=4),
    'hrnet_w32': Network('HRNet-W32', 'HRNet', dict(type='HRNet', extra=HRNET_W32), None, can_freeze=False),
}

#: Published top-1 errors in percent, ImageNet-1k val, one crop of 224x224.
ERRORS = dict(
    fishnet99=22.59,
    fishnet150=21.86,
    fishnet201=21.24,
    fishnext150=21.5,
    resnet50=23.78,
    resnet101=22.30,
    resnext50_32x4d=22.2,
)
FAMILIES = {
    'FishNet': Family('#2b7bba', 'o', "the released models, README of the authors' repository"),
    'FishNeXt': Family('#2a9d6f', 'D', 'the paper, Table 1'),
    'ResNet': Family('#c0392b', 's', "the paper, section 4.2, of the authors' own pre-activation ResNets"),
    'ResNeXt': Family('#8a5fb0', '^', 'the paper, Table 1'),
    'DenseNet': Family('0.45', 'v', "README of its authors' repository"),
}
#: DenseNet is not in mmdet: its counts are those that torchvision publishes with its weights.
DENSENETS = [
    Point('DenseNet-121', 'DenseNet', 7978856, 2.83e9, 25.0),
    Point('DenseNet-169', 'DenseNet', 14149480, 3.36e9, 23.6),
    Point('DenseNet-201', 'DenseNet', 20013928, 4.29e9, 22.5),
    Point('DenseNet-161', 'DenseNet', 28681000, 7.73e9, 22.2),
]
#: Where a name may stand beside its point: offset in points, horizontal and vertical alignment. Best first, but for FishNet,
#: which the other families lie above, best last.
PLACES = (
    (8, 0, 'left', 'center'),
    (6, 5, 'left', 'bottom'),
    (0, 8, 'center', 'bottom'),
    (-6, 5, 'right', 'bottom'),
    (-8, 0, 'right', 'center'),
    (6, -5, 'left', 'top'),
    (10, -8, 'center', 'top'),
    (0, -8, 'center', 'top'),
    (-6, -5, 'right', 'top'),
)


def measure(name: str, size: Sequence[int] = (SIDE, SIDE), batch: int = 1) -> dict:
    """Counts what a network costs, without computing anything or taking memory.

    Args:
        name (str): A key of ``NETWORKS``.
        size (Sequence[int]): Height and width of the images.
        batch (int): Images in a batch.

    Returns:
        dict: The counts, to be written as JSON: 'multiply_adds' for one image, 'kept_bytes' for the batch.

    Raises:
        FishNetError: If there is no such network, or it cannot take such images.
    """
    if name not in NETWORKS:
        raise FishNetError(f'there is no network {name!r}: choose some of {", ".join(NETWORKS)}')
    if min(*size, batch) < 1:
        raise FishNetError(f'--size and --batch are 1 or more, not {size[0]} {size[1]} and {batch}')
    network = NETWORKS[name]
    with torch.device('meta'):
        image = torch.empty(batch, 3, *size)
        detection, pretraining = build(network, DETECTION), build(network, PRETRAINING)
        try:
            operations, features = count_multiply_adds(detection, image)
            kept = {
                'detection': kept_for_backward(detection, image),
                'pretraining': kept_for_backward(pretraining, image),
            }
        except (RuntimeError, ValueError) as error:
            raise FishNetError(
                f'{name} cannot learn from {batch} x {size[0]}x{size[1]} pixels ({error}): give --size multiples of 32, '
                'as mmdet pads images, 64 at least'
            ) from error
        counts = dict(parameters=count_parameters(detection), multiply_adds=operations // batch)
        with_score = dict.fromkeys(counts)
        if network.score:
            cls_head = MODELS.build(dict(network.cls_head, in_channels=features[-1].shape[1], num_classes=CLASSES))
            with_score['parameters'] = counts['parameters'] + count_parameters(cls_head)
            with_score['multiply_adds'] = (operations + count_multiply_adds(cls_head, features[-1])[0]) // batch
    return dict(
        network=name,
        title=network.title,
        size=list(size),
        batch=batch,
        **counts,
        **{f'{key}_with_score': value for key, value in with_score.items()},
        kept_bytes=kept,
        outputs=[list(feature.shape[1:]) for feature in features],
        published_top1_error=ERRORS.get(name),
        published_by=FAMILIES[network.family].source if name in ERRORS else None,
    )


def build(network: Network, settings: dict) -> nn.Module:
    """A network's backbone as in ``DETECTION`` or ``PRETRAINING``."""
    settings = {key: value for key, value in settings.items() if network.can_freeze or key != 'frozen_stages'}
    return MODELS.build({**network.backbone, **settings})


def count_parameters(net: nn.Module) -> int:
    """The parameters, whether they are frozen or not."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_multiply_adds(net: nn.Module, x: Tensor) -> Tuple[int, Sequence[Tensor]]:
    """The multiply-adds of a network's convolutions and matrix products, and what it puts out."""
    net.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = net(x)
    return counter.get_total_flops() // 2, out


def kept_for_backward(net: nn.Module, x: Tensor) -> int:
    """The bytes that a network in training keeps of a batch until the backward pass, without parameters and buffers."""
    net.train()
    storages = {}

    def keep(tensor):
        # Tensors that share memory share the object of their storage; while it is held here, its id is its own.
        storage = tensor.untyped_storage()
        storages[id(storage)] = storage

    # No backward pass follows: nothing has to be given back.
    with saved_tensors_hooks(keep, keep):
        net(x)
    own = {id(tensor.untyped_storage()) for tensor in chain(net.parameters(), net.buffers())}
    return sum(storage.nbytes() for key, storage in storages.items() if key not in own)


def format_table(rows: List[dict]) -> str:
    """What :func:`measure` returned, as a table in Markdown with its explanation below."""

    def count(value):
        return '' if value is None else f'{value:,}'

    def giga(value):
        return '' if value is None else f'{value / 1e9:.3f} G'

    lines = [
        [
            row['title'],
            count(row['parameters']),
            count(row['parameters_with_score']),
            giga(row['multiply_adds']),
            giga(row['multiply_adds_with_score']),
            *(f'{row["kept_bytes"][stage] / 2**20:,.1f} MiB' for stage in ('detection', 'pretraining')),
            ', '.join('x'.join(map(str, shape)) for shape in row['outputs']),
        ]
        for row in rows
    ]
    table = GithubFlavoredMarkdownTable([HEADER, *lines])
    table.justify_columns = dict.fromkeys(range(1, len(HEADER) - 1), 'right')
    return table.table + '\n' + NOTES.format(size='x'.join(map(str, rows[0]['size'])), batch=rows[0]['batch'])


def draw_errors(rows: List[dict]) -> Figure:
    """Draws the paper's Figure 4: published errors against parameters (left) and multiply-adds (right).

    Args:
        rows (list[dict]): What :func:`measure` returned, for images of 224x224. Networks without a published error are
            left out, and DenseNet is added.

    Returns:
        Figure: The picture.

    Raises:
        FishNetError: If the images are of another size, or no network has a published error.
    """
    points = []
    for row in rows:
        if row['network'] in ERRORS:
            counts = (row[f'{count}_with_score'] for count in COUNTS)
            points.append(Point(row['title'], NETWORKS[row['network']].family, *counts, ERRORS[row['network']]))
    if not points:
        raise FishNetError(f'none of these networks has a published error to draw: {", ".join(ERRORS)} have one')
    if any(row['size'] != [SIDE, SIDE] for row in rows):
        raise FishNetError(f'the published errors are of {SIDE}x{SIDE} images: draw the figure without --size')
    points += DENSENETS
    figure = Figure(figsize=(14, 6.6), dpi=95, layout='constrained')
    figure.suptitle("ImageNet-1k: published top-1 errors and counted costs (the paper's Figure 4)", weight='bold')
    panels = dict(zip(COUNTS, figure.subplots(1, 2, sharey=True)))
    units = dict(parameters=1e6, multiply_adds=1e9)
    for count, ax in panels.items():
        for name in dict.fromkeys(point.family for point in points):
            line = sorted((getattr(point, count) / units[count], point.error) for point in points if point.family == name)
            colour, marker, _ = FAMILIES[name]
            ax.plot(*zip(*line), color=colour, marker=marker, mfc='white' if name == 'DenseNet' else colour, ms=7, lw=1.6)
        ax.margins(0.17, 0.08)
        ax.grid(alpha=0.25)
    panels['parameters'].set(xlabel='parameters, M', ylabel=f'top-1 error in percent, one {SIDE}x{SIDE} crop')
    panels['multiply_adds'].set(xlabel=f'multiply-adds at {SIDE}x{SIDE}, G')
    figure.supxlabel(footnote(points), x=0.01, ha='left', fontsize=9, color='0.3')
    # The names need the panels in their places.
    figure.draw_without_rendering()
    for count, ax in panels.items():
        write_names(ax, [(point, getattr(point, count) / units[count]) for point in points])
    return figure


def footnote(points: List[Point]) -> str:
    """Where errors and counts in the figure are from."""
    sources = {}
    for name in dict.fromkeys(point.family for point in points):
        sources.setdefault(FAMILIES[name].source, []).append(name)
    errors = '; '.join(f'{", ".join(names)}: {source}' for source, names in sources.items())
    return (
        fill(f'Errors. {errors}.', 180) + '\n'
        f'Counts, with the score of {CLASSES} classes. Filled: measured by tools/model_stats.py, ResNet and ResNeXt as mmdet '
        'has them; hollow: published by torchvision.'
    )


def write_names(ax: Axes, points: Sequence[Tuple[Point, float]]) -> None:
    """Writes the names beside their points, each where it covers least of the other names, the points and the lines.

    Args:
        ax (Axes): A panel with its lines, in its place.
        points (Sequence[tuple[Point, float]]): The points with their x.
    """
    lines = np.concatenate([pixels_along(line) for line in ax.lines])
    marks = ax.transData.transform([(x, point.error) for point, x in points])
    written = []
    for point, x in points:
        look = dict(color=FAMILIES[point.family].colour, fontsize=10, in_layout=False)
        halo = [withStroke(linewidth=3, foreground='white')]
        text = ax.annotate(point.title, (x, point.error), (0, 0), textcoords='offset points', path_effects=halo, **look)

        def put(place, text=text):
            text.xyann = place[:2]
            text.set(ha=place[2], va=place[3])
            return text.get_window_extent()

        def covered(place, put=put):
            box = put(place)
            outside = ax.bbox.count_contains(box.corners()) < 4
            covers = box.padded(2).count_overlaps(written), box.padded(6).count_contains(marks), box.count_contains(lines)
            return (outside, *covers)

        written.append(put(min(PLACES[::-1] if point.family == 'FishNet' else PLACES, key=covered)))


def pixels_along(line: Line2D) -> np.ndarray:
    """Points along a line, about as close as pixels."""
    corners = line.get_transform().transform(line.get_xydata())
    steps = np.linspace(0, len(corners) - 1, 1000)
    return np.stack([np.interp(steps, range(len(corners)), column) for column in corners.T], axis=1)


def write(file: Path, save: Callable[[Path], object], option: str, ending: str) -> None:
    """Writes a file with a function that takes its path.

    Raises:
        FishNetError: If it cannot be written.
    """
    try:
        save(file)
    except (OSError, ValueError) as error:
        raise FishNetError(
            f'{file} cannot be written ({error}): give {option} a file name that ends with {ending}, in a folder that is there'
        ) from error


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description='Counts parameters, multiply-adds, activations and outputs of the variants of FishNet and of others.'
    )
    parser.add_argument('networks', nargs='*', metavar='NETWORK', help=f'some of {", ".join(NETWORKS)} (default: all)')
    parser.add_argument(
        '--size', type=int, nargs=2, default=[SIDE, SIDE], metavar=('H', 'W'), help=f'of the images (default: {SIDE} {SIDE})'
    )
    parser.add_argument('--batch', type=int, default=1, metavar='N', help='images in a batch (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the exact counts here too')
    parser.add_argument('--figure', type=Path, metavar='FILE', help="draw the paper's Figure 4 here")
    args = parser.parse_args()
    rows = [measure(name, args.size, args.batch) for name in args.networks or NETWORKS]
    print(format_table(rows))
    if args.json:
        write(args.json, lambda file: file.write_text(json.dumps(rows, indent=1) + '\n'), '--json', '.json')
    if args.figure:
        write(args.figure, draw_errors(rows).savefig, '--figure', '.png')


if __name__ == '__main__':
    launch.run(main)
