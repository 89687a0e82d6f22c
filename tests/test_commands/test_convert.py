"""Slim files: what is in them, how they are named, and that they load as the whole ones do."""

import hashlib
from pathlib import Path

import pytest
import torch
from conftest import REPO
from mmengine.model import BaseModule
from released import released_weights, save_released
from safetensors import safe_open

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints import FishNetPretrained, check_fits
from fishnet_mmdet.checkpoints.convert import convert
from fishnet_mmdet.commands.inspect import report
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import ClassificationHead, as_classifier_weights

TOOL = REPO / 'tools/model_converters/convert_checkpoint.py'


@pytest.fixture(scope='module')
def weights():
    return released_weights(99)


@pytest.fixture(scope='module')
def released(weights, tmp_path_factory):
    """As the oldest files are: without the counts."""
    file = tmp_path_factory.mktemp('released') / 'fishnet99_ckpt.tar'
    save_released({name: tensor for name, tensor in weights.items() if 'num_batches' not in name}, file)
    return file


def read(file):
    if file.suffix == '.pth':
        content = torch.load(file, weights_only=True)
        assert content.keys() == {'meta', 'state_dict'}
        return content['meta'], content['state_dict']
    with safe_open(file, 'pt') as opened:
        return opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('with_cls_head', [False, True])
def test_a_released_file_there_and_back(with_cls_head, suffix, released, weights, tmp_path):
    before = released.read_bytes()
    file = convert(str(released), tmp_path / f'slim{suffix}', with_cls_head)
    assert [*tmp_path.iterdir()] == [file]
    assert file.name == f'slim-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}{suffix}'
    assert released.read_bytes() == before

    meta, slim = read(file)
    assert meta['arch'] == 'FishNet-99' and meta['source'] == 'fishnet99_ckpt.tar'
    wanted = as_classifier_weights(weights)
    if not with_cls_head:
        wanted = {name[len('backbone.') :]: tensor for name, tensor in wanted.items() if name.startswith('backbone.')}
    assert slim.keys() == wanted.keys()
    for name, tensor in slim.items():
        assert type(tensor) is torch.Tensor and tensor.dtype == wanted[name].dtype and torch.equal(tensor, wanted[name]), name

    nets = FishNet(99), FishNet(99)
    FishNetPretrained(str(released))(nets[0])
    FishNetPretrained(str(file))(nets[1])
    for (name, one), other in zip(nets[0].state_dict().items(), nets[1].state_dict().values()):
        assert torch.equal(one, other), name
    # The same again: content and name depend on nothing else.
    assert convert(str(released), tmp_path / f'slim{suffix}', with_cls_head) == file
    assert [*tmp_path.iterdir()] == [file]


def test_with_its_classification_head_a_file_is_a_whole_classifier(released, tmp_path):
    file = convert(str(released), tmp_path / 'slim.pth', with_cls_head=True)
    model = BaseModule()
    model.backbone, model.cls_head = FishNet(99), ClassificationHead(2112)
    check_fits(model, file)
    alone = convert(str(released), tmp_path / 'alone.pth')
    check_fits(model.backbone, alone)
    assert alone.stat().st_size < 0.85 * released.stat().st_size


def test_a_detector_with_memory_shared_between_its_tensors(small_net, tmp_path):
    weights = small_net().state_dict()
    big = torch.zeros(100_000)
    given = {}
    for name, tensor in weights.items():
        given[f'module.backbone.{name}'] = tensor
    view = big[: weights['stem.norm1.bias'].numel()]
    given['module.backbone.stem.norm1.bias'] = view
    given['module.backbone.stem.norm2.bias'] = view
    given['module.backbone.bridge.conv1.weight'] = weights['bridge.conv1.weight'].transpose(0, 1).contiguous().transpose(0, 1)
    given['neck.weight'] = torch.ones(50_000)
    torch.save(dict(state_dict=given, optimizer=dict(state={0: torch.ones(50_000)})), tmp_path / 'epoch_1.pth')
    for suffix in ('.pth', '.safetensors'):
        file = convert(str(tmp_path / 'epoch_1.pth'), tmp_path / f'out/slim{suffix}')
        _, slim = read(file)
        assert slim.keys() == weights.keys()
        assert torch.equal(slim['bridge.conv1.weight'], weights['bridge.conv1.weight'])
        assert all(tensor.is_contiguous() and tensor.untyped_storage().nbytes() < 200_000 for tensor in slim.values())
        assert (slim['stem.norm1.bias'] == 0).all()


def test_a_shortened_head_is_whole(tmp_path):
    for outputs in (dict(out_indices=(0,), head_output='concat'), dict(out_indices=(0,)), dict(out_indices=(1, 2))):
        net = FishNet(77, **outputs)
        torch.save(net.state_dict(), tmp_path / 'x.pth')
        _, slim = read(convert(str(tmp_path / 'x.pth'), tmp_path / 'slim.pth'))
        assert slim.keys() == net.state_dict().keys()


def test_group_norm_is_whole(tmp_path):
    net = FishNet(77, norm_cfg=dict(type='GN', num_groups=2))
    torch.save(net.state_dict(), tmp_path / 'x.pth')
    assert read(convert(str(tmp_path / 'x.pth'), tmp_path / 'slim.pth'))[1].keys() == net.state_dict().keys()


