"""Mask R-CNN in bfloat16 on the CPU, which mmcv's compiled operators refuse."""

import re

import pytest
from conftest import REPO

from fishnet_mmdet.ops import installed


@pytest.mark.skipif(not installed(), reason="mmcv's compiled operators for the CPU do not take bfloat16")
def test_training_and_evaluation(command, tiny_config, tmp_path):
    config = tiny_config()
    losses = {}
    for name, options in dict(float32=[], bfloat16=['--amp']).items():
        out = command(REPO / 'tools/train.py', config, '--work-dir', tmp_path / name, '--epochs', '1', *options)
        losses[name] = float(re.search(r' loss: ([\d.]+)', out)[1])
        assert 'segm_mAP' in out
    assert losses['bfloat16'] == pytest.approx(losses['float32'], rel=0.05)
    assert losses['bfloat16'] != losses['float32']
