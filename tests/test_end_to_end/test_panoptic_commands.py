"""Panoptic FPN end to end, on generated shapes: train, test, and what the commands say of what it cannot do."""

import json
import re

import cv2
import pytest
from conftest import REPO, TINY_FISH

from fishnet_mmdet.datasets.shapes import BACKGROUND, CLASSES, add_panoptic, make_shapes

CONFIG = """
_base_ = {base!r}
data_root = {data_root!r}
metainfo = dict(classes={classes!r} + ({stuff!r},), thing_classes={classes!r}, stuff_classes=({stuff!r},))
things = dict(num_things_classes={num_classes}, num_stuff_classes=1)
norm_cfg = dict(type='GN', num_groups=8)
model = dict(
    backbone=dict(
        arch={fish!r}, norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[32, 64, 112, 144], out_channels=32, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes={num_classes}),
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes={num_classes}, norm_cfg=norm_cfg)),
    semantic_head=dict(in_channels=32, inner_channels=32, **things),
    panoptic_fusion_head=things,
    train_cfg=dict(rcnn=dict(sampler=dict(num=16))))
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (96, 96)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/panoptic_train.json', pipeline=train_pipeline,
                 data_prefix=dict(img='train/', seg='annotations/panoptic_train/'), filter_cfg=dict(min_size=1)))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/panoptic_val.json', pipeline=test_pipeline,
                 data_prefix=dict(img='val/', seg='annotations/panoptic_val/')))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-3))
train_cfg = dict(max_epochs=1)
param_scheduler = []
custom_hooks = []
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
"""


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=24, num_val=3)
    add_panoptic(root)
    return root


def qualities_of(log):
    """The metrics of the last evaluation in a log, as printed."""
    lines = [line for line in log.splitlines() if re.search(r'Epoch\((test|val)\).*PQ', line)]
    return dict(re.findall(r'coco_panoptic/(\w+): (\S+)', lines[-1]))


def test_train_and_test(shapes, command, tmp_path):
    config = tmp_path / 'tiny.py'
    base = str(REPO / 'configs/panoptic_fpn_fishnet150_fpn.py')
    arguments = dict(fish=TINY_FISH, data_root=f'{shapes}/', classes=CLASSES, num_classes=len(CLASSES), stuff=BACKGROUND)
    config.write_text(CONFIG.format(base=base, **arguments))
    trained = command(REPO / 'tools/train.py', config, '--work-dir', tmp_path / 'work')
    losses = [float(loss) for loss in re.findall(r'Epoch\(train\).* loss_seg: (\S+)', trained)]
    assert len(losses) == 12 and sum(losses[-3:]) < sum(losses[:3])
    qualities = qualities_of(trained)
    assert set(qualities) == {f'{name}{kind}' for name in ('PQ', 'SQ', 'RQ') for kind in ('', '_th', '_st')}

    test = [REPO / 'tools/test.py', config, tmp_path / 'work/epoch_1.pth', '--work-dir', tmp_path / 'work']
    assert qualities_of(command(*test, '--eval', 'PQ', '--show-dir', 'shown')) == qualities
    assert len(list((tmp_path / 'work').glob('*/shown/*'))) == 3
    refused = command(*test, '--tta', status=1)
    assert 'a PanopticFPN always predicts masks: test it without --tta' in refused and 'Traceback' not in refused

    out = tmp_path / 'inferred'
    log = command(REPO / 'tools/infer.py', shapes / 'val', config, tmp_path / 'work/epoch_1.pth', '--out-dir', out)
    found = json.loads((out / 'predictions.json').read_text())
    assert '3 pictures' in log and len(found['images']) == len(found['annotations']) == 3
    assert [one['isthing'] for one in found['categories']] == [1] * len(CLASSES) + [0]
    for image, annotation in zip(found['images'], found['annotations']):
        # COCO's format: the colour of a pixel is the id of its segment.
        blue, green, red = cv2.imread(str(out / annotation['file_name'])).astype(int).transpose(2, 0, 1)
        ids = red + 256 * green + 256**2 * blue
        assert ids.shape == (image['height'], image['width'])
        areas = {segment['id']: segment['area'] for segment in annotation['segments_info']}
        assert areas == {i: (ids == i).sum() for i in set(ids.flat) - {0}}
        for segment in annotation['segments_info']:
            x, y, w, h = segment['bbox']
            assert (ids[y : y + h, x : x + w] == segment['id']).sum() == segment['area']
