"""Loading weights as a config asks for it: init_cfg=dict(type='FishNetPretrained', checkpoint=FILE)."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from released import fill_by_rule, released_weights, save_released
from safetensors.torch import save_file

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints import FishNetPretrained, check_pretrained
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FishNeXt
from fishnet_mmdet.models.released import rename_released


@pytest.fixture(scope='module')
def released_99():
    return released_weights(99)


@pytest.fixture(scope='module')
def renamed_99(released_99):
    return rename_released(released_99)


def init_cfg(file):
    return dict(type='FishNetPretrained', checkpoint=str(file))


def save(content, file):
    torch.save(content, file)
    return file


def without_counts(state_dict):
    return {name: tensor for name, tensor in state_dict.items() if not name.endswith('num_batches_tracked')}


def assert_equal(ours, theirs):
    assert len(ours) > 0
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]), name


def message_of_refusal(net, file, snapshot):
    """What loading a file into a network says, which leaves the network as it was; without the file's name."""
    before = snapshot(net)
    with pytest.raises(FishNetError) as error:
        FishNetPretrained(str(file))(net)
    assert_equal(net.state_dict(), before)
    message = str(error.value)
    assert str(file) in message
    assert '\n' not in message
    return message.replace(str(file), '')


@pytest.mark.parametrize('legacy', [True, False], ids=['legacy', 'zip'])
@pytest.mark.parametrize('module', [True, False], ids=['module.', ''])
@pytest.mark.parametrize('counts', [True, False], ids=['counts', 'no counts'])
def test_released_file_sets_every_tensor(legacy, module, counts, released_99, renamed_99, tmp_path, mmengine_log):
    file = tmp_path / 'fishnet99_ckpt.tar'
    weights = released_99 if counts else without_counts(released_99)
    if module:
        save_released(weights, file, legacy=legacy)
    else:
        torch.save(dict(state_dict=weights), file, _use_new_zipfile_serialization=not legacy)
    net = MODELS.build(ConfigDict(type='FishNet', depth=99, init_cfg=init_cfg(file)))
    net.init_weights()
    assert_equal(net.state_dict(), renamed_99)
    assert not net.has_untrained_frozen_norm()
    assert f'loaded {len(net.state_dict())} of {len(net.state_dict())} tensors from {file}' in mmengine_log.text


def test_released_file_sets_a_shortened_head(renamed_99, released_99, tmp_path, mmengine_log):
    save_released(released_99, tmp_path / 'fishnet99_ckpt.tar')
    net = FishNet(99, out_indices=(0, 1), init_cfg=init_cfg(tmp_path / 'fishnet99_ckpt.tar'))
    net.init_weights()
    assert_equal(net.state_dict(), renamed_99)
    loaded = [record.getMessage() for record in mmengine_log.records if 'loaded' in record.getMessage()]
    assert len(loaded) == 1
    for word in (len(net.state_dict()), len(renamed_99) - len(net.state_dict()), tmp_path / 'fishnet99_ckpt.tar'):
        assert str(word) in loaded[0]


@pytest.mark.parametrize(
    'wrap', [dict, lambda weights: dict(meta=dict(epoch=1), state_dict=weights)], ids=['weights', 'checkpoint']
)
@pytest.mark.parametrize('num_stages', [2, 3, 4])
def test_our_own_file_sets_every_tensor(num_stages, wrap, small_net, small_fish, tmp_path):
    weights = small_net(num_stages).state_dict()
    file = save(wrap(weights), tmp_path / 'own.pth')
    net = FishNet(arch=small_fish(num_stages), out_indices=(0, num_stages), init_cfg=init_cfg(file))
    net.init_weights()
    assert_equal(net.state_dict(), weights)


def test_weights_of_half_precision_are_widened(small_net, small_fish, tmp_path):
    halves = {name: tensor.half() for name, tensor in small_net().state_dict().items()}
    net = FishNet(arch=small_fish(), init_cfg=init_cfg(save(halves, tmp_path / 'half.pth')))
    net.init_weights()
    for name, tensor in net.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            assert tensor.dtype == torch.float32 and torch.equal(tensor, halves[name].float()), name


