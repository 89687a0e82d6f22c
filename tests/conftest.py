"""What the tests share: a small generated data set, a tiny detector, and a way to run the commands as a user does."""

import copy
import importlib.util
import logging
import os
import runpy
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from browser import browse  # noqa: F401  a fixture
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.utils import digit_version
from released import fill_by_rule
from web_server import cache, saved, site  # noqa: F401  fixtures

from fishnet_mmdet.datasets.shapes import CLASSES, make_shapes

REPO = Path(__file__).parents[1]
#: A fish with all parts, small enough for many training steps.
TINY_FISH = dict(
    tail_units=(1, 1, 1),
    bridge_units=1,
    body_units=(1, 1, 1),
    head_units=(1, 1, 1),
    body_transfers=(1, 1, 1),
    head_transfers=(1, 1, 1),
    stem_channels=16,
    tail_channels=(16, 16, 32),
    bridge_channels=32,
    body_channels=(32, 16, 16),
    head_channels=(32, 64, 112),
)
#: Small fish by their number of stages.
SMALL_FISH = {
    2: dict(
        tail_units=(1, 2),
        bridge_units=1,
        body_units=(1, 2),
        head_units=(1, 1),
        body_transfers=(1, 1),
        head_transfers=(1, 2),
        stem_channels=8,
        tail_channels=(16, 32),
        bridge_channels=32,
        body_channels=(32, 24),
        head_channels=(32, 80),
        body_dilations=(1, 2),
        head_dilations=(1, 1),
    ),
    3: TINY_FISH,
    4: dict(
        tail_units=(1, 1, 1, 2),
        bridge_units=2,
        body_units=(1, 1, 2, 1),
        head_units=(1, 2, 1, 1),
        body_transfers=(1, 1, 1, 1),
        head_transfers=(1, 1, 1, 1),
        stem_channels=8,
        tail_channels=(12, 16, 24, 32),
        bridge_channels=32,
        body_channels=(32, 28, 44, 8),
        head_channels=(16, 72, 116, 172),
        body_dilations=(1, 2, 4, 8),
        head_dilations=(1, 1, 2, 1),
    ),
}
#: What is left of a config of the repository for a test: all of it but the sizes and the data.
TINY_CONFIG = """
_base_ = {base!r}
fish = {fish!r}
data_root = {data_root!r}
model = dict(
    backbone=dict(arch=fish),
    neck=dict(in_channels=[32, 64, 112, 144], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes={num_classes}),
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes={num_classes})),
    train_cfg=dict(rcnn=dict(sampler=dict(num=16))))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
metainfo = dict(classes={classes!r})
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/instances_train.json',
                 data_prefix=dict(img='train/'), filter_cfg=dict(min_size=1), pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/instances_val.json',
                 data_prefix=dict(img='val/'), pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator
default_hooks = dict(logger=dict(interval=1))
{more}
"""


#: Whether setuptools brings the module, so that mmengine runs without the stand-in of fishnet_mmdet/compat.py.
has_pkg_resources = isinstance(getattr(importlib.util.find_spec('pkg_resources'), 'loader', None), SourceFileLoader)
#: For tests of torch.load, as other programs call it.
needs_2_6 = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.6.0'),
    reason='before PyTorch 2.6, torch.load(weights_only=True) can be told of no further types',
)


def _forget() -> None:
    DefaultScope._instance_dict.clear()
    os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)


