"""Puts FishNet into every config of mmdet with a ResNet, and takes a training step: python tools/fishify_zoo.py -o DIR"""

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import socket
import tempfile
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
import numpy as np
import torch
from fishify import mmdet_configs, read, write
from mmdet.models.utils.misc import samplelist_boxtype2tensor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData, PixelData

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.fishify import BATCH_NORMS
from fishnet_mmdet.models import FishNet

WORKS = 'works'
#: mmdet's own config does not work here either, with its ResNet.
MMDETS = "mmdet's own fails"
FAILS = 'fails'
OUTCOMES = (WORKS, MMDETS, FAILS)
#: Models without a loss of their own: mmdet trains their detector, and what else there is, by themselves.
TRAINED_IN_PARTS = ('DeepSORT',)
#: Packages that mmdet asks for in some of these configs only.
OPTIONAL = ('scikit-image', 'scikit-learn', 'torchvision', 'transformers', 'fairscale')


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(
        description='Try tools/fishify.py on the configs of mmdet that have a ResNet or ResNeXt: convert, build, one step of '
        'training on random images. Goes on where it was stopped'
    )
    parser.add_argument('configs', nargs='*', metavar='PATTERN', help='only such configs, as retinanet/*; default: all')
    parser.add_argument('-o', '--out-dir', required=True, metavar='DIR', help='folder for zoo.md and zoo.json')
    parser.add_argument('--depth', type=int, default=99, help='default: 99, the fastest; 150 and 201 have the same channels')
    parser.add_argument('--size', type=int, default=128, help='height and width of the images, two in a batch; default: 128')
    parser.add_argument('--time-limit', type=int, default=300, metavar='SECONDS', help='for one config; default: 300')
    parser.add_argument('--one-per-family', action='store_true', help='only the first config of each folder')
    parser.add_argument('--again', action='store_true', help='try those again that did not work before')
    return parser.parse_args()


