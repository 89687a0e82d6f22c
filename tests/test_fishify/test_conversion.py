"""What changes in a config where FishNet takes the place of a ResNet, and that what comes out trains."""

import copy

import pytest
import torch
from conftest import REPO, TINY_FISH
from mmdet.models import FPN, ResNet
from mmdet.registry import MODELS
from mmengine.config import Config

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.fishify import fishify
from fishnet_mmdet.fishify.training_step import training_step
from fishnet_mmdet.fishify.writing import mmdet_configs

IMPORTS = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)
WEIGHTS = dict(type='FishNetPretrained', checkpoint='fishnet150')
NEW = dict(_delete_=True, type='FishNet', depth=150, init_cfg=WEIGHTS)
RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
CAFFE = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False)


def resnet(**kwargs):
    """A backbone as mmdet's configs have it, pretrained."""
    pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    return {**dict(type='ResNet', depth=50, frozen_stages=1, init_cfg=pretrained), **kwargs}


def detector(backbone=None, **kwargs):
    """A config with little more than a model."""
    neck = dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256)
    model = dict(type='X', data_preprocessor=dict(type='P', **RGB), backbone=backbone or resnet(), neck=neck)
    return dict(model={**model, **kwargs})


def changed_model(cfg, *args, **kwargs):
    return fishify(cfg, *args, **kwargs).overrides['model']


def merged(cfg, *args, **kwargs):
    cfg = Config(copy.deepcopy(cfg))
    cfg.merge_from_dict(fishify(cfg, *args, **kwargs).overrides)
    return cfg


def of_mmdet(name):
    return Config.fromfile(mmdet_configs() / name)


def test_what_is_written_by_hand_in_the_repository():
    cfg = of_mmdet('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    by_hand = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    before = copy.deepcopy(cfg.to_dict())
    changes = fishify(cfg)
    assert changes == (
        dict(custom_imports=IMPORTS, model=dict(backbone=NEW, neck=dict(in_channels=[320, 832, 1600, 2112]))),
        [],
    )
    assert cfg.to_dict() == before
    cfg.merge_from_dict(changes.overrides)
    assert cfg.model.backbone == by_hand.model.backbone
    assert cfg.model.neck == by_hand.model.neck
    assert cfg.custom_imports == by_hand.custom_imports


def test_importing_the_package_is_enough(command):
    """In a process of its own, since the tests import the function by its full name."""
    command('python', '-c', 'import fishnet_mmdet; assert callable(fishnet_mmdet.fishify.fishify)')


def test_the_imports_and_the_type_of_the_config_are_kept():
    cfg = detector(resnet(type=ResNet))
    cfg['custom_imports'] = dict(imports='my.heads', allow_failed_imports=True)
    overrides = fishify(cfg, 99, 'mine.pth').overrides
    # allow_failed_imports is inherited.
    assert overrides['custom_imports'] == dict(imports=['my.heads', 'fishnet_mmdet'])
    assert merged(cfg, 99).custom_imports == dict(imports=['my.heads', 'fishnet_mmdet'], allow_failed_imports=True)
    assert overrides['model']['backbone'] == dict(
        NEW, depth=99, init_cfg=dict(type='FishNetPretrained', checkpoint='mine.pth')
    )


@pytest.mark.parametrize(
    'backbone, neck, new',
    [
        (dict(out_indices=(1, 2, 3)), dict(in_channels=[512, 1024, 2048]), dict(in_channels=[832, 1600, 2112])),
        (dict(out_indices=(3,)), dict(in_channels=2048), dict(in_channels=2112)),
        (dict(depth=18), dict(in_channels=512), dict(in_channels=2112)),
        (dict(depth=18), dict(in_channels=128), dict(in_channels=832)),
        (
            dict(type='RegNet', arch='regnetx_400mf'),
            dict(in_channels=[32, 64, 160, 384]),
            dict(in_channels=[320, 832, 1600, 2112]),
        ),
        # Lists are not inherited item by item.
        (
            {},
            [dict(type='FPN', in_channels=[256, 512, 1024, 2048]), dict(type='BFP', in_channels=256)],
            [dict(type='FPN', in_channels=[320, 832, 1600, 2112]), dict(type='BFP', in_channels=256)],
        ),
    ],
)
def test_necks(backbone, neck, new):
    assert changed_model(detector(resnet(**backbone), neck=neck))['neck'] == new


def test_levels_are_those_of_the_same_strides():
    cfg = detector(resnet(out_indices=(3,), strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)), neck=dict(in_channels=[2048]))
    changes = fishify(cfg)
    assert changes.overrides['model']['backbone']['out_indices'] == (2,)
    assert changes.overrides['model']['neck'] == dict(in_channels=[1600])
    assert 'level 3 at stride 16, where FishNet has level 2' in changes.notes[0]
    twice = resnet(strides=(1, 2, 2, 1))
    with pytest.raises(FishNetError, match='model.backbone puts out features of strides 4, 8, 16, 16'):
        fishify(detector(twice))


