"""The commands that put FishNet into configs: what they write, and what they say of what they cannot do."""

import json

import pytest
from conftest import REPO
from mmengine.config import Config

TOOL, ZOO = REPO / 'tools/fishify.py', REPO / 'tools/fishify_zoo.py'
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


def test_a_config_of_mmdet(command, tmp_path):
    out = command(TOOL, RETINANET, '-o', 'new/retinanet.py')
    assert 'tools/train.py new/retinanet.py' in out
    text = (tmp_path / 'new/retinanet.py').read_text()
    assert f'_base_ = {RETINANET!r}' in text and len(text.splitlines()) < 20
    cfg = Config.fromfile(tmp_path / 'new/retinanet.py')
    by_hand = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    assert cfg.model.backbone == by_hand.model.backbone
    assert cfg.model.neck.in_channels == by_hand.model.neck.in_channels and cfg.model.neck.start_level == 1
    assert cfg.custom_imports == by_hand.custom_imports


def test_a_config_of_ones_own(command, tmp_path):
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old/long.py').write_text(LONG)
    out = command(TOOL, 'old/long.py', '--depth', '99', '--checkpoint', 'mine.pth', '-o', 'new/long.py', MMDET_DATASETS='/x')
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
    says(RETINANET, '-o', 'new.py', '--depth', '50', ['50', '99, 150, 201'])
    says('nowhere.py', '-o', 'new.py', ['nowhere.py'])
    says('mmdet::retinanet/retinanet_r50_fpn_1x', '-o', 'new.py', ['did you mean', RETINANET])
    says('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', '-o', 'new.py', ['model.backbone is a SwinTransformer'])
    (tmp_path / 'lazy.py').write_text('from mmdet.models import ResNet\nmodel = dict(backbone=dict(type=ResNet))\n')
    says('lazy.py', '-o', 'new.py', ['lazy.py', 'fishnet_mmdet.fishify'])
    assert not (tmp_path / 'new.py').exists()


def test_the_zoo(command, tmp_path):
    args = ZOO, 'yolof/*coco.py', 'yolox/*s_8*', 'reid/*17half*', '-o', 'zoo', '--size', '64'
    out = command(*args)
    one, same = 'yolof/yolof_r50-c5_8xb8-1x_coco.py', 'yolof/yolof_r50-c5_8xb8-iter-1x_coco.py'
    assert f'1/2 {one}: works' in out and f'2/2 {same}: works' in out
    rows = json.loads((tmp_path / 'zoo/zoo.json').read_text())
    assert set(rows) == {one, same} and rows[same]['same_as'] == one
    table = (tmp_path / 'zoo/zoo.md').read_text()
    assert '- works: 2' in table and f'| {same} | YOLOF | works |' in table
    assert '2 of them done' in command(*args)