def main():
    """The loop over the configs."""
    args = parse_args()
    torch.set_num_threads(1)
    out = Path(args.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    file = out / 'zoo.json'
    results = json.loads(file.read_text()) if file.is_file() else {}
    if args.again:
        results = {name: result for name, result in results.items() if result['outcome'] == WORKS}
    configs, unreadable = configs_with_resnet(args.configs or ['*/*', '*/*/*'])
    if args.one_per_family:
        configs = {Path(name).parts[0]: (name, cfg) for name, cfg in reversed(list(configs.items()))}
        configs = dict(reversed(list(configs.values())))
    todo = [name for name in configs if name not in results]
    print(f'{len(configs)} configs with a ResNet or ResNeXt, {len(configs) - len(todo)} of them done', flush=True)

    start = time.time()
    for i, name in enumerate(todo, 1):
        results[name] = try_one(name, configs[name], results, args)
        file.write_text(json.dumps(results, indent=1))
        left = (time.time() - start) / i * (len(todo) - i)
        result = results[name]
        print(f'{i}/{len(todo)} {name}: {result["outcome"]} {result["reason"]} ({left / 60:.0f} min left)', flush=True)
    results = {name: results[name] for name in sorted(results)}
    (out / 'zoo.md').write_text('\n'.join([*table(results, unreadable, args), '']))
    counts = Counter(row['outcome'] for row in results.values())
    print(f'{", ".join(f"{count} {outcome}" for outcome, count in counts.items())}: {out / "zoo.md"}')


def configs_with_resnet(patterns):
    """The configs of mmdet that have its ResNet or ResNeXt somewhere in the model, by name; and why others cannot be read."""
    zoo = mmdet_configs()
    configs, unreadable = {}, {}
    for file in sorted({file for pattern in patterns for file in zoo.glob(pattern) if file.suffix == '.py'}):
        name = str(file.relative_to(zoo))
        if name.startswith('_base_'):
            continue
        try:
            cfg = read(file)
        except FishNetError as error:
            unreadable[name] = one_line(str(error).replace(f'{zoo}/', '').partition(', the current sys.path')[0])
            continue
        if re.search(r"'type': '(ResNet|ResNeXt)'", str(cfg.get('model'))):
            configs[name] = cfg
    return configs, unreadable


def try_one(name, cfg, results, args):
    """Converts a config, and takes the step, unless one with the same model did already.

    Args:
        name (str): Name of the config.
        cfg (Config): The config with its ResNet.
        results (dict[str, dict]): The rows so far.
        args (Namespace): The arguments of the command.

    Returns:
        dict: The row of the table.
    """
    row = dict(detector=str(cfg.model.type), reason='', notes=[], seconds=0.0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            row['notes'] = write(f'mmdet::{name}', Path(folder) / 'new.py', args.depth)
            new = read(Path(folder) / 'new.py')
        except FishNetError as error:
            return dict(row, outcome=FAILS, reason=one_line(error))
    key = hashlib.sha256(json.dumps(plain(new.model), sort_keys=True).encode()).hexdigest()
    for other, done in results.items():
        if done.get('key') == key and 'same_as' not in done:
            return dict(done, notes=row['notes'], same_as=other)
    start = time.time()
    # Some heads have convolutions that are larger than the smallest feature of a small image.
    for size in (args.size, 4 * args.size):
        error = in_child(new, size, args.time_limit)
        if error is None:
            break
    row.update(key=key, outcome=WORKS, seconds=round(time.time() - start, 1))
    if error is not None:
        theirs = in_child(cfg, size, args.time_limit)
        reason = error if theirs in (None, error) else f'{error}; with its ResNet: {theirs}'
        row.update(outcome=MMDETS if theirs else FAILS, reason=reason)
    return row


def in_child(cfg, size, time_limit):
    """Takes the step in a process of its own, which may need all its memory, crash, or be stopped.

    Returns:
        str | None: What went wrong, in a line.
    """
    mine, theirs = multiprocessing.get_context('fork').Pipe(duplex=False)
    child = multiprocessing.get_context('fork').Process(target=report_step, args=(theirs, cfg, size))
    child.start()
    theirs.close()
    try:
        return mine.recv() if mine.poll(time_limit) else f'not done after {time_limit} s'
    except EOFError:
        return f'the process died, with exit code {child.exitcode}'
    finally:
        child.kill()
        child.join()


def report_step(pipe, cfg, size):
    """Sends what went wrong in a step, or None."""
    # What mmdet logs of every tensor's initialisation.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    # What a config wants to download is left out or has to be named, and not to be waited for.
    socket.socket.connect = no_network
    # Where mmdet's configs look for each other.
    os.chdir(mmdet_configs().parent)
    try:
        step(cfg, size)
    except Exception as error:  # whatever a model can raise
        pipe.send(one_line(f'{type(error).__name__}: {error}'))
    else:
        pipe.send(None)


def no_network(*_):
    """In the place of a connection."""
    raise FishNetError('wants to download something')


def step(cfg, size=128):
    """Builds the model of a config with random weights, and computes the loss of random images and its gradients.

    BN learns its statistics everywhere, since fixed BN on random weights lets the activations grow without bounds.

    Args:
        cfg (Config): The config.
        size (int): Height and width of the images.

    Returns:
        dict[str, float]: The losses.

    Raises:
        FishNetError: If the loss or a gradient is not finite, or a parameter of a FishNet that learns gets no gradient.
    """
    register_all_modules()
    torch.manual_seed(0)
    model_cfg = cfg.model.to_dict()
    if model_cfg['type'] in TRAINED_IN_PARTS:
        detector = model_cfg['detector']
        detector.setdefault('data_preprocessor', dict(model_cfg['data_preprocessor'], type='DetDataPreprocessor'))
        model_cfg = detector
    model = MODELS.build(ConfigDict(reduced(model_cfg)))
    model.init_weights()
    model.train()
    for count in ('epoch', 'iter'):  # as the Runner does; TOOD and BoxInst read them
        MessageHub.get_current_instance().update_info(count, 0)
    data = model.data_preprocessor(inputs_for(model_cfg, size), True)
    losses, log = model.parse_losses(model(**data, mode='loss'))
    if not losses.isfinite():
        raise FishNetError(f'the loss is {float(losses)}: {log}')
    losses.backward()
    for name, module in model.named_modules():
        if isinstance(module, FishNet) and not name.startswith('teacher'):
            check_gradients(name, module)
    return {key: float(value) for key, value in log.items()}


def check_gradients(name, net):
    """Checks that what learns in a FishNet gets finite gradients, and not only zeros.

    Raises:
        FishNetError: If it does not.
    """
    parameters = [(key, parameter) for key, parameter in net.named_parameters() if parameter.requires_grad]
    without = [key for key, parameter in parameters if parameter.grad is None]
    if without:
        raise FishNetError(f'{len(without)} parameters of {name} get no gradient: {without[0]} ...')
    broken = [key for key, parameter in parameters if not parameter.grad.isfinite().all()]
    if broken:
        raise FishNetError(f'{len(broken)} gradients of {name} are not finite: {broken[0]} ...')
    if not any(parameter.grad.any() for _, parameter in parameters):
        raise FishNetError(f'all gradients of {name} are zero')


def reduced(value):
    """A model without checkpoints, with BN that learns on one CPU, few samples, and images not padded to a fixed size."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(reduced, value))
    if not isinstance(value, dict):
        return value
    value = {key: reduced(item) for key, item in value.items() if key not in ('teacher_ckpt', 'batch_augments')}
    if isinstance(value.get('init_cfg'), dict) and 'Pretrained' in value['init_cfg'].get('type', ''):
        del value['init_cfg']
    if 'pos_fraction' in value:
        value['num'] = min(value['num'], 32)
    if value.get('type') in BATCH_NORMS:
        value.update(type='BN', requires_grad=True)
    if value.get('type') in ('FishNet', 'ResNet', 'ResNeXt'):
        value.update(norm_eval=False, frozen_stages=-1)
        value.setdefault('norm_cfg', dict(type='BN'))
    return value


def inputs_for(model_cfg, size):
    """A batch of random images, as the model's ``data_preprocessor`` takes it."""
    rng = np.random.RandomState(0)
    classes = number_of_classes(model_cfg)
    kind = model_cfg['data_preprocessor']['type']
    if kind == 'MultiBranchDataPreprocessor':
        branches = {branch: batch(rng, size, classes) for branch in ('sup', 'unsup_teacher', 'unsup_student')}
        return {key: {branch: content[key] for branch, content in branches.items()} for key in ('inputs', 'data_samples')}
    if kind == 'TrackDataPreprocessor' and not model_cfg['data_preprocessor'].get('use_det_processor'):
        videos = [batch(rng, size, classes) for _ in range(2)]
        for video in videos:
            samplelist_boxtype2tensor(video['data_samples'])
        samples = [
            TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]), video_data_samples=video['data_samples'])
            for video in videos
        ]
        return dict(inputs=[torch.stack(video['inputs']) for video in videos], data_samples=samples)
    return batch(rng, size, classes)


