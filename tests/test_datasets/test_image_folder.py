"""The folder of images: what it finds, when it lists again, what it says of a wrong layout, and training on it."""

import logging
import multiprocessing
import os
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import REPO, TINY_FISH
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from fishnet_mmdet.datasets import folder_index
from fishnet_mmdet.datasets.image_folder import ImageFolder
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import DATASETS

#: Class folders with their images, and what is in them besides.
FILES = {'dog': ['b.JPEG', 'a.jpg', 'notes.txt'], 'ant': ['1.png'], 'cow': ['ä.jpeg', 'x.jpg', 'y.jpg']}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'fishnet_mmdet'


def write_image(file, value=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode('.png' if file.suffix == '.png' else '.jpg', np.full((40, 40, 3), value, np.uint8))[1].tofile(file)


@pytest.fixture
def root(tmp_path):
    """A data set whose images are as bright as their label says, made some time ago."""
    root = tmp_path / 'images'
    for split in ('train', 'val'):
        for label, name in enumerate(sorted(FILES)):
            for file in FILES[name]:
                write_image(root / split / name / file, 100 * label)
            os.utime(root / split / name, (1e9, 1e9))
    (root / 'train' / 'README.txt').touch()
    (root / 'train' / '.trash').mkdir()
    return root


@pytest.fixture
def listed(monkeypatch):
    """The folders whose files were listed since."""
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, 'listdir', lambda path='.': listed.append(os.fsdecode(path)) or listdir(path))
    return listed


def content(dataset):
    """The path, below the folder, and the label of every item."""
    items = [dataset[i] for i in range(len(dataset))]
    return [(str(Path(item['img_path']).relative_to(dataset.folder)), item['gt_label']) for item in items]


EXPECTED = [('ant/1.png', 0), ('cow/x.jpg', 1), ('cow/y.jpg', 1), ('cow/ä.jpeg', 1), ('dog/a.jpg', 2), ('dog/b.JPEG', 2)]


def test_finds_images_by_sorted_class(root):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=str(root), pipeline=pipeline, num_classes=3))
    assert dataset.metainfo == dict(classes=('ant', 'cow', 'dog'))
    assert len(dataset) == 6
    items = [dataset[i] for i in range(6)]
    assert [item['data_samples'] for item in items] == [0, 1, 1, 1, 2, 2]
    assert all(abs(item['inputs'].float().mean() - 100 * item['data_samples']) < 3 for item in items)
    assert content(ImageFolder(root)) == EXPECTED
    assert dataset[-1]['data_samples'] == 2
    with pytest.raises(IndexError):
        dataset[6]
    val = ImageFolder(root, dict(img='val'))
    assert val.folder == root / 'val' and len(val) == 6


def test_lists_once(root, listed):
    first = content(ImageFolder(root))
    assert sorted(listed) == [str(root / 'train' / name) for name in sorted(FILES)]
    listed.clear()
    assert content(ImageFolder(root)) == first == EXPECTED
    assert listed == []


@pytest.mark.parametrize('change', ['add', 'remove', 'rename', 'new class', 'no class'])
def test_lists_again_after_a_change(root, change):
    ImageFolder(root)
    train = root / 'train'
    expected = list(EXPECTED)
    if change == 'add':
        write_image(train / 'cow' / 'z.jpg')
        expected.insert(3, ('cow/z.jpg', 1))
    elif change == 'remove':
        (train / 'cow' / 'x.jpg').unlink()
        expected.remove(('cow/x.jpg', 1))
    elif change == 'rename':
        (train / 'dog').rename(train / 'bee')
        expected = [EXPECTED[0], ('bee/a.jpg', 1), ('bee/b.JPEG', 1), *((name, 2) for name, _ in EXPECTED[1:4])]
    elif change == 'new class':
        write_image(train / 'eel' / '1.jpg')
        expected.append(('eel/1.jpg', 3))
    else:
        for file in (train / 'ant').iterdir():
            file.unlink()
        (train / 'ant').rmdir()
        expected = [(name, label - 1) for name, label in EXPECTED[1:]]
    assert content(ImageFolder(root)) == expected


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.99])
def test_a_damaged_index_is_made_anew(root, listed, share):
    ImageFolder(root)
    index = root / 'train' / folder_index.INDEX_NAME
    whole = index.read_bytes()
    index.write_bytes(whole[: int(share * len(whole))])
    listed.clear()
    assert content(ImageFolder(root)) == EXPECTED
    assert len(listed) == 3
    assert content(ImageFolder(root)) == EXPECTED
    assert len(listed) == 3


