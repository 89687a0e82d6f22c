"""compatibility: tries FishNet in every config of mmdet with a ResNet, and writes docs/compatibility.md."""

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import List, Optional

import torch

from ..errors import FishNetError
from ..fishify.compatibility import WORKS, configs_with_resnet, try_config
from ..fishify.compatibility_page import page
from .arguments import Parser, new_folder, whole


def main(argv: Optional[List[str]] = None) -> None:
    """Tries the configs one by one, and writes the results after each."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    out = args.out_dir
    out.mkdir(parents=True, exist_ok=True)
    file = out / 'compatibility.json'
    try:
        rows = json.loads(file.read_text()) if file.is_file() else {}
    except ValueError as error:
        raise FishNetError(f'{file} is no result of an earlier run ({error}): delete it, or name another folder') from error
    if args.again:
        rows = {name: row for name, row in rows.items() if row['outcome'] == WORKS}
    configs, unreadable = configs_with_resnet(args.configs or ['*/*', '*/*/*'])
    if not configs:
        raise FishNetError(f'no config of mmdet with a ResNet or ResNeXt matches {", ".join(args.configs)}: use FAMILY/*')
    if args.one_per_family:
        first = {}
        for name in configs:
            first.setdefault(Path(name).parts[0], name)
        configs = {name: configs[name] for name in first.values()}
    todo = [name for name in configs if name not in rows]
    print(f'{len(configs)} configs with a ResNet or ResNeXt, {len(configs) - len(todo)} of them done', flush=True)

    start = time.time()
    for i, name in enumerate(todo, 1):
        row = rows[name] = try_config(name, configs[name], rows, args.depth, args.size, args.time_limit)
        file.write_text(json.dumps(rows, indent=1))
        left = (time.time() - start) / i * (len(todo) - i)
        print(f'{i}/{len(todo)} {name}: {row["outcome"]} {row["reason"]} ({left / 60:.0f} min left)', flush=True)
    rows = {name: rows[name] for name in sorted(rows)}
    table = out / 'compatibility.md'
    table.write_text('\n'.join([*page(rows, unreadable, args.depth, args.size), '']))
    counts = Counter(row['outcome'] for row in rows.values())
    print(f'{", ".join(f"{count} {outcome}" for outcome, count in counts.items())}: {table}')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(
        description='Put FishNet into the configs of mmdet that have a ResNet or ResNeXt: convert, build, take one training '
        'step on random images. An interrupted run continues where it stopped.',
    )
    parser.add_argument('configs', nargs='*', metavar='PATTERN', help='only these configs, as retinanet/*; default: all')
    parser.add_argument(
        '-o',
        '--out-dir',
        type=new_folder,
        required=True,
        metavar='DIR',
        help='folder for compatibility.md and compatibility.json',
    )
    parser.add_argument(
        '--depth',
        type=int,
        choices=(99, 150, 201),
        default=99,
        help='default: 99, the fastest; 150 and 201 have the same channels',
    )
    parser.add_argument('--size', type=whole(32), default=128, help='height and width of the images in pixels; default: 128')
    parser.add_argument('--time-limit', type=whole(1), default=300, metavar='SECONDS', help='for one step; default: 300')
    parser.add_argument('--one-per-family', action='store_true', help='only the first config of each folder')
    parser.add_argument('--again', action='store_true', help='repeat the configs that did not work in the earlier run')
    return parser.parse_args(argv)
