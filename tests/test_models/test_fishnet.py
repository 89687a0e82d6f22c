"""The backbone as a detector uses it: levels and sizes, freezing, normalisation, initialisation, refused arguments."""

import copy
import doctest
import itertools
import logging
import math

import numpy as np
import pytest
import torch
import torch.nn as nn
from equal_lengths import zip_equal
from mmdet.models import ResNet
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from fishnet_mmdet import FishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import untrained_frozen_norm
from fishnet_mmdet.models.parts import up
from fishnet_mmdet.models.units import POOLS

FROM_SCRATCH = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)
LEVELS = [levels for number in range(1, 5) for levels in itertools.combinations(range(4), number)]
MULTIPLES = [(32, 32), (64, 96), (160, 32), (224, 256), (1344, 800)]
OTHERS = [(33, 35), (37, 64), (39, 41), (45, 63), (51, 49), (65, 67), (69, 59), (32, 70), (43, 66), (50, 34)]
SAVED = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


def build(**kwargs):
    return FishNet(**kwargs)


def build_from_registry(**kwargs):
    return MODELS.build(ConfigDict(type='FishNet', **kwargs))


def image(height=64, width=64, number=2, dtype=torch.float32):
    return torch.randn(number, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(0))


def untrained(net):
    """The parameters that training would change but the outputs do not depend on."""
    sum(x.sum() for x in net(image())).backward()
    return [
        name
        for name, parameter in net.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def test_is_built_from_a_config_with_the_documented_defaults():
    with torch.device('meta'):
        net = MODELS.build(ConfigDict(type='FishNet'))
    assert type(net) is FishNet
    assert net.fish.depth == 150
    assert net.out_indices == (0, 1, 2, 3)
    assert net.head_output == 'refined'
    assert net.frozen_stages == 0
    assert net.norm_cfg == dict(type='BN', requires_grad=False)
    assert net.norm_eval


def test_the_docstring_example():
    tests = doctest.DocTestFinder(recurse=False).find(FishNet, 'FishNet', globs={})
    results = [doctest.DocTestRunner().run(test) for test in tests]
    assert sum(result.attempted for result in results) >= 5
    assert sum(result.failed for result in results) == 0


# Levels


@pytest.mark.parametrize('head_output', ['refined', 'concat'])
@pytest.mark.parametrize('out_indices', LEVELS, ids=str)
def test_some_levels_are_those_of_the_full_network(out_indices, head_output, small_net):
    full = small_net(head_output=head_output).eval()
    net = small_net(head_output=head_output, out_indices=list(out_indices)).eval()
    net.load_state_dict({name: full.state_dict()[name] for name in net.state_dict()})
    with torch.no_grad():
        expected, outputs = full(image()), net(image())
    assert isinstance(outputs, tuple)
    assert net.out_channels == tuple((32, 64, 112, 144)[i] for i in out_indices)
    assert net.out_strides == tuple((4, 8, 16, 32)[i] for i in out_indices)
    for i, x in zip_equal(out_indices, outputs):
        assert torch.equal(x, expected[i])


@pytest.mark.parametrize('head_output', ['refined', 'concat'])
@pytest.mark.parametrize('out_indices', LEVELS, ids=str)
def test_outputs_depend_on_every_parameter(out_indices, head_output, small_net):
    kwargs = dict(out_indices=out_indices, head_output=head_output)
    assert untrained(small_net(**kwargs).train()) == []
    assert untrained(small_net(**kwargs, norm_cfg=dict(type='BN'), frozen_stages=-1).train()) == []


def test_outputs_of_both_kinds_differ_but_for_the_last(small_net):
    refined, concat = small_net().eval(), small_net(head_output='concat').eval()
    with torch.no_grad():
        features = refined.features(image())
        outputs = refined(image()), concat(image())
    for level in range(4):
        ours = features.refined[level] if level < 3 else features.head[3]
        assert torch.equal(outputs[0][level], ours)
        assert torch.equal(outputs[1][level], features.head[level])
        assert torch.equal(*(output[level] for output in outputs)) == (level == 3)


def test_features_of_all_parts(small_net):
    features = small_net().eval().features(image(64, 96, 1))
    channels = {part: [x.shape[1] for x in getattr(features, part)] for part in features._fields}
    assert channels == dict(tail=[16, 16, 16, 32], body=[32, 48, 32, 32], head=[32, 64, 112, 144], refined=[32, 64, 112])
    assert features.body[-1] is features.head[0]
    heights = {part: [x.shape[2] for x in getattr(features, part)] for part in features._fields}
    assert heights == dict(tail=[16, 8, 4, 2], body=[2, 4, 8, 16], head=[16, 8, 4, 2], refined=[16, 8, 4])


# Sizes


@pytest.mark.parametrize('height, width', MULTIPLES + OTHERS, ids=str)
def test_sizes_are_those_of_resnet(height, width, small_fish):
    with torch.device('meta'):
        x = torch.empty(1, 3, height, width)
        net, resnet = FishNet(arch=small_fish()).eval(), ResNet(18)
        resnet.eval()
        ours, theirs = ([tuple(level.shape[-2:]) for level in levels] for levels in (net(x), resnet(x)))
    assert ours == [(math.ceil(height / stride), math.ceil(width / stride)) for stride in (4, 8, 16, 32)]
    assert ours == theirs


@pytest.mark.parametrize('height, width', [(33, 35), (41, 64), (35, 62)], ids=str)
def test_the_last_row_and_column_of_any_size_count(height, width, small_net):
    """The tail alone, since the attention sees the whole image anyhow."""
    net = small_net().eval()
    x = image(height, width, 1).requires_grad_()
    for feature in net.features(x).tail:
        for axis in (-2, -1):
            (gradient,) = torch.autograd.grad(feature.select(axis, -1).sum(), x, retain_graph=True)
            assert gradient.select(axis, -1).any()


@pytest.mark.parametrize('height, width', [(4, 6), (5, 6), (4, 7), (1, 9), (17, 13)], ids=str)
def test_down_and_up_pixel_by_pixel(height, width):
    x = image(height, width)
    lower = POOLS['maxpool2']()(x)
    assert lower.shape[-2:] == (math.ceil(height / 2), math.ceil(width / 2))
    for i, j in itertools.product(range(lower.shape[-2]), range(lower.shape[-1])):
        assert torch.equal(lower[:, :, i, j], x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3)))
    higher = up(lower, x)
    assert higher.shape == x.shape
    for i, j in itertools.product(range(height), range(width)):
        assert torch.equal(higher[:, :, i, j], lower[:, :, i // 2, j // 2])


@pytest.mark.parametrize('height, width', [(33, 35), (41, 64)], ids=str)
def test_an_odd_size_runs_in_both_directions(height, width, small_net):
    net = small_net(norm_cfg=dict(type='BN'), frozen_stages=-1).train()
    outputs = net(image(height, width))
    assert all(x.isfinite().all() for x in outputs)
    sum(x.sum() for x in outputs).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


# Refused arguments


@pytest.mark.parametrize('builder', [build, build_from_registry])
@pytest.mark.parametrize(
    'kwargs, words',
    [
        (dict(depth=50), ['50', '99, 150 or 201']),
        (dict(depth='99'), ["'99'", '99, 150 or 201']),
        (dict(out_indices=()), ['out_indices', '0, 1, 2, 3', '()']),
        (dict(out_indices=None), ['out_indices', '0, 1, 2, 3', 'None']),
        (dict(out_indices=(1, 0)), ['out_indices', '0, 1, 2, 3', 'ascending', '(1, 0)']),
        (dict(out_indices=(1, 1)), ['out_indices', '0, 1, 2, 3', 'ascending', '(1, 1)']),
        (dict(out_indices=(2, 4)), ['out_indices', '0, 1, 2, 3', '(2, 4)']),
        (dict(out_indices=(-1, 2)), ['out_indices', '0, 1, 2, 3', '(-1, 2)']),
        (dict(out_indices=3), ['out_indices', '0, 1, 2, 3', '3']),
        (dict(out_indices='03'), ['out_indices', '0, 1, 2, 3', "'03'"]),
        (dict(out_indices=1.5), ['out_indices', '0, 1, 2, 3']),
        (dict(out_indices=(0.0, 1.0)), ['out_indices', '0, 1, 2, 3']),
        (dict(head_output='fish'), ['head_output', "'refined', 'concat'", "'fish'"]),
        (dict(head_output=None), ['head_output', "'refined', 'concat'", 'None']),
        (dict(frozen_stages=-2), ['frozen_stages', '-1', '1 to 3', '-2']),
        (dict(frozen_stages=4), ['frozen_stages', '-1', '1 to 3', '4']),
        (dict(frozen_stages=True), ['frozen_stages', '-1', '1 to 3', 'True']),
        (dict(frozen_stages=None), ['frozen_stages', '-1', '1 to 3', 'None']),
        (dict(frozen_stages=1.0), ['frozen_stages', '1 to 3']),
        (dict(norm_cfg=dict(requires_grad=False)), ['norm_cfg', "type='BN'", "{'requires_grad': False}"]),
        (dict(norm_cfg=None), ['norm_cfg', "type='BN'", 'None']),
        (dict(norm_cfg='BN'), ['norm_cfg', "type='BN'", "'BN'"]),
        (dict(norm_cfg=dict(type='GN', num_groups=32)), ['norm_cfg', 'num_groups', '16']),
        (dict(norm_cfg=dict(type='GN')), ['norm_cfg', 'num_groups']),
        (dict(norm_cfg=dict(type='GN', num_groups=0)), ['norm_cfg', 'groups']),
        (dict(norm_cfg=dict(type='Batch')), ['norm_cfg', 'Batch']),
        (dict(in_channels=0), ['in_channels', 'positive', '0']),
        (dict(in_channels='RGB'), ['in_channels', "'RGB'"]),
        (dict(with_cp='stage'), ['with_cp', 'True or False', "'stage'"]),
        (dict(fused=1), ['fused', 'True or False', '1']),
    ],
)
def test_argument_is_refused(kwargs, words, builder):
    with pytest.raises(FishNetError) as error:
        builder(**dict(dict(depth=99), **kwargs))
    for word in words:
        assert word in str(error.value)


def test_allowed_values_are_those_of_the_fish(small_fish):
    with pytest.raises(FishNetError, match='some of 0, 1, 2 in'):
        FishNet(arch=small_fish(2))
    with pytest.raises(FishNetError, match='1 to 2 '):
        FishNet(arch=small_fish(2), out_indices=(0, 2), frozen_stages=3)


# Images


@pytest.mark.parametrize('deep_stem', [True, False])
@pytest.mark.parametrize('in_channels', [1, 4, 12])
def test_images_of_other_channels(in_channels, deep_stem, small_fish):
    net = MODELS.build(dict(type='FishNet', arch=dict(small_fish(), deep_stem=deep_stem), in_channels=in_channels))
    reference = FishNet(arch=dict(small_fish(), deep_stem=deep_stem))
    assert net.stem.conv1.in_channels == net.in_channels == in_channels
    changed = {name for name, tensor in net.state_dict().items() if tensor.shape != reference.state_dict()[name].shape}
    assert changed == {'stem.conv1.weight'} and list(net.state_dict()) == list(reference.state_dict())
    x = torch.randn(1, in_channels, 64, 64)
    outputs = net.eval()(x)
    assert [x.shape[1] for x in outputs] == list(reference.out_channels)
    # Every channel counts.
    for channel in range(in_channels):
        other = x.clone()
        other[:, channel] += 1
        assert not torch.equal(net(other)[0], outputs[0])


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize(
    'x, words',
    [
        (torch.rand(1, 1, 64, 64), ['1 channels', 'takes 3', 'in_channels=1', '(1, 1, 64, 64)']),
        (torch.rand(2, 4, 64, 64), ['4 channels', 'in_channels=4']),
        (torch.rand(3, 64, 64), ['(3, 64, 64)', 'batch dimension', 'image[None]']),
        (torch.rand(64, 64), ['(n, 3, h, w)', '(64, 64)']),
        (torch.rand(1, 1, 3, 64, 64), ['(n, 3, h, w)', '(1, 1, 3, 64, 64)']),
        ([torch.rand(3, 64, 64)], ['list', 'torch.stack']),
        (np.zeros((64, 64, 3), np.uint8), ['ndarray', 'torch.from_numpy']),
        (None, ['NoneType']),
        (torch.rand(1, 3, 31, 64), ['31x64', 'at least 32x32']),
        (torch.rand(1, 3, 64, 8), ['64x8', 'at least 32x32']),
    ],
    ids=lambda value: None if isinstance(value, list) else type(value).__name__,
)
def test_image_is_refused(x, words, fused, small_net):
    for net in (small_net(fused=fused).eval(), small_net(fused=fused, norm_cfg=dict(type='BN'), norm_eval=False)):
        with pytest.raises(FishNetError) as error:
            net(x)
        for word in words:
            assert word in str(error.value)


@pytest.mark.parametrize('norm', ['BN', 'SyncBN'])
def test_one_value_a_channel_is_refused_where_bn_trains(norm, small_fish):
    net = FishNet(arch=small_fish(), norm_cfg=dict(type=norm), norm_eval=False, frozen_stages=-1)
    with pytest.raises(FishNetError, match='one image of 32x32 pixels'):
        net(image(32, 32, 1))
    # PyTorch itself takes each of these.
    for x in (image(32, 32, 2), image(32, 33, 1)):
        assert all(level.isfinite().all() for level in net(x))
    assert all(level.isfinite().all() for level in net.eval()(image(32, 32, 1)))
    assert all(level.isfinite().all() for level in FishNet(arch=small_fish())(image(32, 32, 1)))


def test_an_empty_batch(small_net):
    assert [tuple(x.shape) for x in small_net().eval()(torch.rand(0, 3, 64, 64))][0] == (0, 32, 16, 16)


def test_the_smallest_image_is_that_of_the_variant(small_fish):
    net = FishNet(arch=dict(small_fish(), stem_stride=1)).eval()
    assert net(image(8, 8, 1))[-1].shape[-2:] == (1, 1)
    with pytest.raises(FishNetError, match='at least 8x8'):
        net(image(7, 8, 1))


# Freezing and normalisation


@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('trained_norm', [False, True])
@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 3])
def test_a_training_step_changes_what_it_should_and_nothing_else(frozen_stages, trained_norm, norm_eval, small_net, snapshot):
    net = small_net(frozen_stages=frozen_stages, norm_eval=norm_eval, norm_cfg=dict(type='BN', requires_grad=trained_norm))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    net.eval().train()
    before = snapshot(net)
    for _ in range(2):
        optimizer.zero_grad()
        sum(x.square().mean() for x in net(image())).backward()
        optimizer.step()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}

    frozen = ['stem.', 'tail.stage1.', 'tail.stage2.', 'tail.stage3.'][: frozen_stages + 1]
    expected = set()
    for name in before:
        owner, kind = name.rsplit('.', 1)
        is_norm = f'{owner}.running_mean' in before
        may_change = not is_norm or (trained_norm if kind in ('weight', 'bias') else not norm_eval)
        if may_change and not name.startswith(tuple(frozen)):
            expected.add(name)
    assert changed == expected
    assert all(tensor.isfinite().all() for tensor in net.state_dict().values())


