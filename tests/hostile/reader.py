"""Reads hostile files with every reader of the package, in a process with limits, and prints one line for each result.

Run by ``checkpoints.py``: ``reader.py FOLDER FIRST`` reads the cases of FOLDER from number FIRST on.
"""

import json
import resource
import signal
import sys
import time
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint

from fishnet_mmdet import FishNet
from fishnet_mmdet.checkpoints import FishNetPretrained, check_fits
from fishnet_mmdet.checkpoints.convert import convert
from fishnet_mmdet.commands.inspect import report
from fishnet_mmdet.errors import FishNetError

#: Seconds of the CPU for one file and reader; the files take some milliseconds.
LIMIT = 5
#: Seconds in which nothing is computed.
WAIT = 30
#: Bytes that reading one file may take. The files have 6 MB at most.
MEMORY = 500 << 20
LONGEST_MESSAGE = 3000


class Hang(BaseException):
    """Reading takes longer than the limit. No code that catches errors catches it."""


def pretrained(file, net):
    """``init_cfg=dict(type='FishNetPretrained')``."""
    FishNetPretrained(str(file))(net)
    return net.state_dict()


def test(file, net):
    """The checks of ``test``, then mmengine's loading."""
    check_fits(net, str(file))
    load_checkpoint(net, str(file), map_location='cpu')
    return net.state_dict()


def inspect(file, net):
    """The command ``inspect``."""
    text = '\n'.join(report(str(file)))
    assert 'error:' not in text.replace('\\nerror:', '') and all(c.isprintable() or c == '\n' for c in text), 'forged'


def converted(file, net):
    """The command ``convert``."""
    out = Path(convert(str(file), file.parent / 'converted' / 'out.pth'))
    weights = torch.load(out, weights_only=True)['state_dict']
    out.unlink()
    return weights


READERS = dict(pretrained=pretrained, test=test, inspect=inspect, convert=converted)


def outcome(read, file, net, reference, may_differ):
    """What happens: 'right', 'refused', or what is bad."""
    start = time.process_time()
    try:
        limit_time(LIMIT, WAIT)
        try:
            weights = read(file, net)
        finally:
            limit_time(0, 0)
        weights = reference if weights is None else weights
        same = all(name in weights and (may_differ or torch.equal(weights[name], reference[name])) for name in reference)
        result = 'right' if same else 'wrong numbers'
    except FishNetError as error:
        message, result = str(error), 'refused'
        if len(message) > LONGEST_MESSAGE or not all(c.isprintable() for c in message):
            result = f'message: {len(message)} characters'
        cause = error
        while cause:
            if isinstance(cause, MemoryError) or 'allocate' in str(cause)[:300] or 'not enough memory' in str(cause)[:300]:
                result = f'memory: {type(cause).__name__}'
            cause = cause.__cause__
    except Hang:
        result = 'hang'
    except MemoryError:
        result = 'memory'
    except BaseException as error:
        result = f'trace: {type(error).__name__}: {str(error)[:100]}'
    if Path('code-ran').exists():
        Path('code-ran').unlink()
        result = 'code ran'
    if time.process_time() - start > LIMIT + 2:  # in C++, where no signal ends it
        result = 'hang'
    return result


def limit_time(seconds, wait):
    """Raises :class:`Hang` after some seconds of the CPU, or of waiting."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, wait)


def end(*_):
    """The handler of both timers."""
    raise Hang


def main(folder, first):
    """Reads the cases from a number on."""
    reference = torch.load(folder / 'reference.pt', weights_only=True)
    cases = json.loads((folder / 'cases.json').read_text())
    fish = json.loads((folder / 'fish.json').read_text())
    MMLogger.get_instance('hostile', log_level='CRITICAL')
    try:
        from fishnet_mmdet.checkpoints import read_files_in_mmengine

        read_files_in_mmengine()
    except ImportError:
        pass  # before it was there: the command is run on older versions too, to compare them
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, end)
    size = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    net = FishNet(arch=fish, out_indices=(0, 1, 2))
    for number, (file, may_differ) in enumerate(cases[first:], first):
        for name, read in READERS.items():
            print(json.dumps([number, name, None]), flush=True)
            for tensor in net.state_dict().values():
                tensor.zero_()
            print(json.dumps([number, name, outcome(read, folder / file, net, reference, may_differ)]), flush=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]))
