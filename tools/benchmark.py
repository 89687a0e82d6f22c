"""Compares the time and memory of backbones: python tools/benchmark.py [NETWORK ...] [--size HxW ...] [--plot FILE]"""

import argparse
import copy
import ctypes
import json
import os
import platform
import re
import sys
import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from model_stats import DETECTION, FAMILIES, NETWORKS, PRETRAINING, build, kept_for_backward, write
from terminaltables import GithubFlavoredMarkdownTable
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet, Unit
from fishnet_mmdet.engine import launch
from fishnet_mmdet.errors import FishNetError

DEFAULT = ('fishnet150', 'plain_fishnet150', 'resnet50', 'resnet101', 'resnext50_32x4d', 'hrnet_w32')
SETTINGS = dict(detection=DETECTION, pretraining=PRETRAINING)
STEPS = dict(forward=('forward',), train=('train',), both=('forward', 'train'))
#: The networks' dtype, and that of autocast.
DTYPES = dict(
    float32=(torch.float32, None),
    float64=(torch.float64, None),
    bfloat16=(torch.float32, torch.bfloat16),
    float16=(torch.float32, torch.float16),
)
#: What may stand behind a name and @.
LAYOUTS = {'': torch.preserve_format, 'channels_last': torch.channels_last}
NOTES = """
time: median of {rounds} rounds, after two that do not count; in each round every network takes its turn. ratio: median of the
rounds' ratios. train: forward and backward from given gradients of the outputs, no optimizer. kept: for the backward pass,
without parameters, but with autocast's copies of them. peak: the most memory of a step beyond what was taken before it, with
the gradients of the parameters."""
HEADLINE = '{machine}; {setting}, {dtype}; {versions}'
NAMES = (
    'Networks: those of tools/model_stats.py; plain_fishnet99, 150 and 201, module by module; pytorchcv_fishnet99 and 150, of '
    'that package; convolutions_NETWORK, only these, the least that it can take; NETWORK@channels_last, weights and images in '
    'that layout.'
)
HRNET = '#b9770e', 'P'
LINES = ('-', '--', ':', '-.')
#: What is drawn, and in what unit.
QUANTITIES = (
    ('median_seconds', 'time of a step', 1e-3, 'ms'),
    ('peak_bytes', 'peak of memory', 2**20, 'MiB'),
    ('kept_bytes', 'kept for the backward pass', 2**20, 'MiB'),
)


class Case(NamedTuple):
    """What the networks are compared in."""

    step: str
    height: int
    width: int
    batch: int

    @property
    def images(self) -> str:
        """'2 x 800x1344' pixels."""
        return f'{self.batch} x {self.height}x{self.width}'

    @property
    def pixels(self) -> int:
        """Those of the batch."""
        return self.height * self.width * self.batch


class Foreign(nn.Module):
    """A backbone that knows nothing of ``SETTINGS``: its BN, and the first convolutions, are fixed from outside."""

    def __init__(self, net: nn.Module, stem: Sequence[nn.Module], settings: dict) -> None:
        super().__init__()
        self.net = net
        self.norm_eval = settings['norm_eval']
        for norm in norms(net):
            norm.requires_grad_(settings['norm_cfg'].get('requires_grad', True))
        for part in stem:
            part.requires_grad_(settings['frozen_stages'] < 0)

    def train(self, mode: bool = True) -> 'Foreign':
        """Sets training mode, but for fixed BN."""
        super().train(mode)
        for norm in norms(self):
            norm.train(mode and not self.norm_eval)
        return self


class Plain(Foreign):
    """The released network module by module, nothing fused, in place or in another layout."""

    def __init__(self, depth: int, settings: dict) -> None:
        net = ReleasedFishNet(depth)
        score = net.fish.fish[9]
        score[3], score[4] = nn.Identity(), nn.Identity()
        for unit in net.modules():
            # Otherwise it adds 0 to its input, in a pass over memory that takes some percent of the time.
            if isinstance(unit, Unit) and unit.k == 1 and not hasattr(unit, 'shortcut'):
                unit.shortcut = nn.Identity()
        super().__init__(net, [net.conv1, net.conv2, net.conv3], settings)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """What FishNet puts out."""
        features, refined, _ = self.net(image)
        return refined[7], refined[8], refined[9], features[10]


