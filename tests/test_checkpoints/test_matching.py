"""Whether a checkpoint is a whole model's."""

import pytest
import torch
from mmengine.model import BaseModule
from released import released_weights, save_released
from safetensors.torch import save_file

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints import check_fits
from fishnet_mmdet.checkpoints.matching import check_numbers
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import ClassificationHead, as_classifier_weights


class Whole(BaseModule):
    """A backbone and a cls_head, as the classifier has them."""

    def __init__(self, backbone, **cls_head):
        super().__init__()
        self.backbone = backbone
        self.cls_head = ClassificationHead(backbone.out_channels[-1], **cls_head)


@pytest.fixture
def model(small_net):
    return Whole(small_net(), num_classes=10)


def message_of_refusal(model, file):
    with pytest.raises(FishNetError) as error:
        check_fits(model, file)
    assert str(file) in str(error.value) and '\n' not in str(error.value)
    return str(error.value)


def without_counts(weights):
    return {name: tensor for name, tensor in weights.items() if not name.endswith('num_batches_tracked')}


@pytest.mark.parametrize(
    'wrap',
    [
        dict,
        without_counts,
        lambda weights: dict(meta=dict(epoch=1), state_dict=weights),
        lambda weights: dict(state_dict={f'module.{name}': tensor for name, tensor in weights.items()}),
    ],
    ids=['plain', 'no counts', 'checkpoint', 'module.'],
)
def test_its_own_checkpoint_fits(wrap, model, tmp_path):
    file = tmp_path / 'x.pth'
    torch.save(wrap(model.state_dict()), file)
    check_fits(model, file)
    check_fits(model, f'file://{file}')


def test_safetensors_fit(model, tmp_path):
    save_file(model.state_dict(), tmp_path / 'x.pth')
    check_fits(model, tmp_path / 'x.pth')


def test_a_released_file_fits_the_classifier(tmp_path):
    save_released(without_counts(released_weights(99)), tmp_path / 'x.tar')
    with torch.device('meta'):
        models = {depth: Whole(FishNet(depth)) for depth in (99, 150)}
        other_classes = Whole(FishNet(99), num_classes=10)
    check_fits(models[99], tmp_path / 'x.tar')
    message = message_of_refusal(models[150], tmp_path / 'x.tar')
    for word in ('a released classifier, FishNet-99', 'FishNet-150', 'are missing', 'backbone.tail.stage2.2.norm1.weight'):
        assert word in message
    message = message_of_refusal(other_classes, tmp_path / 'x.tar')
    assert 'cls_head.conv2.weight is (1000, 1056, 1, 1) and should be (10, 1056, 1, 1)' in message


def test_every_difference_is_named(model, tmp_path):
    weights, file = model.state_dict(), tmp_path / 'x.pth'
    missing = weights.pop('cls_head.norm1.weight')
    weights['neck.conv.weight'] = missing
    weights['backbone.stem.norm1.bias'] = weights['backbone.stem.norm1.bias'][:-1]
    torch.save(weights, file)
    message = message_of_refusal(model, file)
    for word in (
        '1 tensors are missing in the file: cls_head.norm1.weight',
        '1 tensors of the file are not in the network: neck.conv.weight',
        '1 tensors have another shape: backbone.stem.norm1.bias is (7,) and should be (8,)',
        'a detector with a fish of its own',
        f'{len(model.state_dict())} tensors',
    ):
        assert word in message


def test_no_fishnet_in_the_file_or_the_model(model, tmp_path):
    file, other = tmp_path / 'x.pth', torch.nn.Linear(2, 3)
    torch.save(other.state_dict(), file)
    check_fits(other, file)
    assert 'holds no FishNet: its first tensors are weight, bias' in message_of_refusal(model, file)
    torch.save(model.state_dict(), file)
    assert 'this Linear, no FishNet' in message_of_refusal(other, file)


