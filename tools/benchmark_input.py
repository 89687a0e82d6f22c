"""Measures how fast a config's training images are read: python tools/benchmark_input.py CONFIG [--with-training]"""

import argparse
import itertools
import time
import warnings

import torch

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from fishnet_mmdet.errors import FishNetError

ALONE = 200  # images at most that are taken to pieces in this process
TRAINING_SECONDS = 10  # at most, or until as many images as are read have been trained on


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(description="Measures how fast a config's training images are read")
    parser.add_argument('config', help='config file')
    parser.add_argument('--workers', type=int, help="number of worker processes; default: the config's")
    parser.add_argument('--images', type=int, default=2000, help='number of images to read (default: %(default)s)')
    parser.add_argument('--with-training', action='store_true', help='measure training steps too, on one batch')
    launch.add_config_options(parser)
    return parser.parse_args()


def main():
    """Reads in this process, then with workers, then trains."""
    args = parse_args()
    if args.images < 1 or (args.workers or 0) < 0:
        raise FishNetError('--images is 1 or more, --workers 0 or more')
    cfg = launch.read_config(args.config, args.cfg_options)
    if not cfg.get('train_dataloader'):
        raise FishNetError(f'the config {args.config} has no train_dataloader')
    launch.check_data(cfg, ['train_dataloader'])
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    env = cfg.get('env_cfg', {})
    set_multi_processing(**env.get('mp_cfg', {}))
    torch.backends.cudnn.benchmark = env.get('cudnn_benchmark', False)

    if args.workers is not None:
        cfg.train_dataloader.num_workers = args.workers
    workers = cfg.train_dataloader.num_workers
    cfg.train_dataloader.persistent_workers = workers > 0
    warnings.filterwarnings('ignore', message='.*pin_memory')  # without a GPU it is of no use, and does no harm
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    print(f'{len(loader.dataset)} images, batches of {cfg.train_dataloader.batch_size}')
    read_alone(loader.dataset, min(args.images, ALONE))
    reading, batch = read_with_workers(loader, args.images)
    each = f', {reading / workers:.0f} a worker' if workers else ''
    print(f'with {workers} workers: {reading:.0f} images/s{each}')
    if args.with_training:
        # Before it the workers stop: they would read on beside the training.
        del loader
        training, device = train(cfg, batch, args.images)
        print(f'training on {device}: {training:.0f} images/s')
        if reading >= training:
            print(f'Reading keeps up, {reading / training:.1f} times as fast as training.')
        else:
            needed = f': about {workers * training / reading:.0f} workers would do' if workers else ''
            print(f'Training waits for reading, which has {reading / training:.0%} of its speed{needed}.')


def read_alone(dataset, count):
    """Prints the time of each transform in milliseconds an image, in this process."""
    spent = {}

    def timed(name, transform):
        def call(results):
            begin = time.perf_counter()
            results = transform(results)
            spent[name] = spent.get(name, 0) + time.perf_counter() - begin
            return results

        return call

    inner = dataset
    while hasattr(inner, 'dataset'):
        inner = inner.dataset
    transforms = inner.pipeline.transforms
    dataset[0]  # imports and caches
    inner.pipeline.transforms = [timed(f'{i}  {type(one).__name__}', one) for i, one in enumerate(transforms, 1)]
    begin = time.perf_counter()
    for index in torch.randperm(len(dataset))[:count].tolist():
        dataset[index]
    total = time.perf_counter() - begin
    inner.pipeline.transforms = transforms
    count = min(count, len(dataset))
    print(f'in one process: {count / total:.0f} images/s, {1e3 * total / count:.2f} ms an image')
    for name, seconds in {**spent, 'the rest': total - sum(spent.values())}.items():
        print(f'    {name:<28}{1e3 * seconds / count:8.3f} ms {seconds / total:6.1%}')


def read_with_workers(loader, count):
    """Images per second that a loader delivers, and one of its batches."""
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    # Until each worker has delivered once: the start of the processes does not count.
    for _ in range(loader.num_workers + 1):
        batch = next(batches)
    read, begin = 0, time.perf_counter()
    while read < count:
        batch = next(batches)
        read += len(batch['inputs'])
    return read / (time.perf_counter() - begin), batch


def train(cfg, batch, count):
    """Images per second of training steps on a batch that is there already, and the name of the device."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model = MODELS.build(cfg.model).to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    def step():
        model.train_step(batch, optim_wrapper)
        if device.type == 'cuda':
            torch.cuda.synchronize()

    for _ in range(2 if device.type == 'cpu' else 10):
        step()
    trained, begin, seconds = 0, time.perf_counter(), 0
    while trained < count and seconds < TRAINING_SECONDS:
        step()
        trained += len(batch['inputs'])
        seconds = time.perf_counter() - begin
    name = torch.cuda.get_device_name() if device.type == 'cuda' else f'the CPU, {torch.get_num_threads()} threads'
    return trained / seconds, name


if __name__ == '__main__':
    launch.run(main)