class PytorchCV(Foreign):
    """The network of the package pytorchcv."""

    def __init__(self, depth: int, settings: dict) -> None:
        try:
            from pytorchcv.models.fishnet import get_fishnet
        except ImportError as error:
            raise FishNetError(f'pytorchcv_fishnet{depth} needs pytorchcv ({error}): pip install pytorchcv') from error
        features = get_fishnet(depth).features
        super().__init__(nn.Sequential(features.init_block, features.hg), [features.init_block], settings)
        self.refined = []
        for unit in features.hg.down2_seq:
            unit.blocks.register_forward_hook(lambda module, inputs, out: self.refined.append(out))

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """What FishNet puts out."""
        last = self.net(image)
        outputs = (*self.refined, last)
        self.refined.clear()
        return outputs


#: Modules that are computed one after another, each with its input.
Parts = List[Tuple[nn.Module, Tensor]]


def whole(net: nn.Module, image: Tensor) -> Parts:
    """A network as it is."""
    return [(net, image)]


def convolutions(net: nn.Module, image: Tensor) -> Parts:
    """A network's convolutions alone, each on an input of its own shape: what remains if all else took no time."""
    calls, inputs = [], {}
    # A copy that computes nothing, and is not compiled.
    shadow = copy.deepcopy(net).to('meta')
    shadow.train()
    for name, module in shadow.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, x, name=name: calls.append((name, (x[0].shape, x[0].requires_grad))))
    shadow(image.to('meta'))
    for shape, learns in {key for _, key in calls}:
        x = torch.randn(shape, dtype=image.dtype, device=image.device).contiguous(memory_format=torch.channels_last)
        inputs[shape, learns] = x.requires_grad_(learns)
    net.to(memory_format=torch.channels_last)
    return [(net.get_submodule(name), inputs[key]) for name, key in calls]


class Entry(NamedTuple):
    """A name that can be given."""

    title: str
    #: Makes the backbone in one of ``SETTINGS``.
    make: Callable[[dict], nn.Module]
    #: What of it is computed for images.
    split: Callable[[nn.Module, Tensor], Parts] = whole


ENTRIES = {name: Entry(network.title, partial(build, network)) for name, network in NETWORKS.items()}
ENTRIES.update({f'plain_fishnet{depth}': Entry(f'FishNet-{depth}, plain', partial(Plain, depth)) for depth in (99, 150, 201)})
ENTRIES.update({f'pytorchcv_fishnet{n}': Entry(f'FishNet-{n}, pytorchcv', partial(PytorchCV, n)) for n in (99, 150)})
for _name, _network in NETWORKS.items():
    ENTRIES[f'convolutions_{_name}'] = Entry(f'{_network.title}, convolutions', partial(build, _network), convolutions)


class Candidate:
    """A network that takes its turns: its name, what it computes, and the arguments of the command."""

    def __init__(self, name: str, case: Case, args: argparse.Namespace) -> None:
        self.name, self.device, self.learns = name, args.device, case.step == 'train'
        dtype, half = DTYPES[args.dtype]
        self.autocast = torch.autocast(args.device, half, enabled=half is not None)
        (_, make, split), layout = lookup(name)
        like = dict(dtype=dtype, device=args.device, memory_format=layout)
        self.net = make(SETTINGS[args.setting]).to(**like)
        self.net.train(self.learns)
        for norm in norms(self.net):
            # Fixed at the identity, on random weights, BN would let the activations grow without bounds.
            norm.running_var.fill_(1.7)
        if args.compile:
            self.net.compile(dynamic=False)
        self.parts = split(self.net, torch.randn(case.batch, 3, case.height, case.width).to(**like))
        self.gradients: Dict[torch.Size, Tensor] = {}
        self.seconds: List[float] = []
        self.kept = self.peak = None

    def step(self) -> float:
        """Takes the step, and returns its seconds."""
        synchronize = torch.cuda.synchronize if self.device == 'cuda' else nullcontext
        synchronize()
        begin = time.perf_counter()
        for module, x in self.parts:
            with torch.set_grad_enabled(self.learns), self.autocast:
                out = module(x)
            if self.learns:
                outputs = [one for one in ([out] if isinstance(out, Tensor) else out) if one.requires_grad]
                torch.autograd.backward(outputs, list(map(self.gradient, outputs)))
                x.grad = None
        synchronize()
        seconds = time.perf_counter() - begin
        self.net.zero_grad()
        return seconds

    def gradient(self, out: Tensor) -> Tensor:
        """A random gradient, the same each time, in the output's layout: it is a neck's too that is given the output."""
        if out.shape not in self.gradients:
            self.gradients[out.shape] = torch.randn_like(out).mul_(1e-3)
        return self.gradients[out.shape]

    def measure_time(self) -> None:
        """Takes a step for its time."""
        self.seconds.append(self.step())

    def measure_memory(self) -> None:
        """Takes a step for its memory, of which convolutions alone say nothing."""
        if len(self.parts) == 1:
            if self.learns:
                with self.autocast:
                    self.kept = kept_for_backward(*self.parts[0])
            self.peak = peak_of(self.step, self.device)