def number_of_classes(model_cfg):
    """A number of classes that all heads of a model know."""
    counts = re.findall(r"'num_(?:things_)?classes': (\d+)", str(model_cfg))
    return min(map(int, counts), default=1)


def batch(rng, size, classes):
    """Two random images with three objects each, as a dataloader brings them: boxes, masks, segmentation, proposals."""
    inputs = [torch.from_numpy(rng.randint(0, 256, (3, size, size), dtype=np.uint8)) for _ in range(2)]
    return dict(inputs=inputs, data_samples=[sample(rng, size, classes, number) for number in range(2)])


def sample(rng, size, classes, number):
    """The annotations of an image."""
    boxes = random_boxes(rng, 3, size)
    masks = np.zeros((len(boxes), size, size), dtype=np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
        mask[top:bottom, left:right] = 1
    labels = torch.from_numpy(rng.randint(0, classes, len(boxes)))
    sem_seg = rng.randint(0, classes, (1, size, size))
    proposals = random_boxes(rng, 20, size)
    metainfo = dict(
        img_id=number,
        frame_id=number,
        img_path='',
        img_shape=(size, size),
        ori_shape=(size, size),
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
        homography_matrix=np.eye(3, dtype=np.float32),
    )
    return DetDataSample(
        metainfo=metainfo,
        gt_instances=InstanceData(
            bboxes=HorizontalBoxes(boxes, dtype=torch.float32),
            labels=labels,
            masks=BitmapMasks(masks, size, size),
            instances_ids=torch.arange(len(boxes)),
        ),
        ignored_instances=InstanceData(
            bboxes=HorizontalBoxes(boxes[:0], dtype=torch.float32),
            labels=labels[:0],
            masks=BitmapMasks(masks[:0], size, size),
            instances_ids=torch.arange(0),
        ),
        gt_sem_seg=PixelData(sem_seg=torch.from_numpy(sem_seg)),
        proposals=InstanceData(bboxes=torch.from_numpy(proposals), scores=torch.ones(len(proposals))),
    )


def random_boxes(rng, count, size):
    """Boxes (left, top, right, bottom) with sides of a quarter to three quarters of the image."""
    sides = rng.uniform(size / 4, size * 3 / 4, (count, 2))
    corner = rng.uniform(0, 1, (count, 2)) * (size - sides)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def plain(value):
    """A model as JSON has it, without what does not change it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if key != '_scope_'}
    return list(map(plain, value)) if isinstance(value, (list, tuple)) else value


def one_line(message):
    """The beginning of a message, in one line."""
    line = ' '.join(str(message).split())
    return line if len(line) <= 300 else f'{line[:297]}...'


def packages():
    """The installed packages that decide what works, with their versions."""
    for name in ('torch', 'mmcv', 'mmdet', *OPTIONAL):
        try:
            yield f'{name} {version(name)}'
        except PackageNotFoundError:
            yield f'no {name}'


def table(results, unreadable, args):
    """The results as Markdown: counts, what does not work and why, and all of them by folder."""
    counts = Counter(row['outcome'] for row in results.values())
    families = {name.partition('/')[0] for name in results}
    steps = [row for row in results.values() if 'same_as' not in row]
    yield '# FishNet in the configs of mmdet'
    yield ''
    yield (
        f'{len(results)} configs of {len(families)} folders have a ResNet or ResNeXt of mmdet. Each was converted by '
        f'`tools/fishify.py --depth {args.depth}`, its model built with random weights, and the loss and gradients of two '
        f'random images computed on the CPU, of {args.size} pixels squared or {4 * args.size}: {len(steps)} models, since '
        'configs with the same model share a step. *Works*: loss and gradients are finite, and every parameter of FishNet '
        f'that learns has one. *{MMDETS.capitalize()}*: so does, in the same step, the config as mmdet ships it.'
    )
    yield ''
    yield from (f'- {outcome}: {counts[outcome]}' for outcome in OUTCOMES)
    yield ''
    yield f'Written by `python tools/fishify_zoo.py`, with {", ".join(packages())}.'
    yield ''
    troubles = {name: row for name, row in results.items() if row['outcome'] != WORKS}
    if troubles:
        yield from ('## What does not work', '', '| config | outcome | why |', '|---|---|---|')
        yield from (f'| {name} | {row["outcome"]} | {cell(row["reason"])} |' for name, row in troubles.items())
        yield ''
    if unreadable:
        yield from ('## What mmdet itself cannot read', '', '| config | why |', '|---|---|')
        yield from (f'| {name} | {cell(reason)} |' for name, reason in unreadable.items())
        yield ''
    yield from ('## All', '', '| config | detector | outcome | left out or changed | seconds |', '|---|---|---|---|---|')
    for name, row in results.items():
        time_or_twin = f'as {row["same_as"]}' if 'same_as' in row else f'{row["seconds"]:.0f}'
        yield f'| {name} | {row["detector"]} | {row["outcome"]} | {cell("; ".join(row["notes"]))} | {time_or_twin} |'


def cell(message):
    """A message in a table."""
    return message.replace('|', '\\|').replace('<', '&lt;')


if __name__ == '__main__':
    launch.run(main)
