"""Any detector with FishNet, changed to train from random weights."""

import copy

import pytest
from conftest import REPO, TINY_FISH
from mmdet.registry import MODELS
from mmengine.config import Config
from torch.nn.modules.batchnorm import _BatchNorm

from fishnet_mmdet.engine.from_scratch import train_from_scratch
from fishnet_mmdet.errors import FishNetError

GN = dict(type='GN', num_groups=32, requires_grad=True)


def config(name):
    (file,) = (REPO / 'configs').rglob(f'{name}.py')
    return Config.fromfile(file)


def detector(neck=None, backbone=None, **kwargs):
    """A plain dict with little more than a model."""
    weights = dict(type='FishNetPretrained', checkpoint='fishnet150')
    backbone = {**dict(type='FishNet', depth=150, init_cfg=weights), **(backbone or {})}
    neck = neck or dict(type='FPN', in_channels=[320, 832, 1600, 2112], out_channels=256)
    return dict(model=dict(type='X', backbone=backbone, neck=neck, **kwargs))


def changed(*args, **kwargs):
    cfg = detector(*args, **kwargs)
    train_from_scratch(cfg)
    return cfg['model']


def test_the_settings_of_the_config_from_scratch():
    cfg, expected = config('mask_rcnn_fishnet150_fpn'), config('mask_rcnn_fishnet150_fpn_scratch')
    train_from_scratch(cfg)
    assert cfg.model.to_dict() == expected.model.to_dict()
    assert cfg.optim_wrapper == expected.optim_wrapper
    assert 'StopGradClipHook' not in str(cfg.custom_hooks)


def test_a_second_call_changes_nothing():
    cfg = config('mask_rcnn_fishnet150_fpn')
    train_from_scratch(cfg)
    once = copy.deepcopy(cfg.to_dict())
    train_from_scratch(cfg)
    assert cfg.to_dict() == once


def test_every_weight_of_the_backbone_is_trained():
    backbone = changed(backbone=dict(arch=TINY_FISH))['backbone']
    net = MODELS.build(backbone).train()
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(module.training for module in net.modules() if isinstance(module, _BatchNorm))


@pytest.mark.parametrize(
    'given, new',
    [
        (None, dict(type='BN', requires_grad=True)),
        (dict(type='BN', requires_grad=False), dict(type='BN', requires_grad=True)),
        (dict(type='SyncBN', requires_grad=False), dict(type='SyncBN', requires_grad=True)),
        (dict(type='GN', num_groups=16), dict(type='GN', num_groups=16)),
    ],
)
def test_normalisation_of_the_backbone(given, new):
    assert changed(backbone=dict(norm_cfg=given, norm_eval=True, frozen_stages=2))['backbone']['norm_cfg'] == new


@pytest.mark.parametrize(
    'neck, norm',
    [
        (dict(type='FPN', out_channels=256), GN),
        (dict(type='mmdet.FPN', out_channels=256), GN),
        (dict(type='ChannelMapper', in_channels=[2112], out_channels=256, norm_cfg=None), GN),
        (dict(type='FPN', out_channels=48), dict(GN, num_groups=16)),
        (dict(type='FPN', out_channels=256, norm_cfg=dict(type='BN')), dict(type='BN')),
        # BN is its default.
        (dict(type='YOLOXPAFPN', out_channels=256), None),
        # It has BN inside, and no such argument.
        (dict(type='DilatedEncoder', out_channels=512), None),
        (dict(type='Unknown', out_channels=512), None),
    ],
)
def test_normalisation_of_the_neck(neck, norm):
    neck = dict(in_channels=[320, 832, 1600, 2112], **neck) if 'in_channels' not in neck else neck
    assert changed(neck)['neck'].get('norm_cfg') == norm
    assert changed([neck, dict(type='BFP', in_channels=256, num_levels=5)])['neck'][0].get('norm_cfg') == norm


def test_normalisation_of_mask_heads():
    heads = [dict(type='FCNMaskHead', num_classes=80), dict(type='HTCMaskHead', conv_out_channels=48, num_classes=80)]
    roi_head = dict(type='CascadeRoIHead', bbox_head=dict(type='Shared2FCBBoxHead'), mask_head=heads)
    new = changed(roi_head=roi_head)['roi_head']
    assert [head['norm_cfg'] for head in new['mask_head']] == [GN, dict(GN, num_groups=16)]
    assert new['bbox_head'] == dict(type='Shared2FCBBoxHead')


def test_other_weights_are_not_loaded():
    cfg = dict(detector(init_cfg=dict(type='Pretrained', checkpoint='detector.pth')), load_from='other.pth')
    notes = '\n'.join(train_from_scratch(cfg))
    assert cfg['load_from'] is None and cfg['model']['init_cfg'] is None
    assert 'detector.pth' in notes and 'other.pth' in notes


def test_hooks_of_the_user_are_kept():
    mine = dict(type='EMAHook')
    cfg = dict(detector(), custom_hooks=[mine, dict(type='StopGradClipHook', after_epochs=2)])
    train_from_scratch(cfg)
    assert cfg['custom_hooks'] == [mine]


def test_a_teacher_keeps_its_weights():
    teacher = dict(type='FishNet', init_cfg=dict(type='FishNetPretrained', checkpoint='teacher.pth'))
    assert changed(teacher_backbone=dict(teacher))['teacher_backbone'] == teacher


@pytest.mark.parametrize('name', ['FishNeXt', 'fishnet_mmdet.FishNet'])
def test_other_names_of_the_backbone(name):
    assert changed(backbone=dict(type=name))['backbone']['frozen_stages'] == -1


@pytest.mark.parametrize('cfg', [dict(), dict(model=dict(backbone=dict(type='ResNet')))])
def test_a_model_without_fishnet(cfg):
    with pytest.raises(FishNetError, match='no FishNet.*fishify.py --from-scratch'):
        train_from_scratch(cfg)
