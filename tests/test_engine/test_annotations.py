"""The table of faulty data sets (tests/faulty_data.py), checked as train and test do before a run."""

import re

import pytest
from faulty_data import ERROR, FAULTS, RUNS, make
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.config import Config

from fishnet_mmdet.datasets.shapes import CLASSES
from fishnet_mmdet.engine.checks import check_data
from fishnet_mmdet.engine.class_names import check_same_classes
from fishnet_mmdet.engine.hooks import watch_images
from fishnet_mmdet.errors import FishNetError

LOAD = [
    dict(type='mmdet.LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmdet.Resize', scale=(96, 96), keep_ratio=True),
    dict(type='mmdet.PackDetInputs', meta_keys=('img_id', 'img_path')),
]
#: Faults whose files are read without an error before the run.
CONTENT = [fault for fault in FAULTS if fault.kind != 'images']


@pytest.fixture(autouse=True)
def own_reader(monkeypatch, tmp_path):
    """A check can give CocoDataset another reader: it lasts for one test. The cache is the test's own, too."""
    monkeypatch.setattr(CocoDataset, 'COCOAPI', COCO)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def config(root, split, **kwargs):
    """A config with one data set, as train (split 'train') or test (split 'val') has it."""
    dataset = dict(
        type='mmdet.CocoDataset',
        data_root=f'{root}/',
        ann_file=f'annotations/instances_{split}.json',
        data_prefix=dict(img=f'{split}/'),
        metainfo=dict(classes=CLASSES),
        pipeline=LOAD,
        test_mode=split == 'val',
        **kwargs,
    )
    key = dict(train='train', val='test')[split]
    return Config({f'{key}_dataloader': dict(dataset=dataset), f'{key}_evaluator': dict(metric=['bbox', 'segm'])})


def check(root, split, strict=False, **kwargs):
    """The notes of a check."""
    return '\n'.join(
        check_data(config(root, split, **kwargs), [f'{dict(train="train", val="test")[split]}_dataloader'], strict)
    )


def build(root, split, **kwargs):
    return CocoDataset(**{key: value for key, value in dataset_of(root, split, **kwargs).items() if key != 'type'})


def dataset_of(root, split, **kwargs):
    cfg = config(root, split, **kwargs)
    return cfg[next(key for key in cfg if key.endswith('dataloader'))]['dataset'].to_dict()


@pytest.mark.parametrize('fault', CONTENT, ids=lambda fault: f'{fault.kind}: {fault.name}')
def test_faults(shapes, tmp_path, fault):
    for split, (ending, words) in (('train', fault.training), ('val', fault.testing)):
        root = make(shapes, tmp_path / split, fault, [split])
        if ending == ERROR:
            with pytest.raises(FishNetError, match=words) as error:
                check(root, split)
            assert f'{root}/annotations/instances_{split}.json' in str(error.value)
        else:
            assert re.search(words, check(root, split))
            # What is left can be read, down to the masks.
            dataset = build(root, split)
            assert len(dataset) and all(dataset[at]['inputs'].ndim == 3 for at in range(len(dataset)))


@pytest.mark.parametrize('name', ['negative box', 'no area', 'odd', 'image without size'])
def test_skipped_entries_are_not_trained_on(shapes, tmp_path, name):
    def objects(root):
        dataset = build(root, 'train', filter_cfg=dict(min_size=1))
        return sum(len(dataset.get_data_info(at)['instances']) for at in range(len(dataset)))

    everything = objects(shapes)
    root = make(shapes, tmp_path / 'damaged', next(fault for fault in FAULTS if fault.name == name), ['train'])
    check(root, 'train')
    first_image = build(shapes, 'train').get_data_info(0)
    assert objects(root) == everything - (len(first_image['instances']) if name == 'image without size' else 1)


def test_strict_data_refuses_what_is_skipped(shapes, tmp_path):
    assert check(shapes, 'train', strict=True) == ''
    fault = next(fault for fault in FAULTS if fault.name == 'empty box')
    root = make(shapes, tmp_path / 'damaged', fault)
    for split in ('train', 'val'):
        with pytest.raises(FishNetError, match='2 of [0-9]+ annotations have a box below 1 pixel.*\n.*--strict-data'):
            check(root, split, strict=True)


