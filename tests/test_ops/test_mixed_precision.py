"""Mask R-CNN in bfloat16 on the CPU, which mmcv's compiled operators refuse."""

import re

import pytest
from conftest import REPO

from fishnet_mmdet.ops import installed


@pytest.mark.skipif(not installed(), reason="mmcv's compiled operators for the CPU do not take bfloat16")
def test_training_and_evaluation(command, tiny_config, tmp_path):
    config = tiny_config(more='randomness = dict(seed=0)')
    losses = {}
    for name, options in dict(float32=[], bfloat16=['--amp']).items():
        out = command(REPO / 'tools/train.py', config, '--work-dir', tmp_path / name, '--epochs', '1', *options)
        losses[name] = {key: float(value) for key, value in re.findall(r'(loss\w*): ([\d.]+)', out.split('[1][2/')[0])}
        assert 'segm_mAP' in out
    # The RPN sees the same weights and anchors. Behind it, other proposals are sampled.
    assert {'loss', 'loss_rpn_cls', 'loss_rpn_bbox', 'loss_mask'} <= set(losses['float32'])
    for key, tolerance in dict(loss_rpn_cls=0.02, loss_rpn_bbox=0.05, loss=0.1).items():
        assert losses['bfloat16'][key] == pytest.approx(losses['float32'][key], rel=tolerance)
    assert losses['bfloat16'] != losses['float32']
