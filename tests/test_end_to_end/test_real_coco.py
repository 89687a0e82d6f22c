"""The main config on real COCO images, where FISHNET_TEST_COCO names a folder in COCO's layout."""

import os
import re

import pytest
from conftest import REPO, TINY_FISH

COCO = os.environ.get('FISHNET_TEST_COCO')
pytestmark = pytest.mark.skipif(not COCO, reason='needs real COCO images: set FISHNET_TEST_COCO to their folder')


def test_train_and_evaluate_on_coco(command, tmp_path):
    """Two steps and three images by the commands of the README, the data moved by MMDET_DATASETS; the fish is tiny."""
    config = tmp_path / 'tiny_coco.py'
    config.write_text(
        f"_base_ = '{REPO}/configs/scratch/mask_rcnn_fishnet150_fpn_scratch.py'\n"
        f'model = dict(backbone=dict(arch={TINY_FISH!r}), neck=dict(in_channels=[32, 64, 112, 144]))\n'
        'train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(indices=2))\n'
        'val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(indices=3))\n'
        'test_dataloader = val_dataloader\n'
        'train_cfg = dict(max_epochs=1)\n'
        # Two steps make no confident predictions: all are evaluated.
        "model['test_cfg'] = dict(rcnn=dict(score_thr=0.0))\n"
        'default_hooks = dict(logger=dict(interval=1))\n'
        'for pipeline in (_base_.train_pipeline, _base_.test_pipeline):\n'
        '    for step in pipeline:\n'
        "        if step['type'] == 'Resize':\n"
        "            step['scale'] = (256, 160)\n"
        "train_dataloader['dataset']['pipeline'] = _base_.train_pipeline\n"
        "val_dataloader['dataset']['pipeline'] = _base_.test_pipeline\n"
    )
    env = dict(MMDET_DATASETS=COCO)
    log = command(REPO / 'tools/train.py', config, '--work-dir', tmp_path / 'work', **env)
    losses = [float(loss) for loss in re.findall(r'Epoch\(train\).* loss: (\S+)', log)]
    assert len(losses) == 2 and all(0 < loss < 100 for loss in losses)
    tested = command(REPO / 'tools/test.py', config, tmp_path / 'work/epoch_1.pth', '--eval', 'bbox', 'segm', **env)
    assert 'coco/segm_mAP' in tested
