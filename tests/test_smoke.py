"""One short test for each use of the package, for many stacks: `python .ci/stacks.py` makes docs/stacks.md of them."""

import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import REPO, TINY_CONFIG, TINY_FISH
from safetensors.torch import load_file
from torch.testing import assert_close

from fishnet_mmdet.datasets.shapes import CLASSES

#: Four images make two iterations an epoch.
BATCHES = "train_dataloader['batch_size'] = 2"


def run(*args, cwd):
    """Runs Python with one thread, and returns what it prints."""
    args = [sys.executable, *map(str, args)]
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(args, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def find(folder, name):
    """The file of a command or a config."""
    (file,) = (REPO / folder).rglob(name)
    return file


@pytest.fixture(scope='module')
def config(shapes, tmp_path_factory):
    """A Mask R-CNN with a tiny fish, on the generated data."""
    file = tmp_path_factory.mktemp('smoke') / 'tiny.py'
    base = str(find('configs', 'mask_rcnn_fishnet150_fpn_scratch.py'))
    text = TINY_CONFIG.format(
        base=base, fish=TINY_FISH, data_root=f'{shapes}/', num_classes=len(CLASSES), classes=CLASSES, more=BATCHES
    )
    file.write_text(text)
    return file


@pytest.fixture(scope='module')
def checkpoint(config):
    """The file that an epoch of training leaves."""
    run(find('tools', 'train.py'), config, '--work-dir', 'work', '--epochs', '1', cwd=config.parent)
    return config.parent / 'work/epoch_1.pth'


@pytest.fixture(scope='module')
def converted(checkpoint):
    """The backbone of the checkpoint as a safetensors file."""
    out = run(find('tools', 'convert_checkpoint.py'), checkpoint, 'tiny.safetensors', cwd=checkpoint.parent)
    return checkpoint.parent / out.split()[-1]


def losses(checkpoint):
    """The losses that the latest run logged, by step."""
    log = sorted(checkpoint.parent.glob('*/vis_data/scalars.json'))[-1]
    lines = map(json.loads, log.read_text().splitlines())
    return {line['step']: line['loss'] for line in lines if 'loss' in line}


#: All parameters learn.
LEARNS = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)


def test_import(tmp_path):
    run('-c', 'import fishnet_mmdet, mmdet.models, mmdet.apis', cwd=tmp_path)


def test_build(small_net):
    net = small_net(**LEARNS)
    features = net(torch.rand(2, 3, 64, 64))
    assert [x.shape[1] for x in features] == list(net.out_channels)
    assert [64 // x.shape[-1] for x in features] == list(net.out_strides)
    sum(x.square().mean() for x in features).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_train(checkpoint):
    steps = losses(checkpoint)
    assert list(steps) == [1, 2] and all(0 < loss < 100 for loss in steps.values())


def test_test(config, checkpoint):
    out = run(find('tools', 'test.py'), config, checkpoint, '--work-dir', 'test', cwd=config.parent)
    assert 'coco/bbox_mAP:' in out and 'coco/segm_mAP:' in out


def test_resume(config, checkpoint):
    out = run(find('tools', 'train.py'), config, '--work-dir', 'work', '--epochs', '2', '--resume', cwd=config.parent)
    assert 'resumed epoch: 1' in out
    assert list(losses(checkpoint)) == [3, 4]
    assert checkpoint.with_name('epoch_2.pth').is_file()


def test_convert(converted):
    assert converted.suffix == '.safetensors'


def test_load(converted, small_net):
    net = small_net(**LEARNS, init_cfg=dict(type='FishNetPretrained', checkpoint=str(converted)))
    net.init_weights()
    assert_close(dict(net.state_dict()), load_file(converted), rtol=0, atol=0)


def test_trace(small_net, tmp_path):
    net, x = small_net().eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(net, x), tmp_path / 'tiny.pt')
        assert_close(torch.jit.load(tmp_path / 'tiny.pt')(x), net(x))


def test_export(small_net):
    if not hasattr(torch, 'export'):
        pytest.skip('torch.export is part of torch 2.1 and newer')
    net, x = small_net().eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        program = torch.export.export(net, (x,))
        graph = program.module() if hasattr(program, 'module') else program
        assert_close(tuple(graph(x)), tuple(net(x)))