def test_group_norm_has_files_of_its_own(small_net, tmp_path, snapshot):
    norm_cfg = dict(type='GN', num_groups=2)
    weights = small_net(norm_cfg=norm_cfg).state_dict()
    net = small_net(norm_cfg=norm_cfg)
    torch.nn.init.zeros_(net.stem.conv1.weight)
    FishNetPretrained(str(save(weights, tmp_path / 'gn.pth')))(net)
    assert_equal(net.state_dict(), weights)
    message = message_of_refusal(small_net(), tmp_path / 'gn.pth', snapshot)
    assert 'stem.norm1.running_mean' in message


@pytest.mark.parametrize('name', ['stem.conv1.weight', 'bridge.conv2.bias', 'head.stage3.transfer.0.norm3.running_var'])
def test_a_missing_tensor_is_named(name, small_net, tmp_path, snapshot):
    weights = small_net().state_dict()
    number = len(weights)
    del weights[name]
    net = small_net()
    torch.nn.init.zeros_(net.stem.norm3.bias)
    message = message_of_refusal(net, save(weights, tmp_path / 'own.pth'), snapshot)
    assert '1 tensors are missing' in message and f'of {number} tensors' in message
    assert message.endswith(f': {name}')


def test_the_first_of_many_missing_tensors_are_named(small_net, tmp_path, snapshot):
    weights = {name: tensor for name, tensor in small_net().state_dict().items() if not name.startswith('stem.')}
    message = message_of_refusal(small_net(), save(weights, tmp_path / 'own.pth'), snapshot)
    assert '15 tensors are missing' in message  # three convolutions, and three BN without their counts
    assert message.endswith(
        'stem.conv1.weight, stem.norm1.weight, stem.norm1.bias, stem.norm1.running_mean, stem.norm1.running_var ...'
    )


@pytest.mark.parametrize(
    'names',
    [['bridge.conv1.weight'], ['stem.conv1.weight', 'tail.stage1.0.norm1.bias', 'head.stage1.refine.0.conv1.weight']],
)
def test_a_tensor_of_another_shape_is_named(names, small_net, tmp_path, snapshot):
    net, weights = small_net(), small_net().state_dict()
    torch.nn.init.zeros_(net.stem.conv2.weight)
    for name in names:
        weights[name] = weights[name].unsqueeze(0)
    message = message_of_refusal(net, save(weights, tmp_path / 'own.pth'), snapshot)
    for name in names:
        shape = tuple(net.state_dict()[name].shape)
        assert f'{name} is {(1, *shape)} and should be {shape}' in message


def save_small(depth, file):
    """A released file of a depth that takes little room: every tensor is one number, expanded."""
    with torch.device('meta'):
        shapes = {name: tensor.shape for name, tensor in ReleasedFishNet(depth).state_dict().items()}
    save_released({name: torch.tensor(1.0).expand(shape) for name, shape in shapes.items()}, file, legacy=False)
    return file


@pytest.mark.parametrize(
    'given, wanted',
    [
        (99, 150),
        (99, 201),
        (150, 201),
        (150, 99),
        (201, 99),
        (201, 150),
    ],
)
def test_a_file_of_another_depth_is_refused(given, wanted, tmp_path, snapshot):
    message = message_of_refusal(FishNet(wanted), save_small(given, tmp_path / 'released.tar'), snapshot)
    assert 'tail.stage' in message


def test_a_file_of_another_fish_is_refused(small_net, tmp_path, snapshot):
    for given, wanted in ((2, 3), (3, 2), (4, 3)):
        file = save(small_net(given).state_dict(), tmp_path / f'{given}.pth')
        assert 'does not fit' in message_of_refusal(small_net(wanted), file, snapshot)


@pytest.mark.parametrize(
    'checkpoint',
    [
        {},
        {'state_dict': {}},
        {'backbone.stem.conv1.weight': torch.ones(3)},
        *(
            content
            for content in (
                {0: 1},
                {'state_dict': None},
                {'state_dict': [1]},
                {'state_dict': {'stem.conv1.weight': 1}, 'a': 1},
            )
        ),
    ],
    ids=str,
)
def test_a_file_without_the_weights_is_refused(checkpoint, small_net, tmp_path, snapshot):
    if isinstance(checkpoint.get('state_dict'), dict) and checkpoint['state_dict']:
        checkpoint = dict(state_dict=dict(small_net().state_dict(), **checkpoint['state_dict']))
    message_of_refusal(small_net(), save(checkpoint, tmp_path / 'other.pth'), snapshot)


