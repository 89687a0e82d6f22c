"""Random numbers of training, derived from where it is.

The generators of random, NumPy and PyTorch get a new seed at each iteration and for each image that is loaded. The seed
depends on the seed of the run, the process, the iteration and the place of the image in its batch. So a resumed run draws
what an uninterrupted one draws. No state of a generator must be saved, and it does not matter how many workers load the
images, and how far ahead of training they are.
"""

import random
from typing import Iterator, List

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader

from ..errors import FishNetError

# What random numbers are for. Each purpose has numbers of its own.
START, EPOCH, MODEL, IMAGE, VALIDATION = range(5)


def seed_generators(*key: int) -> None:
    """Seeds the generators of random, NumPy and PyTorch, on all devices.

    Args:
        *key (int): Numbers, not negative. NumPy's ``SeedSequence`` mixes them, so keys that differ in one bit lead to
            unrelated random numbers.
    """
    torch.manual_seed(_seed_libraries(key))


def seed_loading(*key: int) -> None:
    """As :func:`seed_generators`, for code that loads images: of PyTorch, only the CPU's generator is seeded."""
    torch.default_generator.manual_seed(_seed_libraries(key))


def _seed_libraries(key: tuple) -> int:
    """Seeds random and NumPy, and returns a seed for PyTorch."""
    words = np.random.SeedSequence(key).generate_state(8)
    np.random.seed(words[:4])
    first, second = words[4:].view(np.uint64).tolist()
    random.seed(first)
    return second


class SeededBatch(list):
    """The indices of a batch. Before each one, the generators get the seed of its image.

    PyTorch's loader gives the list to a worker, which takes the indices one after another and loads each image before it
    takes the next index.

    Args:
        indices (list[int]): The indices.
        *key (int): Process and iteration of the batch.
    """

    def __init__(self, indices: List[int] = (), *key: int) -> None:
        super().__init__(indices)
        self.key = key

    def __iter__(self) -> Iterator[int]:
        for place, index in enumerate(super().__iter__()):
            seed_loading(*self.key, IMAGE, place)
            yield index

    def __reduce__(self) -> tuple:
        # Pickling a list would iterate over it, in a thread of the training process: that must not seed its generators.
        return SeededBatch, (self[:], *self.key)


class SeededBatches(BatchSampler):
    """The batches of another batch sampler, seeded, from any iteration on.

    Everything else (``sampler``, ``batch_size`` ...) is asked of the other batch sampler.

    Args:
        batches (BatchSampler): The batch sampler of a data loader.
        *key (int): Seed of the run, and the process.
        endless (bool): Whether the next epoch follows when all batches were given.
    """

    def __init__(self, batches: BatchSampler, *key: int, endless: bool = False) -> None:
        self.batches = batches
        self.key = key
        self.endless = endless
        self.first = self.skipped = 0

    def start(self, first: int, skipped: int) -> None:
        """Sets where the next pass begins.

        Args:
            first (int): The iteration of the first batch of the pass.
            skipped (int): Batches at the beginning of the pass that training has had already. They are not loaded.
        """
        self.first, self.skipped = first, skipped

    def __iter__(self) -> Iterator[SeededBatch]:
        number = epoch = 0
        while True:
            for batch in self.batches:
                if number >= self.skipped:
                    yield SeededBatch(batch, *self.key, self.first + number)
                number += 1
            if not self.endless or not number:
                return
            epoch += 1
            if hasattr(self.batches.sampler, 'set_epoch'):
                self.batches.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str):
        if name == 'batches':  # not set yet: asking for it would not end
            raise AttributeError(name)
        return getattr(self.batches, name)


def seed_loader(loader: DataLoader, *key: int, endless: bool = False) -> SeededBatches:
    """Lets a data loader load each image with random numbers of its own.

    Args:
        loader (DataLoader): A loader with batches, from which nothing has been loaded yet. It is changed in place.
        *key (int): Seed of the run, and the process.
        endless (bool): As in :class:`SeededBatches`.

    Returns:
        SeededBatches: Its batch sampler from now on.

    Raises:
        FishNetError: If the loader has no batches.
    """
    if loader.batch_sampler is None:
        raise FishNetError('train_dataloader loads images one by one: set its batch_size')
    batches = SeededBatches(loader.batch_sampler, *key, endless=endless)
    # DataLoader refuses to set this attribute, because a loader in use would not notice. This one is not in use.
    vars(loader)['batch_sampler'] = batches
    return batches