@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('frozen_stages', [-1, 0, 2])
def test_modes(frozen_stages, norm_eval, small_net):
    net = small_net(frozen_stages=frozen_stages, norm_eval=norm_eval)
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert net.training
    frozen = {id(module) for part in [net.stem, *net.tail.values()][: frozen_stages + 1] for module in part.modules()}
    frozen_norms = {id(module) for module in norms(net)} if norm_eval else set()
    for name, module in net.named_modules():
        assert module.training == (id(module) not in frozen | frozen_norms), name
    assert net.train(False) is net
    assert not any(module.training for module in net.modules())


def test_frozen_stays_frozen_when_someone_asks_for_gradients(small_net):
    net = small_net(frozen_stages=1)
    net.requires_grad_(True)
    net.train()
    trained = {name.split('.')[0] + '.' + name.split('.')[1] for name, p in net.named_parameters() if p.requires_grad}
    assert not {part for part in trained if part.startswith('stem') or part == 'tail.stage1'}
    assert 'tail.stage2' in trained


def test_group_norm_of_a_released_depth():
    net = FishNet(99, norm_cfg=dict(type='GN', num_groups=16), frozen_stages=-1)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 9)
    net.init_weights()
    assert not norms(net)
    groups = [module for module in net.modules() if isinstance(module, nn.GroupNorm)]
    assert {module.num_groups for module in groups} == {16}
    assert all((module.weight == 1).all() and (module.bias == 0).all() for module in groups)
    assert len(groups) == len(norms(FishNet(99)))
    outputs = net.train()(image(32, 32, 1))
    assert all(x.isfinite().all() for x in outputs)
    sum(x.sum() for x in outputs).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert not net.has_untrained_frozen_norm()