def refused(out, *args, **kwargs):
    """The message, after which there is no file."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(FishNetError) as error:
        convert(*args, out, **kwargs)
    assert sorted(out.parent.iterdir()) == before
    return str(error.value)


@pytest.mark.parametrize('channels', [1, 4])
def test_a_network_for_other_images_is_whole(channels, tmp_path):
    with torch.device('meta'):
        shapes = {name: list(tensor.shape) for name, tensor in FishNet(99).state_dict().items()}
    shapes['stem.conv1.weight'][1] = channels
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, tmp_path / 'x.pth')
    _, slim = read(convert(str(tmp_path / 'x.pth'), tmp_path / 'slim.pth'))
    assert {name: list(tensor.shape) for name, tensor in slim.items()} == shapes
    config = [line for line in report(str(tmp_path / 'x.pth')) if line.startswith('in a config')]
    assert f'depth=99, in_channels={channels}, init_cfg' in config[0]


@pytest.mark.parametrize('name', ['x.tar', 'x', 'x.PTH', 'x.pth.bak'])
def test_a_file_of_another_name_is_not_written(name, released, tmp_path):
    assert '.pth or .safetensors' in refused(tmp_path / name, str(released))


def test_what_is_not_worth_keeping_is_refused(released, small_net, tmp_path):
    source, out = tmp_path / 'x.pth', tmp_path / 'slim.pth'
    torch.save(torch.nn.Linear(2, 3).state_dict(), source)
    assert 'no FishNet' in refused(out, str(source))
    weights = small_net().state_dict()
    weights['bridge.conv1.weight'] = weights['bridge.conv1.weight'] * float('nan')
    torch.save(weights, source)
    assert 'bridge.conv1.weight' in refused(out, str(source))
    torch.save(small_net().state_dict(), source)
    assert 'no classification head' in refused(out, str(source), with_cls_head=True)


@pytest.mark.parametrize(
    'name', ['stem.conv1.weight', 'body.stage2.refine.0.norm2.running_var', 'head.stage3.refine.1.conv3.weight']
)
def test_a_released_model_without_one_of_its_tensors_is_refused(name, tmp_path):
    with torch.device('meta'):
        net = FishNet(99)
    given = {key: torch.zeros(()).expand(tensor.shape) for key, tensor in net.state_dict().items() if key != name}
    torch.save(given, tmp_path / 'x.pth')
    message = refused(tmp_path / 'slim.pth', str(tmp_path / 'x.pth'))
    assert 'FishNet-99' in message and f'1 tensors are missing in the file: {name}' in message


@pytest.mark.parametrize(
    'name', ['stem.conv2.weight', 'bridge.norm2.bias', 'body.stage2.refine.0.norm2.weight', 'tail.stage1.0.conv3.weight']
)
@pytest.mark.parametrize('is_renamed', [True, False])
def test_a_fish_of_its_own_is_whole_too(name, is_renamed, small_net, tmp_path):
    weights = small_net().state_dict()
    tensor = weights.pop(name)
    if is_renamed:
        weights[name[:-1] + 'x'] = tensor
    torch.save(weights, tmp_path / 'x.pth')
    with pytest.raises(
        FishNetError, match='not the whole of it: tensors are missing or have other names in ' + name.rpartition('.')[0]
    ):
        convert(str(tmp_path / 'x.pth'), tmp_path / 'slim.pth')


def test_the_source_is_never_written_over(small_net, tmp_path):
    torch.save(small_net().state_dict(), tmp_path / 'slim.pth')
    file = convert(str(tmp_path / 'slim.pth'), tmp_path / 'slim.pth')
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, 'slim.pth'])
    link = tmp_path / 'again' / 'slim.pth'
    link.parent.mkdir()
    link.symlink_to(tmp_path / 'slim.pth')
    content = (tmp_path / 'slim.pth').read_bytes()
    (tmp_path / 'again' / file.name).symlink_to(link)
    assert 'slim already' in refused(link, str(link))
    assert (tmp_path / 'slim.pth').read_bytes() == content


def test_a_folder_that_cannot_be_made(small_net, tmp_path):
    torch.save(small_net().state_dict(), tmp_path / 'x.pth')
    with pytest.raises(FishNetError, match='cannot be written'):
        convert(str(tmp_path / 'x.pth'), tmp_path / 'x.pth' / 'slim.pth')
    assert [path.name for path in tmp_path.iterdir()] == ['x.pth']


def test_the_command(here, refusal, tmp_path):
    with torch.device('meta'):
        shapes = {name: tensor.shape for name, tensor in ReleasedFishNet(150).state_dict().items()}
    save_released({name: torch.tensor(0.5).expand(shape) for name, shape in shapes.items()}, tmp_path / 'x.tar', legacy=False)
    out = here(TOOL, 'x.tar', 'slim.safetensors', '--with-cls-head')
    (file,) = tmp_path.glob('slim-*')
    assert Path(out.strip().splitlines()[-1]).name == file.name
    assert len(read(file)[1]) == len(shapes)
    refusal(TOOL, 'x.tar', 'slim.tar')