@pytest.fixture(autouse=True)
def own_state():
    """Each test begins and ends without what mmengine and our commands set for the whole process.

    That is the default scope of the last config, and the variable that keeps torch.load to weights.
    """
    _forget()
    yield
    # Fixtures of the next module come before the next call of this one.
    _forget()


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A generated data set of 4 + 3 images."""
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=4, num_val=3)
    return root


@pytest.fixture
def tiny_config(tmp_path, shapes):
    """Writes a config that inherits one of the repository and returns its path."""

    def write(base='scratch/mask_rcnn_fishnet150_fpn_scratch.py', more='', name='tiny.py'):
        text = TINY_CONFIG.format(
            base=str(REPO / 'configs' / base),
            fish=TINY_FISH,
            data_root=f'{shapes}/',
            num_classes=len(CLASSES),
            classes=CLASSES,
            more=more,
        )
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


@pytest.fixture
def pretrained(tmp_path):
    """A file with weights of the tiny fish as pretraining leaves them: BN has seen data."""
    from fishnet_mmdet import FishNet

    torch.manual_seed(0)
    net = FishNet(arch=TINY_FISH, norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)
    net.init_weights()
    for _ in range(20):
        net(torch.randn(4, 3, 64, 64))
    file = tmp_path / 'tiny_pretrained.pth'
    torch.save(net.state_dict(), file)
    return file


@pytest.fixture
def command(tmp_path):
    """Runs a command of the repository from another folder, with one thread, and returns what it printed."""

    def run(*args, status=0, **env):
        args = [str(arg) for arg in args]
        if args[0].endswith('.py'):
            args = [sys.executable, *args]
        path = f'{Path(sys.executable).parent}:{env.pop("PATH", os.environ["PATH"])}'
        env = {**os.environ, 'OMP_NUM_THREADS': '1', **env, 'PATH': path}
        done = subprocess.run(args, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == status, done.stdout[-6000:]
        return done.stdout

    return run


@pytest.fixture
def small_fish():
    """The arguments of a small fish, by its number of stages."""
    return lambda num_stages=3: copy.deepcopy(SMALL_FISH[num_stages])


@pytest.fixture
def small_net(small_fish):
    """Builds a small FishNet with weights and statistics that depend on the tensors' names alone."""
    from fishnet_mmdet import FishNet

    def build(num_stages=3, **kwargs):
        kwargs.setdefault('out_indices', tuple(range(num_stages + 1)))
        net = FishNet(arch=small_fish(num_stages), **kwargs)
        net.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in net.state_dict().items()))
        return net

    return build


@pytest.fixture
def mmengine_log(caplog):
    """What mmengine's present logger logs, as the standard caplog."""
    # A logger of its own: one with a file, which a Runner of an earlier test leaves, takes some messages past the handlers.
    logger = MMLogger.get_instance(f'test_{uuid4()}')
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def snapshot():
    """Copies every parameter and buffer of a module."""
    return lambda module: {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@pytest.fixture
def here(monkeypatch, capfd, tmp_path):
    """As `command`, in this process, which has imported torch and mmdet already."""
    monkeypatch.chdir(tmp_path)
    # Loggers that other tests of this process made write to where pytest caught their output, which is closed by now.
    monkeypatch.setattr(logging, 'raiseExceptions', False)

    def run(*args, status=0, **env):
        with monkeypatch.context() as patch:
            # The commands set both for the whole process.
            for name, value in dict(TORCH_FORCE_WEIGHTS_ONLY_LOAD='1', LOCAL_RANK='0', **env).items():
                patch.setenv(name, str(value))
            patch.setattr(sys, 'argv', [str(arg) for arg in args])
            capfd.readouterr()
            ended = 0
            try:
                runpy.run_path(str(args[0]), run_name='__main__')
            except SystemExit as end:
                ended = end.code
            out = ''.join(capfd.readouterr())
        assert ended == status, out[-6000:]
        return out

    return run


@pytest.fixture
def refusal(here):
    """Runs a command in this process, which must fail with one message, and returns that."""

    def run(*args, **env):
        out = here(*args, status=1, **env)
        assert 'Traceback' not in out and out.count('error: ') == 1
        return out[out.index('error: ') :]

    return run


@pytest.fixture
def our_operators(monkeypatch):
    """Lets mmcv.ops call the operators of this package, also where mmcv has compiled ones."""
    import mmcv.ops  # noqa: F401  after the import of fishnet_mmdet, which makes it work without compiled operators

    from fishnet_mmdet.ops import OPERATORS
    from fishnet_mmdet.ops.stand_in import Operators

    ours = Operators(OPERATORS)
    modules = [module for name, module in list(sys.modules.items()) if name.startswith('mmcv.ops.')]
    for module in modules:
        if 'ext_module' in vars(module):
            monkeypatch.setattr(module, 'ext_module', ours)