@pytest.mark.parametrize(
    'make',
    [
        lambda file: None,
        lambda file: file.mkdir(),
        lambda file: file.write_bytes(b''),
        lambda file: file.write_text('<!DOCTYPE html>\n<html></html>\n'),
        lambda file: torch.save([1], file),
    ],
    ids=['missing', 'folder', 'empty', 'html', 'list'],
)
def test_a_file_that_is_no_checkpoint_is_refused(make, small_net, tmp_path, snapshot):
    make(tmp_path / 'released.tar')
    message_of_refusal(small_net(), tmp_path / 'released.tar', snapshot)


@pytest.mark.parametrize('make', [lambda file: None, lambda file: file.mkdir()], ids=['missing', 'folder'])
def test_a_missing_file_is_refused_with_what_to_do(make, small_fish, tmp_path):
    file = tmp_path / 'fishnet99_ckpt.tar'
    make(file)
    net = FishNet(arch=small_fish(), init_cfg=init_cfg(file))
    for call in (net.init_weights, lambda: check_pretrained(str(file))):
        with pytest.raises(FishNetError) as error:
            call()
        for word in (
            str(file),
            'https://github.com/kevin-ssy/FishNet',
            'model.backbone.init_cfg.checkpoint=',
            '--from-scratch',
        ):
            assert word in str(error.value)


def test_an_existing_file_passes_the_check(tmp_path):
    (tmp_path / 'x.tar').write_bytes(b'x')
    check_pretrained(str(tmp_path / 'x.tar'))


def test_a_detector_loads_its_backbone(small_fish, small_net, tmp_path):
    """As a part of another module, whose init_weights calls the backbone's."""
    file = save(small_net().state_dict(), tmp_path / 'own.pth')
    detector = BaseModule()
    detector.backbone = FishNet(arch=small_fish(), init_cfg=init_cfg(file))
    detector.init_weights()
    assert_equal(detector.backbone.state_dict(), torch.load(file, weights_only=True))


def test_weights_by_rule_differ_from_the_initial_ones(small_net, small_fish):
    """What the tests of this file rest on: no tensor has the value that it has without loading."""
    fresh = FishNet(arch=small_fish())
    fresh.init_weights()
    for name, tensor in fill_by_rule((n, tuple(t.shape)) for n, t in fresh.state_dict().items()).items():
        assert name.endswith('num_batches_tracked') or not torch.equal(tensor, fresh.state_dict()[name]), name


@pytest.fixture
def detector():
    """Puts the weights of a backbone among those of a detector, in a checkpoint as the Runner writes it."""

    def wrap(weights, prefix='backbone.'):
        hub = MessageHub('hub_of_detector')
        hub.update_scalar('train/loss', np.float32(0.5))
        state_dict = {'neck.conv.weight': torch.ones(3), **{prefix + name: tensor for name, tensor in weights.items()}}
        meta = dict(epoch=1, iter=7, cfg='a = 1', dataset_meta=dict(classes=('a', 'b')))
        return dict(meta=meta, message_hub=hub.state_dict(), optimizer=dict(state={}), state_dict=state_dict)

    return wrap


@pytest.mark.parametrize('prefix', ['backbone.', 'module.backbone.', 'detector.backbone.', 'module.'])
def test_the_backbone_of_a_detector(prefix, small_net, small_fish, detector, tmp_path, mmengine_log):
    weights = small_net().state_dict()
    file = save(detector(weights, prefix), tmp_path / 'epoch_1.pth')
    net = FishNet(arch=small_fish(), out_indices=(0, 3), init_cfg=init_cfg(file))
    net.init_weights()
    assert_equal(net.state_dict(), weights)
    assert 'a detector with a fish of its own' in mmengine_log.text and '1 others in it' in mmengine_log.text


