"""benchmark_onnx: times a checkpoint beside the model files that were exported from it."""

import importlib.util
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import List, Optional, Sequence

import torch
from mmengine.config import Config
from terminaltables import GithubFlavoredMarkdownTable

from ..analysis.runtimes import Candidate, compare, describe
from ..deploy.images import read_image
from ..deploy.metadata import read_metadata
from ..deploy.session import RUNTIMES
from ..engine.checks import check_checkpoint
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from ..errors import FishNetError
from ..inference import ENDING, TRAINED, find_model
from .arguments import Parser, add_config_options, new_file, whole
from .outputs import parse_size, save_json

#: The runtimes of the checkpoint, and whether the networks are compiled.
PYTORCH = dict(pytorch=False, compiled=True)
NOTES = """
start: from a new process to the first result, files in the system's cache; exported models without torch and mmdet. time:
median of {rounds} rounds; in each round every model ran once. ratio: median of the ratios in each round. memory: the most that
the process had, libraries and weights included. compiled: backbone and neck by torch.compile, whose cache is on disk."""


def main(argv: Optional[List[str]] = None) -> None:
    """Runs all models in turns, and prints a table."""
    args = parse_args(argv)
    config, checkpoint = find_model(args.config, args.checkpoint)
    cfg = read_config(config, args.cfg_options)
    check_config(cfg, ['model', 'test_dataloader'])
    checkpoint = check_checkpoint(checkpoint)
    image = read_image(args.image)
    if args.size:
        import cv2

        height, width = parse_size(args.size)
        image = cv2.resize(image, (width, height))
    with tempfile.TemporaryDirectory() as folder:
        candidates = choose(args, cfg, checkpoint, Path(folder))
        about = describe(image, args.threads, args.rounds)
        results = compare(candidates, image, args.threads, args.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    versions = ', '.join(f'{name} {version}' for name, version in about['versions'].items())
    print(f'{about["machine"]}; image of {about["image"]}; {versions}\n\n{table(results)}\n{NOTES.format(**about)}')
    if args.json:
        save_json(dict(about, config=args.config, results=results), args.json, '--json')


def choose(args: Namespace, cfg: Config, checkpoint: str, folder: Path) -> List[Candidate]:
    """The models in the runtimes that are asked for.

    Raises:
        FishNetError: If a file is no model file, or a runtime is not installed.
    """
    precisions = {file: read_metadata(file).properties.get('precision', '') for file in args.models}
    # The processes read the config with its changed settings.
    changed = folder / 'config.py'
    cfg.dump(changed)
    candidates = []
    for runtime in args.runtimes or [name for name in RUNTIMES_ALL if name in PYTORCH or importlib.util.find_spec(name)]:
        if runtime in PYTORCH:
            job = dict(kind='pytorch', config=str(changed), checkpoint=checkpoint, compile=PYTORCH[runtime])
            candidates.append(Candidate(runtime, job))
            continue
        if not importlib.util.find_spec(runtime):
            raise FishNetError(f'--runtimes {runtime} is not installed: pip install {runtime}')
        for file, precision in precisions.items():
            job = dict(kind='exported', file=str(file), runtime=runtime)
            candidates.append(Candidate(f'{runtime}, {file} ({precision})', job))
    return candidates


RUNTIMES_ALL = (*PYTORCH, *RUNTIMES)


def table(results: Sequence[dict]) -> str:
    """The results as a Markdown table."""
    first = next((row['name'] for row in results if 'error' not in row), '')
    header = ['model', 'start', 'time', 'min ... max', f'ratio to {first}', 'memory', 'objects']
    lines = []
    for row in results:
        if 'error' in row:
            lines.append([row['name'], row['error'][:100], *[''] * 5])
            continue
        seconds = [1e3 * one for one in row['seconds']]
        lines.append(
            [
                row['name'],
                f'{row["start"]:.2f} s',
                f'{1e3 * row["median_seconds"]:,.0f} ms',
                f'{min(seconds):,.0f} ... {max(seconds):,.0f}',
                f'{row["ratio"]:.2f}',
                '' if row['peak_bytes'] is None else f'{row["peak_bytes"] / 2**20:,.0f} MiB',
                '' if row['found'] is None else str(row['found']),
            ]
        )
    made = GithubFlavoredMarkdownTable([header, *lines])
    made.justify_columns = dict.fromkeys(range(1, len(header)), 'right')
    return made.table


def parse_args(argv: Optional[List[str]] = None) -> Namespace:
    """The arguments."""
    parser = Parser(
        description='Compare time and memory of a trained model and of the model files exported from it, on the CPU'
    )
    parser.add_argument('config', help=f'config file of a model; or a trained model: {", ".join(TRAINED)}')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; a trained model needs none')
    parser.add_argument(
        '--models', nargs='+', type=Path, required=True, metavar=f'FILE{ENDING}', help='model files of export_onnx'
    )
    parser.add_argument('--image', type=Path, required=True, metavar='FILE', help='the image that all models get')
    parser.add_argument('--size', metavar='HxW', help='resize the image first; default: as it is')
    parser.add_argument(
        '--runtimes',
        nargs='+',
        choices=RUNTIMES_ALL,
        metavar='NAME',
        help=f'{", ".join(RUNTIMES_ALL)}; ratios are to the first (default: all that are installed)',
    )
    parser.add_argument(
        '--rounds', type=whole(1), default=5, metavar='N', help='number of timed rounds (default: %(default)s)'
    )
    parser.add_argument('--threads', type=whole(1), metavar='N', help="number of CPU threads (default: PyTorch's)")
    parser.add_argument(
        '--json', type=new_file('.json'), metavar='FILE', help='also save the results and the time of every round'
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    args.threads = args.threads or torch.get_num_threads()
    return args
