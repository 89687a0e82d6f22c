"""Makes hostile and damaged checkpoints, reads each with every reader of the package, and counts what happened by kind.

    python tests/hostile/checkpoints.py --examples 50

A file is read right or refused with one message; everything else is bad: wrong numbers, another error, a crash, a hang, much
memory, code that ran. The status is 1 if there was any. ``--package DIR`` reads the same files with another version.
"""

import argparse
import hashlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from kinds import KINDS, formats

REPO = Path(__file__).parents[2]
#: Two stages, the smallest fish with all parts.
FISH = dict(
    tail_units=(1, 1),
    bridge_units=1,
    body_units=(1, 1),
    head_units=(1, 1),
    body_transfers=(1, 1),
    head_transfers=(1, 1),
    stem_channels=8,
    tail_channels=(8, 16),
    bridge_channels=16,
    body_channels=(16, 8),
    head_channels=(16, 40),
    body_dilations=(1, 2),
    head_dilations=(1, 1),
)
CHECKS = list(HealthCheck)
#: Seconds without a line of the reader, after which it is ended. Its own limit for a file is shorter, but does not end C++.
SILENCE = 60


def weights_of_fish() -> dict:
    """Weights, and statistics as training leaves them."""
    from fishnet_mmdet import FishNet

    torch.manual_seed(0)
    weights = FishNet(arch=FISH, out_indices=(0, 1, 2)).state_dict()
    return {name: tensor if tensor.dtype == torch.int64 else torch.rand_like(tensor) + 0.5 for name, tensor in weights.items()}


def make(folder: Path, kinds: list, examples: int, first_seed: int) -> list:
    """Writes the files, and returns their kinds."""
    weights = weights_of_fish()
    torch.save(weights, folder / 'reference.pt')
    (folder / 'fish.json').write_text(json.dumps(FISH))
    cases = {}
    for kind in kinds:
        for ending, content in draw(kind, weights, examples, first_seed):
            name = f'{len(cases)}-{digest(weights)}' if kind == 'damaged safetensors of convert' else len(cases)
            file = folder / f'{name}.{ending}'
            file.write_bytes(content) if isinstance(content, bytes) else content(file)
            cases[file.name] = kind
    (folder / 'cases.json').write_text(json.dumps([(name, KINDS[kind][1]) for name, kind in cases.items()]))
    return list(cases.values())


def draw(kind: str, weights: dict, examples: int, first_seed: int) -> list:
    """The ends of the names and the contents of some files of a kind."""
    drawn = []

    @seed(first_seed)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=CHECKS)
    @given(st.data())
    def draw_one(data):
        drawn.append(KINDS[kind][0](data.draw, weights))

    draw_one()
    return drawn


def digest(weights: dict) -> str:
    """The hash that ``convert`` would write into the name of these weights."""
    return hashlib.sha256(formats(weights)['safetensors']).hexdigest()[:8]


def read_all(folder: Path, number: int, package: Path) -> list:
    """The outcomes of all readers on all files: (number of the file, reader, outcome)."""
    outcomes, first = [], 0
    environment = {**os.environ, 'PYTHONPATH': str(package), 'OMP_NUM_THREADS': '1', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD': '1'}
    while first < number:
        command = [sys.executable, '-W', 'ignore', Path(__file__).with_name('reader.py'), folder, str(first)]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as reader:
            out, is_silent = received(reader.stdout.fileno())
            reader.kill()
        lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith('[')]
        if not lines:
            sys.exit(f'the reader did not begin: {" ".join(map(str, command))}')
        outcomes += [line for line in lines if line[2]]
        if lines[-1][2] is None:  # it ended while it read this file
            outcomes.append([*lines[-1][:2], 'hang' if is_silent else f'crash: status {reader.returncode}'])
        first = lines[-1][0] + 1
    return outcomes


def received(pipe: int) -> tuple:
    """All bytes of a pipe, and whether it is silent before its end."""
    out, silence = b'', 10 * SILENCE  # the first line comes after the imports
    while select.select([pipe], [], [], silence)[0]:
        block = os.read(pipe, 1 << 16)
        if not block:
            return out, False
        out, silence = out + block, SILENCE
    return out, True


def table(of: list, outcomes: list) -> list:
    """The counts by kind, in Markdown."""
    rows = ['| kind | tried | right | refused | bad | |', '|---|---|---|---|---|---|']
    for kind in [*dict.fromkeys(of), 'all']:
        found = Counter(result.split(':')[0] for number, _, result in outcomes if kind in (of[number], 'all'))
        bad = {what: count for what, count in found.items() if what not in ('right', 'refused')}
        what = ', '.join(f'{count} {name}' for name, count in sorted(bad.items()))
        rows.append(
            f'| {kind} | {sum(found.values())} | {found["right"]} | {found["refused"]} | {sum(bad.values())} | {what} |'
        )
    return rows


def main(arguments=None) -> int:
    """Makes, reads and counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--examples', type=int, default=20, help='files of each kind')
    parser.add_argument('--seed', type=int, default=random.randrange(10**6), help='of the files; default: a new one')
    parser.add_argument('--kind', nargs='+', choices=KINDS, default=list(KINDS), metavar='KIND', help='only these kinds')
    parser.add_argument('--package', type=Path, default=REPO, help='checkout whose fishnet_mmdet reads the files')
    parser.add_argument('--keep', type=Path, help='keep the files in this folder')
    args = parser.parse_args(arguments)
    warnings.simplefilter('ignore')  # of zipfile and torch, about the strange files
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        of = make(folder, args.kind, args.examples, args.seed)
        outcomes = read_all(folder.resolve(), len(of), args.package.resolve())
    print(f'--seed {args.seed} --examples {args.examples}: {len(of)} files, {len(outcomes)} readings')
    print('\n'.join(table(of, outcomes)))
    bad = [(number, reader, result) for number, reader, result in outcomes if result not in ('right', 'refused')]
    for number, reader, result in bad:
        print(f'bad: file {number} ({of[number]}), {reader}: {result}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