def norms(net: nn.Module) -> Iterator[nn.Module]:
    """The BN layers."""
    return (module for module in net.modules() if isinstance(module, _BatchNorm))


def lookup(name: str) -> Tuple[Entry, torch.memory_format]:
    """The entry and the layout of a name, which also may be wrong.

    Raises:
        FishNetError: If there is no such network or layout.
    """
    network, _, layout = name.partition('@')
    if network not in ENTRIES:
        raise FishNetError(f'there is no network {network!r}: choose some of {", ".join(ENTRIES)}')
    if layout not in LAYOUTS:
        raise FishNetError(f'there is no layout {layout!r}: {network}@channels_last, or {network} for its own')
    return ENTRIES[network], LAYOUTS[layout]


def peak_of(call: Callable[[], object], device: str) -> Optional[int]:
    """The most bytes that a call takes, beyond what is taken before it; None where the system does not tell."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        # What is free but still held would not count when it is taken again.
        ctypes.CDLL(None).malloc_trim(0)
        # 5 sets the peak back to what is resident now: proc(5).
        Path('/proc/self/clear_refs').write_text('5')
    except (AttributeError, OSError, TypeError):
        return None
    before = resident('VmRSS')
    call()
    return resident('VmHWM') - before


def resident(kind: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most."""
    return 1024 * int(re.search(rf'{kind}:\s+(\d+) kB', Path('/proc/self/status').read_text())[1])


@contextmanager
def explained(name: str, case: Case, args: argparse.Namespace) -> Iterator[None]:
    """Turns what torch raises into a message that says which network it was, and what to do."""
    try:
        yield
    except FishNetError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = ' '.join(str(error).split())[:300]
        hint = 'give sizes that are multiples of 32, as mmdet pads images, 64 at least, and a --dtype that the device has'
        if isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in reason:
            hint = 'memory is short, take a smaller --size or --batch'
        elif args.compile:
            hint = 'it may do so without --compile'
        raise FishNetError(
            f'{name} cannot compute {case.step}, {case.images}, {args.dtype} on {args.device} ({reason}): {hint}'
        ) from error


def compare(case: Case, args: argparse.Namespace, report: Callable[[Case, str], None]) -> List[dict]:
    """Lets the networks take turns in a case.

    Returns:
        list[dict]: A result for each name, to be written as JSON.

    Raises:
        FishNetError: If a network cannot compute the case.
    """
    torch.compiler.reset()
    candidates = []
    for name in args.networks:
        with explained(name, case, args):
            candidates.append(Candidate(name, case, args))
    rounds = [(f'round {number} of {args.rounds}', Candidate.measure_time) for number in range(1, args.rounds + 1)]
    for title, turn in [('warm-up', Candidate.step), ('memory', Candidate.measure_memory), *rounds]:
        for one in candidates:
            with explained(one.name, case, args):
                turn(one)
        report(case, title)
    return [
        dict(
            network=one.name,
            title=lookup(one.name)[0].title + one.name.partition('@')[2].replace('channels_last', ', channels-last'),
            **case._asdict(),
            images=case.images,
            pixels=case.pixels,
            seconds=one.seconds,
            median_seconds=median(one.seconds),
            ratio=median(mine / first for mine, first in zip(one.seconds, candidates[0].seconds)),
            kept_bytes=one.kept,
            peak_bytes=one.peak,
        )
        for one in candidates
    ]


