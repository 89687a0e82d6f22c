"""The commands that put FishNet into configs: what they write, and what they say of what they cannot do."""

import pytest
from conftest import REPO
from mmengine.config import Config

TOOL = REPO / 'tools/model_converters/fishify.py'
RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
#: Neither short, nor without a list, a tuple of one, names that are no keywords, and what has to be said of it.
LONG = """
custom_imports = dict(imports=['json'], allow_failed_imports=False)
model = dict(
    type='X',
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        type='ResNeXt', depth=101, out_indices=(3,), dcn=dict(type='DCNv2'), init_cfg=dict(type='Pretrained', checkpoint='x')),
    neck=[
        dict(type='ChannelMapper', in_channels=[2048], out_channels=256, kernel_size=1, num_outs=1, act_cfg=dict(type='ReLU')),
        {'type': 'Y', 'lambda': 1.5, 'two words': ('a',), 'empty': [], 'quoted': "it's"}],
    head=dict(loss=1))
"""


@pytest.fixture
def says(refusal):
    """Runs the command, which must fail with one message that holds all of some words."""

    def run(*args_and_words):
        *args, words = args_and_words
        message = refusal(TOOL, *args)
        for word in words:
            assert word in message, message

    return run


def test_a_config_of_mmdet(here, tmp_path):
    out = here(TOOL, RETINANET, '-o', 'new/retinanet.py', MMDET_DATASETS='/elsewhere')
    assert 'tools/train.py new/retinanet.py' in out
    text = (tmp_path / 'new/retinanet.py').read_text()
    assert '/elsewhere' not in text
    assert f'_base_ = {RETINANET!r}' in text and len(text.splitlines()) < 20
    cfg = Config.fromfile(tmp_path / 'new/retinanet.py')
    by_hand = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    assert cfg.model.backbone == by_hand.model.backbone
    assert cfg.model.neck.in_channels == by_hand.model.neck.in_channels and cfg.model.neck.start_level == 1
    assert cfg.custom_imports == by_hand.custom_imports
    assert out.splitlines()[-1] == 'Training downloads the pretrained weights fishnet150 once, and then uses the saved file.'


def test_from_scratch(here, tmp_path):
    out = here(TOOL, 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', '--from-scratch', '-o', 'new.py')
    assert out.splitlines()[-1] == 'Training starts from random weights.'
    model = Config.fromfile(tmp_path / 'new.py').model
    (file,) = (REPO / 'configs').rglob('mask_rcnn_fishnet150_fpn_scratch.py')
    by_hand = Config.fromfile(file).model
    assert model.backbone == by_hand.backbone and model.neck == by_hand.neck
    assert model.roi_head.mask_head == by_hand.roi_head.mask_head


@pytest.mark.parametrize(
    'checkpoint, last_line',
    [
        ('there.pth', 'Training starts from the pretrained weights in there.pth.'),
        ('missing.pth', 'Training needs the pretrained weights missing.pth: this file does not exist yet.'),
        ('https://x/y.pth', 'Training downloads the pretrained weights from https://x/y.pth.'),
    ],
)
def test_where_the_weights_come_from(here, tmp_path, checkpoint, last_line):
    (tmp_path / 'there.pth').touch()
    out = here(TOOL, RETINANET, '--checkpoint', checkpoint, '-o', 'new.py')
    assert out.splitlines()[-1] == last_line
    assert Config.fromfile(tmp_path / 'new.py').model.backbone.init_cfg.checkpoint == checkpoint


def test_a_config_of_ones_own(here, tmp_path):
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old/long.py').write_text(LONG)
    out = here(TOOL, 'old/long.py', '--depth', '99', '--checkpoint', 'mine.pth', '-o', 'new/long.py', MMDET_DATASETS='/x')
    text = (tmp_path / 'new/long.py').read_text()
    assert "_base_ = '../old/long.py'" in text
    assert max(map(len, text.splitlines())) <= 127
    for what in ('DCNv2', 'std=[1.0, 1.0, 1.0]'):
        assert what in out and what in text[: text.index('_base_')]
    old, new = (Config.fromfile(tmp_path / f'{folder}/long.py') for folder in ('old', 'new'))
    assert new.custom_imports.imports == ['json', 'fishnet_mmdet']
    assert new.model.backbone == dict(
        type='FishNet',
        depth=99,
        out_indices=(3,),
        # As mmdet's ResNet where its config says nothing.
        frozen_stages=-1,
        init_cfg=dict(type='FishNetPretrained', checkpoint='mine.pth'),
    )
    assert new.model.neck[0] == dict(old.model.neck[0], in_channels=[2112])
    assert new.model.neck[1] == old.model.neck[1] and new.model.head == old.model.head
    assert new.model.data_preprocessor.bgr_to_rgb is True


def test_wrong_input(says, tmp_path):
    (tmp_path / 'there.py').write_text('')
    says(RETINANET, '-o', 'there.py', ['there.py exists'])
    assert (tmp_path / 'there.py').read_text() == ''
    says(RETINANET, '-o', 'new.txt', ['new.txt', '.py'])
    says(RETINANET, '-o', 'there.py/new.py', ['there.py/new.py cannot be written'])
    says(RETINANET, '-o', 'new.py', '--depth', '50', ['50', '99, 150'])
    says(RETINANET, '-o', 'new.py', '--checkpoint', 'None', ["'None'", '--from-scratch'])
    says(RETINANET, '-o', 'new.py', '--checkpoint', 'x.pth', '--from-scratch', ['--from-scratch', '--checkpoint'])
    says('nowhere.py', '-o', 'new.py', ['nowhere.py'])
    says('mmdet::retinanet/retinanet_r50_fpn_1x', '-o', 'new.py', ['did you mean', RETINANET])
    says('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', '-o', 'new.py', ['model.backbone is a SwinTransformer'])
    (tmp_path / 'lazy.py').write_text('from mmdet.models import ResNet\nmodel = dict(backbone=dict(type=ResNet))\n')
    says('lazy.py', '-o', 'new.py', ['lazy.py', 'new-style', 'fishnet_mmdet.fishify'])
    # mmengine prints such a key as that of dict(), in its own work dir too.
    (tmp_path / 'keyword.py').write_text(LONG.replace("'two words'", "'three'"))
    says('keyword.py', '-o', 'new.py', ['keyword.py', 'cannot be written by mmengine'])
    assert not (tmp_path / 'new.py').exists()