def test_safetensors(small_net, small_fish, tmp_path):
    weights = small_net().state_dict()
    save_file({f'backbone.{name}': tensor for name, tensor in weights.items()}, tmp_path / 'x.bin')
    net = FishNet(arch=small_fish(), init_cfg=init_cfg(tmp_path / 'x.bin'))
    net.init_weights()
    assert_equal(net.state_dict(), weights)


def test_one_of_teacher_and_student(small_net, small_fish, tmp_path, snapshot):
    teacher = small_net().state_dict()
    both = {
        **{f'teacher.backbone.{name}': tensor for name, tensor in teacher.items()},
        **{f'student.backbone.{name}': tensor + 1 for name, tensor in teacher.items()},
    }
    file = save(both, tmp_path / 'both.pth')
    message = message_of_refusal(small_net(), file, snapshot)
    assert 'teacher.backbone.' in message and 'student.backbone.' in message
    net = FishNet(arch=small_fish(), init_cfg=dict(**init_cfg(file), prefix='teacher.backbone.'))
    net.init_weights()
    assert_equal(net.state_dict(), teacher)


@pytest.mark.parametrize('depth', [150, 201])
def test_fishnext_and_fishnet_do_not_take_each_others(depth, tmp_path, snapshot):
    networks = dict(FishNet=FishNet, FishNeXt=FishNeXt)
    for given, wanted in (('FishNet', 'FishNeXt'), ('FishNeXt', 'FishNet')):
        with torch.device('meta'):
            shapes = {name: tensor.shape for name, tensor in networks[given](depth).state_dict().items()}
            net = networks[wanted](depth)
        file = save({name: torch.tensor(1.0).expand(shape) for name, shape in shapes.items()}, tmp_path / 'x.pth')
        with pytest.raises(FishNetError) as error:
            FishNetPretrained(str(file))(net)
        message = str(error.value)
        assert f'{given}-{depth} alone' in message and f'this {wanted}-{depth} of' in message
        assert 'tail.stage1.0.conv1.weight is (' in message


def test_the_message_names_both_architectures(tmp_path, snapshot):
    message = message_of_refusal(FishNet(99), save_small(150, tmp_path / 'released.tar'), snapshot)
    assert 'a released classifier, FishNet-150' in message and 'this FishNet-99 of' in message
    assert 'of the file are not in the network: tail.stage2.2.norm1.weight' in message


def test_another_network_is_no_fishnet(tmp_path, snapshot):
    file = save(torch.nn.Linear(2, 3).state_dict(), tmp_path / 'linear.pth')
    assert 'no FishNet: its first tensors are weight, bias' in message_of_refusal(FishNet(99), file, snapshot)


def test_weights_that_are_no_numbers_are_refused(small_net, tmp_path, snapshot):
    weights = {name: tensor.clone() for name, tensor in small_net().state_dict().items()}
    weights['bridge.conv1.weight'][0, 0] = float('nan')
    weights['head.stage1.refine.0.norm1.running_var'][1] = float('inf')
    file = save(weights, tmp_path / 'nan.pth')
    message = message_of_refusal(small_net(), file, snapshot)
    assert 'in 2 tensors: bridge.conv1.weight, head.stage1.refine.0.norm1.running_var' in message
    # What is not used does not matter.
    net = FishNet(arch=small_net().fish, out_indices=(0,), head_output='concat')
    weights['bridge.conv1.weight'].fill_(0)
    FishNetPretrained(str(save(weights, file)))(net)
    assert_equal(net.state_dict(), weights)


def test_only_a_fishnet_is_set(tmp_path, small_net):
    file = save(small_net().state_dict(), tmp_path / 'x.pth')
    with pytest.raises(FishNetError, match='not of a Linear'):
        FishNetPretrained(str(file))(torch.nn.Linear(2, 3))