def test_synchronised_batch_norm(small_net):
    net = small_net(norm_cfg=dict(type='SyncBN'), norm_eval=False, frozen_stages=-1)
    assert norms(net) and all(isinstance(module, nn.SyncBatchNorm) for module in norms(net))
    assert all(module.training for module in norms(net.train()))
    frozen = small_net(norm_cfg=dict(type='SyncBN'), norm_eval=True).train()
    assert not any(module.training for module in norms(frozen))
    with torch.no_grad():
        for ours, plain in zip_equal(net.eval()(image()), small_net().eval()(image())):
            torch.testing.assert_close(ours, plain)


# Weights


def test_names_say_where_in_the_fish_a_weight_sits():
    with torch.device('meta'):
        names = list(FishNet(99).state_dict())
    assert len(names) == len(set(names))
    assert {name.split('.')[0] for name in names} == {'stem', 'tail', 'bridge', 'body', 'head'}
    for part in ('tail', 'body', 'head'):
        stages = {name.split('.')[1] for name in names if name.startswith(part)}
        assert stages == {'stage1', 'stage2', 'stage3'}
    assert {name.rsplit('.', 1)[1] for name in names} == set(SAVED)


def test_initial_weights():
    torch.manual_seed(0)
    net = FishNet(99)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 9)
    net.init_weights()
    ratios = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            c_out, k = module.out_channels, module.kernel_size[0]
            ratios.append(module.weight.flatten() / math.sqrt(2 / (k * k * c_out)))
            error = 5 / math.sqrt(2 * ratios[-1].numel())  # five standard errors of the deviation
            assert ratios[-1].std().item() == pytest.approx(1, abs=error), name
            assert module.bias is None or (module.bias == 0).all(), name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all(), name
            assert (module.running_mean == 0).all() and (module.running_var == 1).all(), name
    ratios = torch.cat(ratios)
    assert ratios.mean().item() == pytest.approx(0, abs=2e-3)
    assert ratios.std().item() == pytest.approx(1, abs=2e-3)
    assert (ratios.abs() < 1).float().mean().item() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=2e-3)


