"""What exact resuming, and the checks of a run, add to its start, to an iteration, to an image and to a checkpoint.

    python tests/costs.py

The annotation file is as large as COCO's for training. A checkpoint is that of FishNet-150 with momentum: the weights and the
optimizer's state, 174 MB.
"""

import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from fishnet_mmdet import FishNet
from fishnet_mmdet.datasets.coco_checks import MASKS
from fishnet_mmdet.datasets.coco_summary import summarise
from fishnet_mmdet.engine.divergence import CheckLossHook, check_weights
from fishnet_mmdet.engine.interruption import InterruptHook
from fishnet_mmdet.engine.randomness import seed_generators, seed_loading
from fishnet_mmdet.engine.whole_files import part_of, publish

#: Of COCO train2017.
IMAGES, OBJECTS = 118287, 860001
CORNERS = 30 + 30 * np.stack([np.cos(np.linspace(0, 6, 20)), np.sin(np.linspace(0, 6, 20))], 1)


def seconds(function, repeats):
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def save_large_annotations(file):
    """Saves generated annotations with COCO's numbers of images and objects, and about its 20 corners of a polygon."""
    random = np.random.RandomState(0)
    images = [dict(id=i, file_name=f'{i:012}.jpg', height=480, width=640) for i in range(1, IMAGES + 1)]
    annotations = []
    for i, (image, x, y) in enumerate(zip(random.randint(1, IMAGES + 1, OBJECTS), *random.randint(0, 400, (2, OBJECTS))), 1):
        polygon = (np.array([x, y]) + CORNERS).ravel().round(2).tolist()
        annotations.append(
            dict(id=i, image_id=int(image), category_id=i % 80 + 1, bbox=[int(x), int(y), 60, 60], area=2826.0, iscrowd=0,
                 segmentation=[polygon])
        )  # fmt: skip
    categories = [dict(id=i, name=f'class {i}') for i in range(1, 81)]
    file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))


def time_the_start():
    """Prints what the check of a large annotation file takes, the first time and later."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ['XDG_CACHE_HOME'] = folder
        file = Path(folder, 'instances.json')
        save_large_annotations(file)
        print(f'| {IMAGES:,} images, {OBJECTS:,} objects, {file.stat().st_size / 1e6:.0f} MB | |\n|---|---|')
        print(f'| reading the JSON, as the data set does | {seconds(lambda: json.loads(file.read_bytes()), 1):.1f} s |')
        print(f'| the first check, with its own reading | {seconds(lambda: summarise(str(file), None, MASKS), 1):.1f} s |')
        print(f'| later checks | {seconds(lambda: summarise(str(file), None, MASKS), 3):.2f} s |\n')


def main():
    """Prints tables."""
    time_the_start()
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