def test_not_strict_sets_what_fits_and_warns(small_net, tmp_path, mmengine_log, snapshot):
    weights = small_net().state_dict()
    given = {name: tensor + 1 for name, tensor in weights.items() if not name.startswith('stem.')}
    given['bridge.conv2.bias'] = torch.zeros(3)
    file = save(given, tmp_path / 'part.pth')
    net = small_net()
    message_of_refusal(net, file, snapshot)
    mmengine_log.clear()
    FishNetPretrained(str(file), strict=False)(net)
    kept = {name for name, tensor in net.state_dict().items() if torch.equal(tensor, weights[name])}
    assert kept == {name for name in weights if name.startswith('stem.')} | {'bridge.conv2.bias'}
    assert_equal({name: tensor for name, tensor in net.state_dict().items() if name not in kept}, given)
    (warning,) = [record.getMessage() for record in mmengine_log.records if record.levelname == 'WARNING']
    # The counts of the stem's three BN are not weights.
    assert f'{len(kept) - 3} of {len(weights)} tensors keep their initial values: stem.conv1.weight' in warning
    assert str(file) in warning


def test_not_strict_warns_of_more_than_the_network_has(tmp_path, mmengine_log):
    net = FishNet(99)
    FishNetPretrained(str(save_small(150, tmp_path / 'x.tar')), strict=False)(net)
    assert all((tensor == 1).all() for name, tensor in net.state_dict().items())
    (warning,) = [record.getMessage() for record in mmengine_log.records if record.levelname == 'WARNING']
    assert 'FishNet-150' in warning and 'FishNet-99' in warning


def test_not_strict_needs_something_that_fits(small_net, tmp_path, snapshot):
    # As of any other fish, the counts of BN do fit.
    given = {name: tensor if tensor.ndim == 0 else torch.zeros(1, 2, 3) for name, tensor in small_net().state_dict().items()}
    net, before = small_net(), small_net().state_dict()
    with pytest.raises(FishNetError, match='does not fit'):
        FishNetPretrained(str(save(given, tmp_path / 'x.pth')), strict=False)(net)
    assert_equal(net.state_dict(), before)


def test_what_is_loaded_computes_what_the_released_model_does(released_99, tmp_path):
    file = tmp_path / 'fishnet99_ckpt.tar'
    save_released(without_counts(released_99), file)
    theirs = ReleasedFishNet(99).eval()
    theirs.load_state_dict(released_99)
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 64, 96)).astype(np.float32))
    with torch.no_grad():
        features, refined, _ = theirs(image)
        for head_output, wanted in (
            ('refined', [refined[7], refined[8], refined[9], features[10]]),
            ('concat', [features[7], features[8], features[9], features[10]]),
        ):
            net = FishNet(99, head_output=head_output, init_cfg=init_cfg(file)).eval()
            net.init_weights()
            for ours, their in zip(net(image), wanted):
                assert ours.shape == their.shape
                assert (ours - their).abs().max() < 1e-5 * their.abs().max()


def test_the_init_log_says_where_the_values_are_from(small_net, small_fish, tmp_path):
    file = save(small_net().state_dict(), tmp_path / 'own.pth')
    net = FishNet(arch=small_fish(), init_cfg=init_cfg(file))
    seen = {}
    record = net._dump_init_info
    net._dump_init_info = lambda *args, **kwargs: (
        seen.update({name: net._params_init_info[parameter]['init_info'] for name, parameter in net.named_parameters()}),
        record(*args, **kwargs),
    )
    net.init_weights()
    assert len(seen) > 100 and set(seen.values()) == {f'FishNetPretrained: load from {file}'}


def test_pytorchcv_file_sets_every_tensor(tmp_path, mmengine_log):
    keys = json.loads((Path(__file__).parents[1] / 'data/pytorchcv_fishnet150_keys.json').read_text())
    weights = {name: torch.tensor(len(name) / 100).expand(tuple(shape)) for name, shape in keys}
    torch.save(weights, tmp_path / 'x.pth')
    with zipfile.ZipFile(tmp_path / 'x.pth.zip', 'w') as archive:
        archive.write(tmp_path / 'x.pth', 'x.pth')
    net = FishNet(150)
    FishNetPretrained(str(tmp_path / 'x.pth.zip'))(net)
    assert_equal(
        net.state_dict(),
        {name: tensor.to(net.state_dict().get(name, tensor).dtype) for name, tensor in rename_released(weights).items()},
    )
    assert "pytorchcv's classifier, FishNet-150" in mmengine_log.text