@pytest.mark.parametrize(
    'kwargs, frozen',
    [
        (dict(), True),
        (dict(frozen_stages=-1), True),
        (dict(norm_cfg=dict(type='SyncBN', requires_grad=False)), True),
        (dict(norm_eval=False), False),
        (dict(norm_cfg=dict(type='BN')), False),
        (dict(norm_cfg=dict(type='BN'), frozen_stages=3), False),
        (FROM_SCRATCH, False),
        (dict(norm_cfg=dict(type='GN', num_groups=2, requires_grad=False)), False),
    ],
)
def test_frozen_norm_without_pretrained_weights_is_warned_of(kwargs, frozen, small_fish, mmengine_log):
    net = FishNet(arch=small_fish(), **kwargs)
    net.init_weights()
    assert net.has_untrained_frozen_norm() is frozen
    warnings = [record.getMessage() for record in mmengine_log.records if record.levelno >= logging.WARNING]
    assert len(warnings) == frozen
    if frozen:
        assert warnings[0] == untrained_frozen_norm(net)
        for word in ('NaN', "checkpoint='fishnet150'", '--from-scratch'):
            assert word in warnings[0]


@pytest.mark.parametrize('init_cfg', ['fishnet150', dict(checkpoint='fishnet150'), [dict(type='Pretrained')]], ids=str)
def test_an_init_cfg_that_loads_nothing_is_refused(init_cfg, small_fish):
    with pytest.raises(FishNetError, match='init_cfg must be a dict with a type'):
        FishNet(arch=small_fish(), init_cfg=init_cfg)