def test_an_index_of_other_content_is_made_anew(root):
    ImageFolder(root)
    index = root / 'train' / folder_index.INDEX_NAME
    arrays = dict(np.load(index))
    for changed in (dict(names=arrays['names'][1:]), dict(more=np.zeros(1)), dict(counts=np.array([2, 4], np.int64))):
        np.savez(index, **{**arrays, **changed})
        assert content(ImageFolder(root)) == EXPECTED
    np.savez(index, names=arrays['names'])
    assert content(ImageFolder(root)) == EXPECTED


def test_no_pickled_code_runs(root, tmp_path):
    class RunsCode:
        def __reduce__(self):
            return open, (str(tmp_path / 'trace'), 'w')

    ImageFolder(root)
    index = root / 'train' / folder_index.INDEX_NAME
    np.savez(index, **{**dict(np.load(index)), 'names': np.array([RunsCode()], dtype=object)})
    assert content(ImageFolder(root)) == EXPECTED
    assert not (tmp_path / 'trace').exists()


def test_index_elsewhere_where_the_data_is_read_only(root, cache, listed):
    # A folder in the index's place, as root may write everywhere.
    for split in ('train', 'val'):
        (root / split / folder_index.INDEX_NAME).mkdir()
    before = sorted(root.rglob('*'))
    for _ in range(2):
        assert content(ImageFolder(root)) == EXPECTED
        ImageFolder(root, dict(img='val'))
    assert len(listed) == 6
    assert len(list(cache.iterdir())) == 2
    assert sorted(root.rglob('*')) == before


def test_index_dir(root, tmp_path, cache, listed):
    for _ in range(2):
        ImageFolder(root, index_dir=tmp_path / 'indices')
    assert len(listed) == 3
    assert len(list((tmp_path / 'indices').iterdir())) == 1
    assert not cache.exists() and not (root / 'train' / folder_index.INDEX_NAME).exists()


def test_without_a_place_for_the_index_it_says_so(root, mmengine_log):
    with mmengine_log.at_level(logging.WARNING):
        dataset = ImageFolder(root, index_dir=root / 'train' / 'README.txt')
    assert content(dataset) == EXPECTED
    assert 'set index_dir' in mmengine_log.text


def test_names_take_little_memory(tmp_path):
    for label in range(10):
        (tmp_path / 'train' / f'n{label:08}').mkdir(parents=True)
        for number in range(500):
            (tmp_path / 'train' / f'n{label:08}' / f'n{label:08}_{number:08}.JPEG').touch()
    ImageFolder(tmp_path)
    tracemalloc.start()
    dataset = ImageFolder(tmp_path)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    # 23 bytes a name; as a list of str it would be 80.
    assert used / len(dataset) < 40


def wrong(root, *words, **kwargs):
    with pytest.raises(FishNetError) as caught:
        ImageFolder(root, **kwargs)
    for word in words:
        assert word in str(caught.value)


def test_wrong_layouts(root, tmp_path):
    wrong(tmp_path / 'nowhere', str(tmp_path / 'nowhere/train'), 'CLASS/IMAGE.JPEG', 'data_root=DIR')
    (tmp_path / 'bare' / 'train').mkdir(parents=True)
    wrong(tmp_path / 'bare', 'no class folders', 'CLASS/IMAGE.JPEG')
    for number in range(3):
        write_image(tmp_path / 'flat' / 'val' / f'ILSVRC2012_val_{number}.JPEG')
    wrong(tmp_path / 'flat', 'flat/val has 3 images', 'Move', 'to the folder of its class', data_prefix=dict(img='val/'))
    for number in range(2):
        (tmp_path / 'packed' / 'train').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'packed' / 'train' / f'n{number}.tar').touch()
    wrong(tmp_path / 'packed', 'packed/train has 2 archives', 'tar -xf')
    (root / 'train' / 'ape').mkdir()
    (root / 'train' / 'bat').mkdir()
    wrong(root, '2 of the 5 class folders', 'ape, bat', 'have no images')


def test_number_of_classes(root):
    wrong(root, 'images/train', '3 classes', 'ant ... dog', 'num_classes=1000', num_classes=1000)


def test_classes_of_training(root):
    val = dict(img='val/')
    ImageFolder(root, val, same_classes_as='train/')
    ImageFolder(root, val, same_classes_as='elsewhere/')
    (root / 'val' / 'cow').rename(root / 'val' / 'calf')
    wrong(root, 'only', 'val has calf', data_prefix=val, same_classes_as='train/')
    write_image(root / 'val' / 'cow' / '1.jpg')
    (root / 'val' / 'calf').rename(root / 'calf')
    ImageFolder(root, val, same_classes_as='train/')
    (root / 'train' / 'eel').mkdir()
    wrong(root, 'train has eel', data_prefix=val, same_classes_as='train/')