def make_report(cases: Sequence[Case], rounds: int) -> Callable[[Case, str], None]:
    """A function that prints what is done, with the time left."""
    # A training step takes about three times as long.
    shares = {case: case.pixels * (3 if case.step == 'train' else 1) for case in cases}
    left, begin = sum(shares[case] for case in cases) * (rounds + 2), time.monotonic()
    total = left

    def report(case, title):
        nonlocal left
        left -= shares[case]
        minutes = (time.monotonic() - begin) / 60 * left / (total - left)
        print(f'{case.step}, {case.images}: {title} done ({minutes:.1f} min left)', file=sys.stderr, flush=True)

    return report


def describe(args: argparse.Namespace) -> dict:
    """What the results are of, beside the cases."""
    info = Path('/proc/cpuinfo')
    model = re.search(r'model name\s*:\s*(.+)', info.read_text() if info.is_file() else '')
    processor = f'{model[1] if model else platform.machine()}, {torch.get_num_threads()} threads'
    versions = (f'{package} {version(package)}' for package in ('torch', 'mmcv', 'mmdet', 'fishnet_mmdet'))
    return dict(
        machine=torch.cuda.get_device_name() if args.device == 'cuda' else processor,
        versions=', '.join(versions),
        setting=args.setting,
        dtype=args.dtype + (', compiled' if args.compile else ''),
        rounds=args.rounds,
    )


def format_table(results: List[dict], about: dict) -> str:
    """The results in Markdown, with what they are of above and what they mean below."""

    def mebi(count):
        return '' if count is None else f'{count / 2**20:,.1f} MiB'

    header = ['images', 'step', 'network', 'time', 'min ... max', f'ratio to {results[0]["title"]}', 'kept', 'peak']
    lines = [
        [
            row['images'],
            row['step'],
            row['title'],
            f'{1e3 * row["median_seconds"]:,.1f} ms',
            f'{1e3 * min(row["seconds"]):,.1f} ... {1e3 * max(row["seconds"]):,.1f}',
            f'{row["ratio"]:.3f}',
            mebi(row['kept_bytes']),
            mebi(row['peak_bytes']),
        ]
        for row in results
    ]
    table = GithubFlavoredMarkdownTable([header, *lines])
    table.justify_columns = dict.fromkeys(range(3, len(header)), 'right')
    return f'{HEADLINE}\n\n{table.table}\n{NOTES}'.format(**about)


def draw(results: List[dict], about: dict) -> Figure:
    """Draws time and memory, a row for each step: against the pixels of a batch where these differ, otherwise as bars."""
    steps = list(dict.fromkeys(row['step'] for row in results))
    columns = [quantity for quantity in QUANTITIES if any(row[quantity[0]] is not None for row in results)]
    looks = looks_of(dict.fromkeys(row['title'] for row in results))
    several = len({row['pixels'] for row in results}) > 1
    figure = Figure(figsize=(14, 1 + len(steps) * (4.4 if several else 1 + 0.34 * len(looks))), dpi=95, layout='constrained')
    figure.suptitle('Backbones: time and memory' + ('' if several else f' of {results[0]["images"]} pixels'), weight='bold')
    figure.supxlabel(HEADLINE.format(**about), x=0.01, ha='left', fontsize=9, color='0.3')
    panels = figure.subplots(len(steps), len(columns), squeeze=False, sharey=not several)
    for (i, step), (j, (key, name, unit, symbol)) in product(enumerate(steps), enumerate(columns)):
        rows = [dict(row, value=row[key] / unit) for row in results if row['step'] == step and row[key] is not None]
        if rows:
            (draw_lines if several else draw_bars)(panels[i, j], rows, looks, symbol)
            panels[i, j].set(title=f'{step}: {name}', axisbelow=True)
            panels[i, j].grid(alpha=0.25)
        else:
            panels[i, j].remove()
    if several:
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc='outside right upper', frameon=False)
    return figure


def looks_of(titles: Iterable[str]) -> Dict[str, dict]:
    """How networks are drawn: in their family's colour and marker, each next one of it paler and hollow."""
    looks, seen = {}, Counter()
    for title in titles:
        family = title.partition('-')[0]
        colour, marker = FAMILIES[family][:2] if family in FAMILIES else HRNET
        number = seen[family]
        seen[family] += 1
        colour = tuple(1 - (1 - channel) * 0.7**number for channel in to_rgb(colour))
        looks[title] = dict(color=colour, marker=marker, mfc='white' if number else colour, ls=LINES[number % len(LINES)])
    return looks


