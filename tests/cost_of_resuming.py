"""What exact resuming, and the checks of a run, add to an iteration, to an image and to a checkpoint.

    python tests/cost_of_resuming.py

A checkpoint is that of FishNet-150 with momentum: the weights and the optimizer's state, 174 MB.
"""

import io
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from fishnet_mmdet import FishNet
from fishnet_mmdet.engine.divergence import CheckLossHook, check_weights
from fishnet_mmdet.engine.interruption import InterruptHook
from fishnet_mmdet.engine.randomness import seed_generators, seed_loading
from fishnet_mmdet.engine.whole_files import part_of, publish


def seconds(function, repeats):
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main():
    """Prints a table."""
    net = FishNet(depth=150)
    runner = SimpleNamespace(model=net, optim_wrapper=None, saved_iter=None, hooks=[])
    losses = {f'loss_{name}': torch.tensor(1.0) for name in ('rpn_cls', 'rpn_bbox', 'cls', 'bbox', 'mask')}
    check, interrupt = CheckLossHook(), InterruptHook()
    print('| an iteration | |\n|---|---|')
    print(f'| new seeds | {1e6 * seconds(lambda: seed_generators(1, 2, 3), 1000):.0f} µs |')
    print(f'| check of 5 losses | {1e6 * seconds(lambda: check.after_train_iter(runner, 0, outputs=losses), 1000):.0f} µs |')
    print(f'| asking for a signal | {1e6 * seconds(lambda: interrupt.after_train_iter(runner, 0), 1000):.0f} µs |')
    print(f'| new seeds for an image, in the worker | {1e6 * seconds(lambda: seed_loading(1, 2, 3, 4), 1000):.0f} µs |')

    momentum = {name: torch.zeros_like(one) for name, one in net.named_parameters()}
    content = io.BytesIO()
    torch.save(dict(state_dict=net.state_dict(), optimizer=momentum), content)
    with tempfile.TemporaryDirectory(dir='.') as folder:
        file = Path(folder, 'epoch_1.pth')

        def whole():
            part_of(file).write_bytes(content.getbuffer())
            publish(file)

        print(f'\n| a checkpoint of {len(content.getbuffer()) / 1e6:.0f} MB | |\n|---|---|')
        print(f'| check of the weights | {seconds(lambda: check_weights(runner), 10):.3f} s |')
        print(f'| written to the file, as mmengine does | {seconds(lambda: file.write_bytes(content.getbuffer()), 5):.3f} s |')
        print(f'| written beside, synced and renamed | {seconds(whole, 5):.3f} s |')


if __name__ == '__main__':
    main()
