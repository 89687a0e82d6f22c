"""Random numbers depend on the iteration and the image, not on who draws them."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler

from fishnet_mmdet.engine.randomness import SeededBatch, seed_generators, seed_loader
from fishnet_mmdet.errors import FishNetError


class Noise(Dataset):
    """One random number of each library for an image, and its index."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor([index, random.random(), np.random.rand(), torch.rand(()).item()], dtype=torch.float64)


def numbers():
    return random.random(), np.random.rand(), torch.rand(()).item()


def loaded(first=0, skipped=0, key=(1, 0), passes=1, **kwargs):
    loader = DataLoader(Noise(), batch_size=4, **kwargs)
    batches = seed_loader(loader, *key)
    rows = []
    for number in range(passes):
        batches.start(first + number * len(loader), skipped)
        rows += list(loader)
    return torch.cat(rows)


def test_seeding_repeats_and_differs():
    seed_generators(5, 2, 1)
    one = numbers()
    seed_generators(5, 2, 1)
    assert numbers() == one
    others = []
    for key in [(5, 2, 2), (5, 3, 1), (6, 2, 1)]:
        seed_generators(*key)
        others.append(numbers())
    assert all(a != b for other in others for a, b in zip(one, other))


@pytest.mark.parametrize('workers', [dict(num_workers=1), dict(num_workers=2, persistent_workers=True)])
def test_workers_draw_what_one_process_draws(workers):
    torch.testing.assert_close(loaded(passes=2, **workers), loaded(passes=2), rtol=0, atol=0)


def test_each_image_has_numbers_of_its_own():
    images = loaded(passes=2)
    assert images[:, 0].tolist() == [*range(10)] * 2
    assert len(set(images[:, 1:].flatten().tolist())) == 3 * 20
    assert not torch.equal(images, loaded(passes=2, key=(1, 1)))
    assert not torch.equal(images, loaded(passes=2, key=(2, 0)))


@pytest.mark.parametrize('skipped', [0, 1, 2, 3])
def test_skipping_changes_nothing(skipped):
    torch.testing.assert_close(
        torch.cat([loaded(skipped=0)[: 4 * skipped], *([loaded(skipped=skipped)] if skipped < 3 else [])]),
        loaded(),
        rtol=0,
        atol=0,
    )


def test_sending_a_batch_to_a_worker_draws_nothing():
    batch = SeededBatch([3, 1], 1, 0, 7)
    seed_generators(0)
    expected = numbers()
    seed_generators(0)
    received = pickle.loads(pickle.dumps(batch))
    assert numbers() == expected
    assert received[:] == [3, 1] and received.key == (1, 0, 7) and type(received) is SeededBatch


def test_other_attributes_are_those_of_the_batch_sampler():
    loader = DataLoader(Noise(), batch_sampler=BatchSampler(SequentialSampler(Noise()), 4, True))
    batches = seed_loader(loader, 0, 0)
    assert (len(loader), batches.batch_size, batches.drop_last) == (2, 4, True)
    assert batches.sampler is batches.batches.sampler
    assert not hasattr(batches, 'wrong')
    assert len(pickle.loads(pickle.dumps(batches))) == 2


def test_a_loader_without_batches_is_refused():
    with pytest.raises(FishNetError, match='batch_size'):
        seed_loader(DataLoader(Noise(), batch_size=None), 0, 0)