def test_the_backbone_alone_is_not_the_whole(model, tmp_path):
    torch.save(model.backbone.state_dict(), tmp_path / 'x.pth')
    message = message_of_refusal(model, tmp_path / 'x.pth')
    assert 'are missing in the file: backbone.stem.conv1.weight' in message
    assert 'no classification head' in message and '--with-cls-head' in message


def test_the_classification_head_is_not_to_blame_for_other_differences(model, small_net, tmp_path):
    torch.save(Whole(small_net(2), num_classes=10).state_dict(), tmp_path / 'x.pth')
    assert '--with-cls-head' not in message_of_refusal(model, tmp_path / 'x.pth')


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_released_weights_become_the_classifiers(prefix):
    with torch.device('meta'):
        released, ours = ReleasedFishNet(99).state_dict(), Whole(FishNet(99)).state_dict()
    renamed = as_classifier_weights({prefix + name: tensor for name, tensor in released.items()})
    assert {name: tensor.shape for name, tensor in renamed.items()} == {name: t.shape for name, t in ours.items()}
    assert [id(tensor) for tensor in renamed.values()] == [id(tensor) for tensor in released.values()]


def test_other_weights_keep_their_names(model):
    weights = model.state_dict()
    assert as_classifier_weights(weights) == dict(weights)


@pytest.mark.parametrize('number', [float('nan'), float('inf'), -float('inf')])
def test_weights_that_are_no_numbers(number):
    weights = {name: torch.zeros(5) for name in 'abcdefgh'}
    weights['num_batches_tracked'] = torch.tensor(3)
    check_numbers(weights, 'x.pth')
    for name in 'bcdefg':
        weights[name][3] = number
    with pytest.raises(FishNetError, match=r'x\.pth has NaN or infinite numbers in 6 tensors: b, c, d, e, f \.\.\.'):
        check_numbers(weights, 'x.pth')


@pytest.mark.parametrize('dtype', [torch.int64, torch.int8, torch.bool, torch.complex64])
def test_weights_of_types_that_no_network_computes_with(dtype):
    weights = dict(num_batches_tracked=torch.tensor(3), weight=torch.ones(2).to(dtype))
    with pytest.raises(FishNetError, match=rf'x\.pth: weight is of the type {str(dtype)[6:]}, .* float32'):
        check_numbers(weights, 'x.pth')


@pytest.mark.parametrize('number, dtype', [(1e300, torch.float32), (-1e300, torch.float32), (1e5, torch.float16)])
def test_weights_too_large_for_the_network(number, dtype):
    weights = dict(weight=torch.tensor([1, number], dtype=torch.float64))
    with pytest.raises(FishNetError, match=rf'x\.pth: weight has numbers too large for {str(dtype)[6:]}'):
        check_numbers(weights, 'x.pth', dict(weight=torch.ones(2, dtype=dtype)))
    check_numbers(weights, 'x.pth', dict(weight=torch.ones(2, dtype=torch.float64)))


def test_negative_variances():
    weights = {'a.running_mean': torch.tensor([-1.0]), 'a.running_var': torch.tensor([0.0])}
    check_numbers(weights, 'x.pth')
    weights['a.running_var'] -= 1e-6
    with pytest.raises(FishNetError, match=r'x\.pth has negative variances in 1 tensors: a\.running_var'):
        check_numbers(weights, 'x.pth')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_empty_and_narrow_tensors_are_checked_too(dtype):
    weights = dict(empty=torch.empty(0), weight=torch.tensor([1, float('nan')], dtype=dtype))
    with pytest.raises(FishNetError, match='NaN or infinite numbers in 1 tensors: weight'):
        check_numbers(weights, 'x.pth')


def test_a_model_is_not_tested_with_broken_weights(model, tmp_path):
    weights = model.state_dict()
    weights['cls_head.norm1.weight'][0] = float('nan')
    torch.save(weights, tmp_path / 'x.pth')
    assert 'NaN or infinite numbers in 1 tensors: cls_head.norm1.weight' in message_of_refusal(model, tmp_path / 'x.pth')