def test_heads_that_list_the_channels():
    head = dict(in_channels=[256, 512, 1024, 2048], pixel_decoder=dict(in_channels=[256, 512, 1024, 2048], out_channels=256))
    cfg = detector(neck=None, panoptic_head=head)
    assert changed_model(cfg)['panoptic_head'] == dict(
        in_channels=[320, 832, 1600, 2112], pixel_decoder=dict(in_channels=[320, 832, 1600, 2112])
    )


@pytest.mark.parametrize('given', [{}, dict(neck=None)])
def test_one_level_without_a_neck_gets_one(given):
    cfg = detector(resnet(num_stages=3, out_indices=(2,)), rpn_head=dict(in_channels=1024), roi_head=dict(in_channels=2048))
    del cfg['model']['neck']
    cfg['model'].update(given)
    model = merged(cfg).model
    assert model.neck == dict(type='ChannelMapper', in_channels=[1600], out_channels=1024, kernel_size=1, act_cfg=None)
    assert (model.rpn_head.in_channels, model.roi_head.in_channels) == (1024, 2048)


def test_a_neck_that_keeps_the_channels():
    reid = dict(type='mmpretrain.ResNet', depth=50)
    cfg = detector(reid, neck=dict(type='GlobalAveragePooling'), head=dict(in_channels=2048, fc_channels=1024))
    model = changed_model(cfg)
    assert model['head'] == dict(in_channels=2112) and 'neck' not in model
    # As mmpretrain's ResNet does by itself.
    assert model['backbone']['out_indices'] == (3,) and model['backbone']['norm_eval'] is False


def test_networks_inside_of_others():
    cfg = dict(
        model=dict(
            type='SoftTeacher',
            data_preprocessor=dict(type='MultiBranch', data_preprocessor=dict(type='P', **CAFFE)),
            init_cfg=dict(type='Pretrained', checkpoint='https://x/detector.pth'),
            detector=detector()['model'],
            reid=dict(detector(neck=None, head=dict(in_channels=[256, 512, 1024, 2048]))['model']),
            other=dict(backbone=dict(type='CSPDarknet'), init_cfg=dict(type='Pretrained', checkpoint='https://x/yolox.pth')),
        ),
        load_from='resnet_detector.pth',
    )
    changes = fishify(cfg)
    model = changes.overrides['model']
    assert model['detector'] == dict(backbone=NEW, neck=dict(in_channels=[320, 832, 1600, 2112]))
    assert model['reid'] == dict(backbone=NEW, head=dict(in_channels=[320, 832, 1600, 2112]))
    assert model['data_preprocessor'] == dict(data_preprocessor=RGB)
    assert model['init_cfg'] is None and changes.overrides['load_from'] is None
    assert 'other' not in model
    notes = '\n'.join(changes.notes)
    for what in ('https://x/detector.pth', 'resnet_detector.pth', 'CSPDarknet', 'downloads at the start: https://x/yolox.pth'):
        assert notes.count(what) == 1


def test_a_teacher_stays_what_its_weights_are_of():
    teacher = dict(teacher_backbone=resnet(), teacher_neck=dict(in_channels=[256, 512, 1024, 2048]))
    changes = fishify(detector(**teacher, teacher_ckpt='https://x/teacher.pth'))
    assert set(changes.overrides['model']) == {'backbone', 'neck'}
    assert (
        'model.teacher_backbone stays a ResNet, of a teacher' in changes.notes[0]
        and 'downloads at the start: https://x/teacher.pth' in changes.notes[-1]
    )
    model = changed_model(detector(**teacher))
    assert model['teacher_backbone'] == NEW and model['teacher_neck'] == dict(in_channels=[320, 832, 1600, 2112])


