"""The trial of arguments: each wrong one gets one message that says what is wrong, before anything runs."""

import logging
from importlib import import_module

import cv2
import mmengine.runner.runner
import numpy as np
import pytest
import torch
from argument_cases import CASES, CONFIGS
from conftest import REPO, TINY_CONFIG, TINY_FISH
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner

from fishnet_mmdet.analysis.counts import FlopCounterMode
from fishnet_mmdet.commands.running import run
from fishnet_mmdet.datasets.shapes import CLASSES
from fishnet_mmdet.engine.distributed import VARIABLES


class Started(BaseException):
    """Work has begun: the arguments were accepted."""


def start(*args, **kwargs):
    raise Started


@pytest.fixture(scope='session')
def files(tmp_path_factory, shapes):
    """A folder with a config whose data exists, weights that fit it, an image, and what is none of them."""
    folder = tmp_path_factory.mktemp('arguments')
    inherits = folder / 'inherits.py'
    base = str(REPO / 'configs/scratch/mask_rcnn_fishnet150_fpn_scratch.py')
    data = dict(data_root=f'{shapes}/', num_classes=len(CLASSES), classes=CLASSES)
    inherits.write_text(TINY_CONFIG.format(base=base, fish=TINY_FISH, more='', **data))
    cfg = Config.fromfile(inherits)
    inherits.unlink()
    # In one file: a config is read in most of the cases.
    (folder / 'good.py').write_text('\n'.join(f'{name} = {value!r}' for name, value in cfg.to_dict().items()))
    for name, (text, _) in CONFIGS.items():
        (folder / name).write_text(text)
    (folder / 'resnet.py').write_text("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n")
    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}), folder / 'weights.pth')
    DefaultScope._instance_dict.clear()
    cv2.imwrite(str(folder / 'image.png'), np.zeros((64, 64, 3), np.uint8))
    (folder / 'file').write_text('a file')
    (folder / 'folder').mkdir()
    (folder / 'folder/note.txt').write_text('no image')
    (folder / 'folder.pkl').mkdir()
    (folder / 'dangling').symlink_to('nowhere')
    return folder


@pytest.fixture
def answer(files, monkeypatch, capfd):
    """Runs a command in this process, and returns its exit status and all that it printed."""
    monkeypatch.chdir(files)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    for names in VARIABLES.values():
        for name in names.values():
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    # Loggers that other tests of this process made write to where pytest caught their output, which is closed by now.
    monkeypatch.setattr(logging, 'raiseExceptions', False)
    # It asks compilers and drivers for their versions, which takes a second.
    monkeypatch.setattr(mmengine.runner.runner, 'collect_env', dict)
    for name in ('train', 'test'):
        monkeypatch.setattr(Runner, name, start)
    for command, work in (
        ('benchmark', 'compare'), ('benchmark_data', 'time_transforms'), ('benchmark_ops', 'compare'),
        ('compatibility', 'try_config'), ('infer', 'track_iter_progress'),
    ):  # fmt: skip
        monkeypatch.setattr(import_module(f'fishnet_mmdet.commands.{command}'), work, start)

    def run_(command, args):
        status = 0
        try:
            run(import_module(f'fishnet_mmdet.commands.{command}').main, args)
        except SystemExit as stop:
            status = stop.code
        except Started:
            pytest.fail('accepted')
        return status, ''.join(capfd.readouterr())

    return run_


@pytest.mark.parametrize('command, args, words', CASES, ids=[f'{command} {" ".join(args)}'[:90] for command, args, _ in CASES])
def test_wrong_argument_gets_one_message(command, args, words, answer):
    if command == 'stats' and FlopCounterMode is None:
        pytest.skip('counting multiply-adds needs torch 2.1 or newer, which is the message then')
    status, out = answer(command, args)
    assert status not in (0, None), 'accepted'
    assert 'Traceback' not in out
    assert out.count('error: ') == 1, out
    message = out[out.index('error: ') :]
    for word in words:
        assert word in message, message
    assert len(message) < 3000


def test_every_command_is_tried():
    from fishnet_mmdet.__main__ import COMMANDS

    assert {command for command, _, _ in CASES} == set(COMMANDS) and len(CASES) >= 150


@pytest.mark.parametrize(
    'options',
    [
        ['model.backbone.with_cp=True', 'model.backbone.norm_cfg.requires_grad=False', 'model.backbone.arch.down=conv'],
        ['train_cfg.max_epochs=3', 'train_cfg.val_begin=2', 'randomness.seed=1', 'randomness.deterministic=True'],
        ['train_dataloader.num_workers=1', 'train_dataloader.prefetch_factor=2', 'train_dataloader.dataset.indices=3'],
        ['optim_wrapper.optimizer.nesterov=True', 'optim_wrapper.accumulative_counts=2', 'optim_wrapper.clip_grad=None'],
        ['default_hooks.checkpoint.max_keep_ckpts=2', 'default_hooks.checkpoint.save_best=auto'],
        ['model.test_cfg.rcnn.nms.class_agnostic=True', 'model.neck.add_extra_convs=on_input', 'param_scheduler.0.end=5'],
        [
            'model.backbone._delete_=True',
            'model.backbone.type=ResNet',
            'model.backbone.depth=50',
            'model.backbone.style=caffe',
        ],
        ['optim_wrapper.paramwise_cfg.norm_decay_mult=0', 'train_dataloader.dataset.filter_cfg=None', 'custom_hooks=[]'],
        ['val_dataloader=None', 'val_cfg=None', 'val_evaluator=None', 'find_unused_parameters=True', 'log_level=WARNING'],
    ],
)
def test_right_settings_are_accepted(options, answer, files):
    from fishnet_mmdet.commands.arguments import ConfigOptions, Parser
    from fishnet_mmdet.engine.config_checks import check_config
    from fishnet_mmdet.engine.configs import read_config

    parser = Parser()
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions)
    cfg = read_config(files / 'good.py', parser.parse_args(['--cfg-options', *options]).cfg_options)
    check_config(cfg)


def test_trial_begins_with_a_right_config(answer, monkeypatch):
    """What the cases change is accepted as it is, so the refusals are of the changes."""
    for command, args in (('train', ['good.py']), ('test', ['good.py', 'weights.pth'])):
        with pytest.raises(pytest.fail.Exception, match='accepted'):
            answer(command, args)
