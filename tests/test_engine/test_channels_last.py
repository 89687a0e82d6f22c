"""The layout that a model computes in."""

import pytest
import torch
from conftest import REPO
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from fishnet_mmdet.engine import channels_last
from fishnet_mmdet.engine.channels_last import compute_channels_last


@pytest.fixture
def faster_rcnn(monkeypatch):
    cfg = Config.fromfile(REPO / 'configs/baselines/faster_rcnn_r50_fpn.py').model
    cfg.backbone.init_cfg = None
    cfg.backbone.depth = 18
    cfg.neck.in_channels = [64, 128, 256, 512]
    return MODELS.build(cfg).double().eval()


def levels_of(model):
    with torch.no_grad():
        return model.extract_feat(torch.rand(1, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize('ours, gpu, changes', [(True, False, True), (False, False, False), (True, True, False)])
def test_all_features_are_channels_last_where_our_operators_read_them(ours, gpu, changes, faster_rcnn, monkeypatch):
    monkeypatch.setattr(channels_last, 'installed', lambda: ours)
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpu)
    before = levels_of(faster_rcnn)
    assert not any(level.is_contiguous(memory_format=torch.channels_last) for level in before[:3])
    assert compute_channels_last(faster_rcnn) is faster_rcnn
    after = levels_of(faster_rcnn)
    assert all(level.is_contiguous(memory_format=torch.channels_last) is changes for level in after[:3])
    for one, other in zip(after, before):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_checkpoint_of_either_layout_loads_into_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(channels_last, 'installed', lambda: True)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    first, second = nn.Conv2d(3, 4, 3), compute_channels_last(nn.Conv2d(3, 4, 3))
    assert not second.weight.is_contiguous()
    torch.save(first.state_dict(), tmp_path / 'one.pth')
    second.load_state_dict(torch.load(tmp_path / 'one.pth', weights_only=True))
    assert torch.equal(first.weight, second.weight) and not second.weight.is_contiguous()