def test_normalisation_of_the_images():
    changes = fishify(detector(data_preprocessor=dict(type='P', pad_size_divisor=32, **CAFFE)))
    assert changes.overrides['model']['data_preprocessor'] == RGB
    assert 'std=[1.0, 1.0, 1.0]' in changes.notes[0]
    cfg = detector()
    del cfg['model']['data_preprocessor']
    assert fishify({**cfg, 'data_preprocessor': CAFFE}).overrides['data_preprocessor'] == RGB
    reid = dict(RGB, to_rgb=False)
    del reid['bgr_to_rgb']
    assert changed_model(detector(data_preprocessor=reid))['data_preprocessor']['to_rgb'] is True


@pytest.mark.parametrize(
    'given, new',
    [
        (dict(frozen_stages=-1), dict(frozen_stages=-1)),
        (dict(frozen_stages=0), {}),
        (dict(frozen_stages=2), dict(frozen_stages=1)),
        (dict(frozen_stages=4), dict(frozen_stages=3)),
        (dict(with_cp=True), dict(with_cp=True)),
        (dict(norm_cfg=dict(type='BN', requires_grad=True), norm_eval=True), {}),
        (
            dict(norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False),
            dict(norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False),
        ),
    ],
)
def test_arguments_that_are_kept(given, new):
    changes = fishify(detector(resnet(**given)))
    assert changes.overrides['model']['backbone'] == {**NEW, **new}
    assert not changes.notes


@pytest.mark.parametrize(
    'given, words',
    [
        (dict(dcn=dict(type='DCNv2')), ['dcn', 'DCNv2']),
        (dict(plugins=[dict(cfg=dict(type='ContextBlock'))]), ['plugins', 'ContextBlock']),
        (dict(conv_cfg=dict(type='ConvWS')), ['conv_cfg', 'ConvWS']),
        (dict(norm_cfg=dict(type='GN', num_groups=32)), ['norm_cfg', 'GN']),
    ],
)
def test_arguments_that_are_left_out(given, words):
    changes = fishify(detector(resnet(**given)))
    assert changes.overrides['model']['backbone'] == NEW
    (note,) = changes.notes
    assert note.startswith('model.backbone.') and all(word in note for word in ['left out', *words])


def scratch_config():
    (file,) = (REPO / 'configs').rglob('mask_rcnn_fishnet150_fpn_scratch.py')
    return Config.fromfile(file)


@pytest.mark.parametrize(
    'norm, new',
    [
        (dict(type='GN', num_groups=32), dict(type='GN', num_groups=16)),
        (dict(type='BN', requires_grad=False), dict(type='BN', requires_grad=True)),
    ],
)
def test_from_scratch(norm, new):
    cfg = detector(resnet(norm_cfg=norm, frozen_stages=-1, init_cfg=None))
    expected = dict(_delete_=True, type='FishNet', depth=99, norm_cfg=new, norm_eval=False, frozen_stages=-1)
    expected['init_cfg'] = scratch_config().model.backbone.init_cfg
    gn = dict(type='GN', num_groups=32, requires_grad=True)
    assert changed_model(cfg, 99) == dict(backbone=expected, neck=dict(in_channels=[320, 832, 1600, 2112], norm_cfg=gn))
    # Such a network can be built.
    with torch.device('meta'):
        MODELS.build(merged(cfg, 99).model.backbone)
    assert changed_model(cfg, 99, 'mine.pth')['backbone']['init_cfg']['checkpoint'] == 'mine.pth'


def test_from_scratch_although_the_resnet_was_pretrained():
    new = merged(of_mmdet('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').to_dict(), from_scratch=True)
    by_hand = scratch_config()
    assert new.model.backbone == by_hand.model.backbone and new.model.neck == by_hand.model.neck
    assert new.model.roi_head.mask_head == by_hand.model.roi_head.mask_head
    with pytest.raises(FishNetError, match="checkpoint='mine.pth'"):
        fishify(detector(), checkpoint='mine.pth', from_scratch=True)


