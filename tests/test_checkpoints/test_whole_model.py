"""Whole models as safetensors: half precision where it is enough, and read by mmengine as its own checkpoints."""

import pytest
import torch
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file, save_file
from torch import nn

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.checkpoints.whole_model import pack
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    net[1].running_var.fill_(1e6)  # more than float16 holds
    return net


def save(net, file, **meta):
    torch.save(dict(meta=meta, state_dict=net.state_dict(), optimizer=dict(state={0: torch.zeros(1000)})), file)
    return str(file)


def test_weights_are_halved_and_statistics_kept(net, tmp_path):
    source = save(net, tmp_path / 'epoch_1.pth', dataset_meta=dict(classes=('a', 'b')))
    file = pack(source, tmp_path / 'net.safetensors')
    tensors = load_file(file)
    wanted = net.state_dict()
    assert tensors.keys() == wanted.keys()
    for name, tensor in tensors.items():
        half = name in ('0.weight', '2.weight')
        assert tensor.dtype == (torch.float16 if half else wanted[name].dtype), name
        torch.testing.assert_close(tensor.float(), wanted[name].float(), rtol=2**-11 if half else 0, atol=1e-7 if half else 0)


def test_mmengine_reads_it(net, tmp_path):
    file = pack(save(net, tmp_path / 'epoch_1.pth', dataset_meta=dict(classes=('a', 'b'))), tmp_path / 'net.safetensors')
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    content = load_checkpoint(other, str(file), map_location='cpu', strict=True)
    assert content['meta']['dataset_meta'] == dict(classes=['a', 'b'])
    assert other[0].weight.dtype == torch.float32
    torch.testing.assert_close(other[0].weight, net[0].weight, rtol=2**-11, atol=1e-7)
    assert torch.equal(other[1].running_var, net[1].running_var)


@pytest.mark.parametrize('classes', ['{', '[' * 100000])
def test_damaged_names_of_classes(classes, net, tmp_path):
    save_file(net.state_dict(), tmp_path / 'x.safetensors', dict(dataset_meta=classes))
    with pytest.raises(FishNetError, match='x.safetensors is not a checkpoint'):
        read_checkpoint(tmp_path / 'x.safetensors')


def test_messages(net, tmp_path):
    with pytest.raises(FishNetError, match='names no classes'):
        pack(save(net, tmp_path / 'a.pth'), tmp_path / 'net.safetensors')
    with pytest.raises(FishNetError, match='must end with .safetensors'):
        pack(save(net, tmp_path / 'a.pth'), tmp_path / 'net.pth')
    with torch.no_grad():
        net[2].weight[0] = 1e6
    with pytest.raises(FishNetError, match='a.pth in float16 has NaN or infinite numbers in 1 tensors: 2.weight'):
        pack(save(net, tmp_path / 'a.pth', dataset_meta=dict(classes=['a'])), tmp_path / 'net.safetensors')
