"""How fast the training data of a config is read, and how fast a training step uses it up."""

import itertools
import time
from typing import Dict, Tuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch.utils.data import DataLoader, Dataset

#: Training is measured for this time at most, in seconds.
TRAINING_SECONDS = 10


def time_transforms(dataset: Dataset, count: int) -> Dict[str, float]:
    """Measures each transform of a data set's pipeline in this process, on random images.

    Args:
        dataset (Dataset): A data set with a pipeline, or wrappers around one.
        count (int): Images to read.

    Returns:
        dict[str, float]: Seconds per image by transform, '1  LoadImageFromFile' and so on; 'other' is the time between them.
    """
    inner = dataset
    while hasattr(inner, 'dataset'):
        inner = inner.dataset
    transforms = inner.pipeline.transforms
    dataset[0]  # The first call imports and fills caches.
    seconds = {}
    inner.pipeline.transforms = [
        _timed(f'{number}  {type(transform).__name__}', transform, seconds) for number, transform in enumerate(transforms, 1)
    ]
    indices = torch.randperm(len(dataset))[:count].tolist()
    begin = time.perf_counter()
    for index in indices:
        dataset[index]
    total = time.perf_counter() - begin
    inner.pipeline.transforms = transforms
    seconds['other'] = total - sum(seconds.values())
    return {name: spent / len(indices) for name, spent in seconds.items()}


def _timed(name, transform, seconds):
    def call(results):
        begin = time.perf_counter()
        results = transform(results)
        seconds[name] = seconds.get(name, 0) + time.perf_counter() - begin
        return results

    return call


def measure_reading(loader: DataLoader, count: int) -> Tuple[float, dict]:
    """Measures how fast a data loader delivers.

    Args:
        loader (DataLoader): The loader; it is read again from its start as often as needed.
        count (int): Images to read.

    Returns:
        tuple[float, dict]: Images per second, and one of the batches.
    """
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    # Each worker delivers once before the clock starts, so that the start of the processes does not count.
    for _ in range(loader.num_workers + 1):
        batch = next(batches)
    read, begin = 0, time.perf_counter()
    while read < count:
        batch = next(batches)
        read += len(batch['inputs'])
    return read / (time.perf_counter() - begin), batch


def measure_training(cfg: Config, batch: dict, count: int) -> float:
    """Measures training steps, each on the same batch: images per second.

    Args:
        cfg (Config): The config of the model and its optimizer.
        batch (dict): A batch of the config's data loader.
        count (int): Images to train on, if ``TRAINING_SECONDS`` are enough.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model = MODELS.build(cfg.model).to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    def step():
        model.train_step(batch, optim_wrapper)
        if device.type == 'cuda':
            torch.cuda.synchronize()

    for _ in range(2 if device.type == 'cpu' else 10):
        step()
    trained, seconds, begin = 0, 0, time.perf_counter()
    while trained < count and seconds < TRAINING_SECONDS:
        step()
        trained += len(batch['inputs'])
        seconds = time.perf_counter() - begin
    return trained / seconds