def test_frozen_norm_with_pretrained_weights_is_not_warned_of(small_net, small_fish, tmp_path, mmengine_log):
    torch.save(small_net().state_dict(), tmp_path / 'weights.pth')
    net = FishNet(arch=small_fish(), init_cfg=dict(type='FishNetPretrained', checkpoint=str(tmp_path / 'weights.pth')))
    net.init_weights()
    assert not net.has_untrained_frozen_norm()
    assert not [record for record in mmengine_log.records if record.levelno >= logging.WARNING]


def test_the_fishnet_of_any_model_is_checked(small_net, small_fish):
    good, bad = small_net(), FishNet(arch=small_fish())
    assert untrained_frozen_norm(nn.Sequential(nn.Conv2d(3, 3, 1), good)) is None
    assert untrained_frozen_norm(ResNet(18, norm_cfg=dict(type='BN', requires_grad=False))) is None
    assert untrained_frozen_norm(bad).startswith('FishNet has frozen BN')
    assert untrained_frozen_norm(nn.ModuleDict(dict(student=good, teacher=nn.ModuleDict(dict(backbone=bad))))).startswith(
        'teacher.backbone has frozen BN'
    )


def test_activations_grow_with_frozen_norm_and_random_weights():
    """The reason for the warning: 150 layers of additions without a normalisation."""
    torch.manual_seed(0)
    net = FishNet(150)
    net.init_weights()
    with torch.no_grad():
        features = net.eval().features(image(number=1))
    assert features.head[-1].std() > 100 * features.tail[0].std()


@pytest.mark.parametrize('statistic', ['running_mean', 'running_var'])
def test_one_layer_with_statistics_is_a_trained_network(statistic, small_fish):
    net = FishNet(arch=small_fish())
    assert net.has_untrained_frozen_norm()
    getattr(norms(net)[-1], statistic)[0] = 0.5
    assert not net.has_untrained_frozen_norm()


@pytest.mark.parametrize('argument', ['affine', 'track_running_stats'])
def test_norm_without_weights_or_statistics_is_no_frozen_norm(argument, small_fish):
    FishNet(arch=small_fish(), norm_cfg={'type': 'BN', 'requires_grad': False, argument: False}).has_untrained_frozen_norm()


def test_a_deep_copy_is_another_network(small_net):
    net = small_net(frozen_stages=1).train()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        assert all(x.any() for x in twin(image()))
        for ours, fresh in zip_equal(twin(image()), small_net(frozen_stages=1).train()(image())):
            assert torch.equal(ours, fresh)
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in net.parameters()]
