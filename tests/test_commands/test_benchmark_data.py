"""The benchmark of reading: what it prints, and what it says of wrong arguments."""

import re
import time

import cv2
import numpy as np
import pytest
import torch
from conftest import REPO, TINY_FISH
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader, Dataset

from fishnet_mmdet.analysis.data_speed import measure_reading
from fishnet_mmdet.commands.benchmark_data import main
from fishnet_mmdet.errors import FishNetError

DOOR = REPO / 'tools/analysis_tools/benchmark_data.py'
CONFIG = """
_base_ = {base!r}
data_root = {root!r}
model = dict(backbone=dict(arch={fish!r}), cls_head=dict(num_classes=2))
train_dataloader = dict(batch_size=4, dataset=dict(data_root=data_root, num_classes=2))
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageFromFile'), dict(type='RandomResizedCrop', size=32), dict(type='PackInputs')]
"""


@pytest.fixture
def config(tmp_path):
    for number in range(10):
        folder = tmp_path / 'images' / 'train' / f'n{number % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{number}.jpg'), np.full((60, 80, 3), 20 * number, np.uint8))
    file = tmp_path / 'config.py'
    base = str(REPO / 'configs/classification/fishnet150_imagenet.py')
    file.write_text(CONFIG.format(base=base, root=f'{tmp_path}/images/', fish=TINY_FISH))
    return file


def test_prints_all_figures(here, config):
    out = here(DOOR, config, '--workers', '1', '--images', '24', '--with-training')
    assert '10 images, batches of 4' in out
    rows = re.findall(r'^    (?:\d  )?(\w[\w ]*?) +([\d.]+) ms +([\d.]+)%$', out, re.M)
    assert [row[0] for row in rows] == ['LoadImageFromFile', 'RandomResizedCrop', 'PackInputs', 'other']
    total = float(re.search(r'([\d.]+) ms an image', out)[1])
    assert abs(sum(float(row[1]) for row in rows) - total) < 0.01
    assert abs(sum(float(row[2]) for row in rows) - 100) < 0.3
    reading, each = map(float, re.search(r'with 1 workers: (\d+) images/s, (\d+) a worker', out).groups())
    training = float(re.search(r'training on the CPU, \d+ threads: (\d+) images/s', out)[1])
    assert reading == each > 0 and training > 0
    assert ('Reading keeps up' in out) == (reading >= training)


class Slow(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        time.sleep(0.01)
        return dict(inputs=torch.zeros(3, 4, 4), labels=index)


def test_rate_of_a_loader_whose_rate_is_known():
    loader = DataLoader(Slow(), batch_size=4, collate_fn=default_collate)
    rate, batch = measure_reading(loader, 60)
    # 10 ms an image, and what the machine adds.
    assert 25 < rate < 100
    assert batch['inputs'].shape[1:] == (3, 4, 4)


@pytest.mark.parametrize(
    ('args', 'words'),
    [
        (['nowhere.py'], 'no config file nowhere.py'),
        (['CONFIG', '--images', '0'], '--images must be a whole number of at least 1'),
        (['CONFIG', '--workers', '-1'], '--workers must be a whole number of at least 0'),
        (['CONFIG', '--cfg-options', 'data_root=/nowhere'], '/nowhere'),
        (['CONFIG', '--cfg-options', 'train_dataloader.dataset.num_classes=3'], 'num_classes=3'),
        (['EMPTY'], 'empty.py is empty'),
    ],
)
def test_wrong_arguments(config, tmp_path, args, words):
    (tmp_path / 'empty.py').write_text('')
    files = dict(CONFIG=str(config), EMPTY=str(tmp_path / 'empty.py'))
    with pytest.raises(FishNetError, match=words):
        main([files.get(arg, arg) for arg in args])