def draw_lines(ax: Axes, rows: List[dict], looks: Dict[str, dict], unit: str) -> None:
    """Values against pixels, logarithmic."""
    for title, look in looks.items():
        points = sorted((row['pixels'] / 1e6, row['value']) for row in rows if row['title'] == title)
        ax.plot([x for x, _ in points], [y for _, y in points], **look, ms=7, lw=1.6, label=title)
    ax.set(xscale='log', yscale='log', xlabel='pixels of a batch, millions', ylabel=unit)
    for axis, digits in ((ax.xaxis, (1, 2, 5)), (ax.yaxis, (1, 1.5, 2, 3, 5, 7))):
        axis.set_major_locator(LogLocator(subs=digits))
        axis.set_major_formatter('{x:,g}')
        axis.set_minor_locator(NullLocator())


def draw_bars(ax: Axes, rows: List[dict], looks: Dict[str, dict], unit: str) -> None:
    """A bar for each network, the first on top."""
    places, values = [list(looks).index(row['title']) for row in rows], [row['value'] for row in rows]
    bars = ax.barh(places, values, color=[looks[row['title']]['color'] for row in rows], height=0.7)
    ax.bar_label(bars, fmt='{:,.1f}', padding=3, fontsize=9)
    ax.margins(x=0.17)
    ax.set(xlabel=unit, ylim=(len(looks) - 0.5, -0.5))
    ax.set_yticks(range(len(looks)), looks)


def parse_args() -> argparse.Namespace:
    """The arguments.

    Raises:
        FishNetError: If one has a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description='Compares time and memory of backbones.', epilog=NAMES)
    add = parser.add_argument
    add(
        'networks',
        nargs='*',
        default=DEFAULT,
        metavar='NETWORK',
        help=f'ratios are to the first (default: {" ".join(DEFAULT)})',
    )
    add('--step', choices=STEPS, default='both', help='default: %(default)s')
    add('--setting', choices=SETTINGS, default='detection', help='fixed BN and stem, or all learns (default: %(default)s)')
    add('--size', nargs='+', default=['224x224'], metavar='HxW', help='of the images (default: 224x224, for a laptop)')
    add('--batch', type=int, nargs='+', default=[1], metavar='N', help='images in a batch (default: 1)')
    add('--dtype', choices=DTYPES, default='float32', help='bfloat16 and float16 by autocast (default: %(default)s)')
    add('--compile', action='store_true', help='torch.compile the networks, for every size anew')
    add('--rounds', type=int, default=5, metavar='N', help='turns that are timed (default: %(default)s)')
    add('--threads', type=int, metavar='N', help="of the CPU (default: torch's)")
    add('--device', choices=['cpu', 'cuda'], help='default: cuda where there is one')
    add('--json', type=Path, metavar='FILE', help='write the results here too, with the time of every step')
    add('--plot', type=Path, metavar='FILE', help='draw them here')
    args = parser.parse_args()
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise FishNetError('--device cuda: torch finds no CUDA device here; --device cpu is always there')
    for option, least in (('--batch', min(args.batch)), ('--rounds', args.rounds), ('--threads', args.threads)):
        if least is not None and least < 1:
            raise FishNetError(f'{option} is 1 or more, not {least}')
    for name in args.networks:
        lookup(name)
    sizes = [re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', size) for size in args.size]
    if not all(sizes):
        raise FishNetError(f'--size is height x width in pixels, 800x1344 say, not {" ".join(args.size)}')
    args.size = [tuple(map(int, size.groups())) for size in sizes]
    # What cannot be written is better known before the work.
    if args.json:
        write(args.json, Path.touch, '--json', '.json')
    if args.plot:
        write(args.plot, Path.touch, '--plot', '.png')
        write(args.plot, lambda file: Figure().savefig(os.devnull, format=file.suffix[1:]), '--plot', '.png')
    return args


def main() -> None:
    """Runs the command."""
    args = parse_args()
    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    cases = [Case(step, *size, batch) for size, batch, step in product(args.size, args.batch, STEPS[args.step])]
    report = make_report(cases, args.rounds)
    results = [row for case in cases for row in compare(case, args, report)]
    about = describe(args)
    print(format_table(results, about))
    if args.json:
        text = json.dumps(dict(about, results=results), indent=1)
        write(args.json, lambda file: file.write_text(text + '\n'), '--json', '.json')
    if args.plot:
        write(args.plot, draw(results, about).savefig, '--plot', '.png')


if __name__ == '__main__':
    launch.run(main)