@pytest.mark.parametrize('in_channels, mean, std', [(1, [0.0], [255.0]), (4, [1.0, 2.0, 3.0, 4.0], [5.0] * 4)])
def test_other_images_than_rgb(in_channels, mean, std):
    """The number of channels is kept, and so is the normalisation, since the released models' has three channels."""
    changes = fishify(detector(resnet(in_channels=in_channels), data_preprocessor=dict(type='P', mean=mean, std=std)))
    assert changes.overrides['model']['backbone'] == dict(NEW, in_channels=in_channels)
    assert 'data_preprocessor' not in changes.overrides['model']
    (note,) = changes.notes
    assert f'{in_channels} channels' in note and 'mean and std' in note


def test_a_new_style_config(tmp_path):
    """In a config that imports its classes, a type is a class."""
    file = tmp_path / 'new_style.py'
    file.write_text(
        'from mmdet.models import FPN, ResNet\n'
        'neck = dict(type=FPN, in_channels=[256, 512, 1024, 2048])\n'
        "model = dict(type='X', backbone=dict(type=ResNet, depth=50), neck=[neck])\n"
    )
    cfg = Config.fromfile(file)
    assert cfg.model.backbone.type is ResNet
    cfg.merge_from_dict(fishify(cfg, 99, 'mine.pth').overrides)
    assert cfg.model.backbone.type == 'FishNet' and cfg.model.neck[0].in_channels == [320, 832, 1600, 2112]
    assert MODELS.get(cfg.model.neck[0].type) is FPN


@pytest.mark.parametrize(
    'cfg, message',
    [
        (dict(), 'no model'),
        (dict(model=dict(type='X')), 'no backbone'),
        (detector(dict(type='SwinTransformer')), 'model.backbone is a SwinTransformer'),
        (detector(dict(type='FishNet')), 'model.backbone is a FishNet'),
        (detector(resnet(out_indices=(0, 4), strides=(1, 2, 2, 2, 2))), 'strides 4, 64; FishNet has .* 4, 8, 16, 32'),
        (detector(neck=dict(type='FPN', in_channels=[512, 1024, 2048])), 'model.neck takes 3 features.* gets 4'),
        (detector(neck=dict(type='RFP', in_channels=[256], rfp_backbone=resnet())), 'RFP at model.neck'),
        (detector(neck=None), 'neither a neck nor a head'),
    ],
)
def test_what_cannot_be_converted(cfg, message):
    with pytest.raises(FishNetError, match=message):
        fishify(cfg)


@pytest.mark.parametrize('depth', [50, 77, '150'])
def test_wrong_depth(depth):
    with pytest.raises(FishNetError, match='99, 150.* 201'):
        fishify(detector(), depth)


def test_rules_of_the_optimizer_for_parts_of_the_resnet():
    keys = {'backbone': 1, 'backbone.layer1': 2, 'backbone.stem': 3}
    cfg = dict(detector(), optim_wrapper=dict(paramwise_cfg=dict(custom_keys=keys)))
    (note,) = fishify(cfg).notes
    assert "'backbone.layer1'" in note


@pytest.mark.parametrize(
    'name',
    [
        'atss/atss_r50_fpn_1x_coco.py',
        'cascade_rcnn/cascade-mask-rcnn_x101-32x4d_fpn_1x_coco.py',
        'centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py',
        'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
        'detr/detr_r18_8xb2-500e_coco.py',
        'dyhead/atss_r50-caffe_fpn_dyhead_1x_coco.py',
        'fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py',
        'faster_rcnn/faster-rcnn_r50-caffe-dc5_1x_coco.py',
        'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        'htc/htc_r50_fpn_1x_coco.py',
        'ld/ld_r18-gflv1-r101_fpn_1x_coco.py',
        'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
        'maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
        'masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_youtubevis2019.py',
        'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
        'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
        'qdtrack/qdtrack_faster-rcnn_r50_fpn_4e_base.py',
        'retinanet/retinanet_r50_fpn_1x_coco.py',
        'rpn/rpn_r50-caffe-c4_1x_coco.py',
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
        'solov2/solov2_r50_fpn_1x_coco.py',
        'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py',
        'yolact/yolact_r50_1xb8-55e_coco.py',
        'yolof/yolof_r50-c5_8xb8-1x_coco.py',
    ],
)
def test_a_step_of_training(name, monkeypatch):
    """Loss and gradients of the whole model, which no place that was sized for the old channels would let through."""
    cfg = merged(of_mmdet(name).to_dict(), arch=TINY_FISH)
    # Where LD looks for its teacher's config.
    monkeypatch.chdir(mmdet_configs().parent)
    assert training_step(cfg, 96)['loss'] > 0
