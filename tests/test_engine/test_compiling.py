"""The option ``--compile``."""

import shutil

import pytest
import torch
from conftest import REPO
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from fishnet_mmdet.engine.compiling import compile_parts
from fishnet_mmdet.errors import FishNetError

needs_compile = pytest.mark.skipif(not hasattr(nn.Module, 'compile'), reason='torch.nn.Module.compile came with torch 2.1')


@needs_compile
@pytest.mark.skipif(not shutil.which('g++'), reason='torch.compile on a CPU needs a C++ compiler, and there is none')
def test_other_sizes_compile_once_more_and_the_features_are_the_same(monkeypatch, small_fish):
    cfg = Config.fromfile(REPO / 'configs/faster_rcnn_fishnet150_fpn.py').model
    cfg.backbone = dict(type='fishnet_mmdet.FishNet', arch=small_fish())
    model = MODELS.build(dict(cfg, neck=dict(cfg.neck, in_channels=list(MODELS.build(cfg.backbone).out_channels)))).eval()
    sizes = [(64, 96), (96, 64), (128, 96), (96, 160)]
    images = [torch.rand(1, 3, *size) for size in sizes]
    with torch.no_grad():
        expected = list(map(model.extract_feat, images))
        names = list(model.state_dict())
        torch.compiler.reset()
        graphs = []
        monkeypatch.setattr('torch._dynamo.config.cache_size_limit', 2)
        backend = torch._dynamo.lookup_backend('aot_eager')
        monkeypatch.setattr(
            nn.Module, 'compile', compiling_with(nn.Module.compile, lambda graph, x: graphs.append(1) or backend(graph, x))
        )
        compile_parts(Wrapper(model))
        for image, levels in zip(images, expected):
            for ours, plain in zip(model.extract_feat(image), levels):
                torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    assert list(model.state_dict()) == names
    assert len(graphs) == 4, 'backbone and neck: one graph for the first size, one for all others'


class Wrapper(nn.Module):
    """As DistributedDataParallel has the model."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def compiling_with(compile_module, backend):
    return lambda module: compile_module(module, backend=backend)


@pytest.mark.parametrize(
    'attribute, value, message',
    [
        ('shutil.which', lambda name: None, ['--compile on a CPU needs a compiler', 'leave --compile out']),
        ('torch.nn.Module.compile', None, ['--compile needs PyTorch 2.1', torch.__version__]),
    ],
)
def test_messages(attribute, value, message, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    if value is None:
        monkeypatch.delattr(attribute, raising=False)
    else:
        if not hasattr(nn.Module, 'compile'):
            pytest.skip('torch before 2.1 gets the other message')
        monkeypatch.setattr(attribute, value)
    with pytest.raises(FishNetError) as error:
        compile_parts(nn.Identity())
    assert all(part in str(error.value) for part in message)