@pytest.mark.parametrize('broken', [b'', b'no image at all', None])
@pytest.mark.parametrize('workers', [0, 1])
def test_broken_image(root, broken, workers):
    dataset = ImageFolder(root, pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
    file = root / 'train' / 'cow' / 'x.jpg'
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    batches = iter(DataLoader(dataset, num_workers=workers))
    with pytest.raises(FishNetError, match=f'cannot read the image {file}'):
        list(batches)
    if workers:
        # Left to the garbage collector, the iterator may have lost its queue and wait 5 seconds for its worker.
        batches._shutdown_workers()


def test_other_errors_stay_what_they_are(root):
    dataset = ImageFolder(root, pipeline=[dict(type='PackInputs')])
    with pytest.raises(KeyError, match='img'):
        dataset[0]


def start(rank, root, folder):
    """One of two processes: writes down what it found, or what was wrong."""
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    original = folder_index._list
    folder_index._list = lambda *args: (folder / f'listed{rank}').touch() or original(*args)
    try:
        text = repr(content(ImageFolder(root)))
    except FishNetError as error:
        text = str(error)
    (folder / f'said{rank}').write_text(text)
    # Without gloo's own end, which waits for the other process.
    os._exit(0)


@pytest.mark.parametrize('right', [True, False])
def test_one_process_of_a_node_lists(root, tmp_path, right):
    folder = tmp_path / 'both'
    folder.mkdir()
    if not right:
        (root / 'train' / 'empty').mkdir()
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=start, args=(rank, root, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    said = [(folder / f'said{rank}').read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert (repr(EXPECTED) if right else 'have no images') in said[0]
    if right:
        assert (folder / 'listed0').exists() and not (folder / 'listed1').exists()


@pytest.fixture
def config(root):
    """The ImageNet config with a tiny fish, on the small data set."""
    cfg = Config.fromfile(REPO / 'configs/classification/fishnet150_imagenet.py')
    cfg.model.backbone.arch = TINY_FISH
    cfg.model.cls_head.num_classes = 3
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=3, num_workers=0, persistent_workers=False, pin_memory=False)
        loader.dataset.update(data_root=str(root), num_classes=3)
    cfg.val_evaluator.topk = cfg.test_evaluator.topk = (1, 2)
    cfg.train_cfg.max_epochs = 2
    cfg.work_dir = str(root / 'work')
    return cfg


def test_imagenet_config_trains(config, root):
    runner = Runner.from_cfg(config)
    runner.train()
    groups = runner.optim_wrapper.optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {1e-4}
    assert sum(len(group['params']) for group in groups) == len(list(runner.model.parameters()))
    assert runner.iter == 4
    checkpoint = torch.load(next((root / 'work').glob('best_accuracy_top1_*.pth')), weights_only=False)
    assert checkpoint['meta']['dataset_meta'] == dict(classes=('ant', 'cow', 'dog'))


@pytest.mark.parametrize('name', ['fishnet99', 'fishnet150', 'fishnet201', 'fishnet150_cosine'])
def test_schedules(name):
    fish, _, schedule = name.partition('_')
    cfg = Config.fromfile(REPO / f'configs/classification/{fish}_imagenet{schedule and "_" + schedule}.py')
    assert cfg.model.backbone.depth == int(fish[7:])
    assert cfg.model.label_smoothing == (0.1 if schedule else 0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=cfg.optim_wrapper.optimizer.lr)
    (scheduler,) = [PARAM_SCHEDULERS.build(dict(one, optimizer=optimizer)) for one in cfg.param_scheduler]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    if schedule:
        expected = 0.05 * (1 + np.cos(np.pi * np.arange(200) / 200))
    else:
        expected = np.repeat([0.1, 0.01, 0.001, 0.0001], [30, 30, 30, 10])
    assert np.allclose(rates, expected, rtol=1e-6, atol=1e-9)


def test_links_that_lead_to_themselves(root):
    (root / 'train/loop').symlink_to(root / 'train/loop')
    with pytest.raises(FishNetError, match='cannot read .*train/loop in the folder of images .*symbolic links'):
        ImageFolder(root)
    (root / 'train/loop').unlink()
    # A link to the folder itself is a class without images.
    (root / 'train/loop').symlink_to(root / 'train')
    with pytest.raises(FishNetError, match='1 of the 4 class folders in .* have no images: loop'):
        ImageFolder(root)


@pytest.mark.skipif(os.geteuid() == 0, reason='the superuser may read every folder')
def test_a_folder_without_permission(root):
    (root / 'train/ant').chmod(0)
    try:
        with pytest.raises(FishNetError, match='cannot read .*ant.*Permission denied.*: correct or remove'):
            ImageFolder(root)
    finally:
        (root / 'train/ant').chmod(0o755)