def test_a_check_is_kept_until_the_file_changes(shapes, tmp_path, monkeypatch):
    fault = next(fault for fault in FAULTS if fault.name == 'empty box')
    root = make(shapes, tmp_path / 'damaged', fault)
    first = check(root, 'train')
    from fishnet_mmdet.datasets import coco_summary

    read = coco_summary.read_coco
    monkeypatch.setattr(coco_summary, 'read_coco', lambda *args: pytest.fail('read again'))
    assert check(root, 'train') == first != ''
    monkeypatch.setattr(coco_summary, 'read_coco', read)
    file = root / 'annotations/instances_train.json'
    file.write_text((shapes / 'annotations/instances_train.json').read_text() + '\n')
    assert check(root, 'train') == ''
    for kept in (tmp_path / 'cache').rglob('*.json'):
        kept.write_text('{"names": 1')
    assert check(root, 'train') == ''


def test_nothing_left_to_train_on(shapes):
    with pytest.raises(FishNetError, match='filter_cfg.min_size=5000 of train_dataloader skips every image'):
        check(shapes, 'train', filter_cfg=dict(min_size=5000))


def test_classes(shapes):
    cfg = config(shapes, 'train')
    cfg.train_dataloader.dataset.metainfo = dict(classes='disc')
    with pytest.raises(FishNetError, match=r"are the text 'disc': write a tuple, as in classes=\('disc',\)"):
        check_data(cfg, ['train_dataloader'])
    cfg.train_dataloader.dataset.metainfo = dict(classes=('disc', 'disc'))
    with pytest.raises(FishNetError, match="have 'disc' twice"):
        check_data(cfg, ['train_dataloader'])
    # A part of the classes is legal, and says what it leaves out.
    cfg.train_dataloader.dataset.metainfo = dict(classes=CLASSES[:3])
    (note,) = check_data(cfg, ['train_dataloader'])
    assert re.search(rf"2 categories beside the classes \('{CLASSES[3]}', '{CLASSES[4]}'\): [0-9]+ objects are not used", note)
    # The names of COCO, which a config has that does not name its own.
    del cfg.train_dataloader.dataset['metainfo']
    with pytest.raises(FishNetError, match='has no category for 80 of the 80 classes.*metainfo=dict'):
        check_data(cfg, ['train_dataloader'])


def test_data_sets_of_a_run_have_the_same_classes(shapes):
    cfg = config(shapes, 'train')
    cfg.merge_from_dict(config(shapes, 'val').to_dict())
    dataloaders = ['train_dataloader', 'test_dataloader']
    assert check_same_classes(cfg, dataloaders) == CLASSES
    cfg.test_dataloader.dataset.metainfo.classes = CLASSES[::-1]
    with pytest.raises(
        FishNetError, match="train_dataloader and test_dataloader have different classes: class 0 is 'disc' and"
    ):
        check_same_classes(cfg, dataloaders)


def test_the_truth_of_an_evaluator_is_checked_too(shapes, tmp_path):
    root = make(shapes, tmp_path / 'damaged', next(fault for fault in FAULTS if fault.name == 'NaN in a box'), ['val'])
    cfg = config(shapes, 'val')
    cfg.test_evaluator.ann_file = f'{root}/annotations/instances_val.json'
    with pytest.raises(FishNetError, match=f'faulty entries of {cfg.test_evaluator.ann_file}'):
        check_data(cfg, ['test_dataloader'])
    cfg.test_evaluator.ann_file = f'{root}/nowhere.json'
    with pytest.raises(FishNetError, match='the annotation file of test_evaluator is missing: .*nowhere.json does not exist'):
        check_data(cfg, ['test_dataloader'])


@pytest.mark.parametrize('fault', [fault for fault in FAULTS if fault.kind == 'images'], ids=lambda fault: fault.name)
def test_images(shapes, tmp_path, fault, mmengine_log):
    for split, (ending, words) in (('train', fault.training), ('val', fault.testing)):
        root = make(shapes, tmp_path / split, fault, [split])
        mmengine_log.clear()
        dataset = build(root, split)
        watch_images(dataset, skip=split == 'train')
        if ending == ERROR:
            with pytest.raises(FishNetError, match=words):
                [dataset[at] for at in range(len(dataset))]
        else:
            assert all(dataset[at]['inputs'].shape[0] == 3 for at in range(len(dataset)))
            assert ending == RUNS and re.search(words, mmengine_log.text)
