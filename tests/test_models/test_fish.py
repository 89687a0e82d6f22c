"""The variants: their numbers as published, fish of one's own, grouped ones, and the refusal of numbers that make no fish."""

import pytest
import torch
from equal_lengths import zip_equal
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict

from fishnet_mmdet import Fish, FishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FISHES, FISHNEXTS, ClassificationHead, FishNeXt, get_fish
from fishnet_mmdet.models.fish import DOWNS
from fishnet_mmdet.models.fused import MaxPool2x2
from fishnet_mmdet.models.units import POOLS, ResidualUnit

OUT_CHANNELS = {2: (32, 80, 112), 4: (16, 72, 116, 172, 204)}


def without(fish, name):
    return {key: value for key, value in fish.items() if key != name}


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    'depth, backbone, classifier',
    [
        (99, 13335296, 16628904),
        (150, 21665792, 24959400),
        (201, 41290944, 44584552),
    ],
)
def test_depths_have_the_published_numbers_of_parameters(depth, backbone, classifier):
    with torch.device('meta'):
        net = FishNet(depth)
        cls_head = ClassificationHead(net.out_channels[-1])
    assert get_fish(depth).depth == depth
    assert num_parameters(net) == backbone
    assert num_parameters(net) + num_parameters(cls_head) == classifier


def test_no_other_depths():
    assert list(FISHES) == [55, 77, 99, 150, 201]
    assert list(FISHNEXTS) == [99, 150, 201]


@pytest.mark.parametrize('depth', [99, 150, 201])
def test_features_of_the_released_depths(depth):
    fish = get_fish(depth)
    assert fish.num_stages == 3
    assert fish.tail_features == (64, 128, 256, 512)
    assert fish.body_features == (512, 768, 512, 320)
    assert fish.head_features == (320, 832, 1600, 2112)
    assert fish.strides == (4, 8, 16, 32)
    assert fish.body_dilations == (1, 2, 4)
    assert fish.head_dilations == (1, 1, 1)
    assert fish.stem_stride == 4 and fish.group_width is None


#: Channels that R puts out, by part: the report's Tables 1 to 3. In its 55, the last 48 are those that T brings.
REPORT = {
    99: ([128, 256, 512], 512, [512, 384, 256], [320, 832, 1600]),
    77: ([32, 64, 128], 128, [128, 96, 64], [80, 208, 400]),
    55: ([16, 32], 32, [32, 24], [32, 48]),
}


@pytest.mark.parametrize('depth', list(REPORT))
def test_channels_of_the_report(depth):
    with torch.device('meta'):
        net = FishNet(depth, out_indices=range(3 if depth == 55 else 4))
    tail, bridge, body, head = REPORT[depth]
    assert [stage[:-1][-1].conv3.out_channels for stage in net.tail.values()] == tail
    assert net.bridge.refine[-1].conv3.out_channels == bridge
    assert [stage.refine[-1].conv3.out_channels for stage in net.body.values()] == body
    refined = [stage.refine[-1].conv3.out_channels for stage in net.head.values()]
    if depth == 55:
        brought = net.head['stage1'].transfer[-1].conv3.out_channels
        refined = [refined[0], brought]
        assert net.head['stage2'].refine[0].conv1.in_channels == refined[0] + brought
    assert refined == head


def convolutions(depth):
    with torch.device('meta'):
        net = FishNet(depth)
    return {name: module for name, module in net.named_modules() if isinstance(module, torch.nn.Conv2d)}


def test_77_is_99_with_a_quarter_of_the_channels():
    ours, theirs = convolutions(77), convolutions(99)
    assert list(ours) == list(theirs)
    for name, conv in theirs.items():
        in_channels = 3 if name == 'stem.conv1' else conv.in_channels // 4
        assert (ours[name].in_channels, ours[name].out_channels) == (in_channels, conv.out_channels // 4), name
        assert (ours[name].kernel_size, ours[name].dilation) == (conv.kernel_size, conv.dilation), name


@pytest.mark.parametrize(
    'depth, size, channels, sizes',
    [
        (55, 32, (32, 80, 112), (32, 16, 8)),
        (55, 28, (32, 80, 112), (28, 14, 7)),
        (77, 32, (80, 208, 400, 528), (32, 16, 8, 4)),
        (77, 28, (80, 208, 400, 528), (28, 14, 7, 4)),
    ],
)
@torch.no_grad()
def test_small_images(depth, size, channels, sizes):
    net = FishNet(depth, out_indices=range(len(sizes))).eval()
    assert net.out_channels == channels
    assert net.out_strides == (1, 2, 4, 8)[: len(sizes)]
    assert [tuple(x.shape) for x in net(torch.rand(2, 3, size, size))] == [(2, c, s, s) for c, s in zip(channels, sizes)]


def test_without_transfers_features_are_concatenated_as_they_are(small_fish):
    """What the last channels of the body and the head are: the tail's and the body's features, not changed."""
    fish = dict(small_fish(), body_transfers=(0, 0, 0), head_transfers=(0, 0, 0))
    net = FishNet(arch=fish).eval()
    assert not [name for name in net.state_dict() if 'transfer' in name]
    seen = {}
    for part in ('stem', 'tail', 'bridge', 'body', 'head'):
        getattr(net, part).register_forward_hook(lambda _, __, out, part=part: seen.update({part: out}))
    net(torch.rand(1, 3, 64, 64))
    for body, tail in zip_equal(seen['body'][1:], seen['tail'][-2::-1]):
        assert torch.equal(body[:, -tail.shape[1] :], tail)
    for head, body in zip_equal(seen['head'][0][1:], seen['body'][-2::-1]):
        assert torch.equal(head[:, -body.shape[1] :], body)


@pytest.mark.parametrize('stride, sizes', [(1, (64, 32, 16, 8)), (2, (32, 16, 8, 4)), (4, (16, 8, 4, 2))])
@torch.no_grad()
def test_stride_of_the_stem(stride, sizes, small_fish):
    net = FishNet(arch=dict(small_fish(), stem_stride=stride)).eval()
    assert net.out_strides == tuple(64 // size for size in sizes)
    assert [x.shape[-1] for x in net(torch.rand(1, 3, 64, 64))] == list(sizes)


def test_fishnext_has_the_published_number_of_parameters():
    with torch.device('meta'):
        net = MODELS.build(dict(type='FishNeXt', depth=150))
        cls_head = ClassificationHead(net.out_channels[-1])
    assert type(net) is FishNeXt
    assert round((num_parameters(net) + num_parameters(cls_head)) / 1e6, 2) == 25.74


@pytest.mark.parametrize(
    'depth, widths',
    [
        (99, {16: 4, 8: 8, 4: 16, 2: 32}),
        (150, {16: 4, 8: 8, 4: 16, 2: 32}),
        ('custom', {16: 2, 8: 4, 4: 8, 2: 16}),
    ],
)
def test_groups_are_as_wide_as_the_resolution_says(depth, widths, small_fish):
    """4 at stride 4, doubled with every stage, in all units: R and T of every part and the bridge's."""
    custom = dict(small_fish(), group_width=2)
    units = {99: 29, 150: 46, 'custom': 16}[depth]
    found = {}
    with torch.device('meta'):
        net = MODELS.build(dict(type='FishNeXt', **(dict(arch=custom) if depth == 'custom' else dict(depth=depth))))
        for name, unit in net.named_modules():
            if isinstance(unit, ResidualUnit):
                unit.conv2.register_forward_hook(lambda conv, args, _, name=name: found.update({name: args[0].shape[-1]}))
        net(torch.rand(1, 3, 64, 64))
    assert len(found) == units
    assert set(found.values()) == set(widths)
    for name, size in found.items():
        conv, last = net.get_submodule(f'{name}.conv2'), net.get_submodule(f'{name}.conv3')
        assert conv.weight.shape[1] == conv.in_channels // conv.groups == widths[size], name
        assert conv.in_channels == conv.out_channels == last.in_channels == last.out_channels // 2, name
        assert conv.kernel_size == (3, 3)


@pytest.mark.parametrize('type_', ['FishNet', 'FishNeXt'])
def test_grouped_custom_fish_trains(type_, small_fish):
    arch = dict(small_fish(), group_width=2, stem_stride=2)
    net = MODELS.build(dict(type=type_, arch=arch, norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1))
    net.init_weights()
    outputs = net(torch.randn(2, 3, 32, 32))
    assert [tuple(x.shape) for x in outputs] == [(2, c, s, s) for c, s in zip((32, 64, 112, 144), (16, 8, 4, 2))]
    sum(x.square().mean() for x in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('depth', [55, 77, 152])
def test_fishnext_has_no_other_depths(depth):
    with pytest.raises(FishNetError, match=f'depth {depth} is unknown: use 99, 150 or 201,'):
        MODELS.build(dict(type='FishNeXt', depth=depth))


@pytest.mark.parametrize('wrapped', ['alone', 'prefix', 'list'])
def test_mmengines_pretrained_is_taken_by_the_strict_loader(wrapped, small_net, small_fish, tmp_path):
    weights = small_net().state_dict()
    file = tmp_path / 'x.pth'
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    if wrapped == 'prefix':
        init_cfg['prefix'] = 'backbone.'
        weights = {f'backbone.{name}': tensor for name, tensor in weights.items()}
    if wrapped == 'list':
        init_cfg = [dict(type='Constant', layer='Conv2d', val=3.0), init_cfg]
    torch.save(dict(state_dict=weights), file)
    net = MODELS.build(dict(type='FishNet', arch=small_fish(), init_cfg=init_cfg))
    net.init_weights()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, weights[('backbone.' if wrapped == 'prefix' else '') + name]), name

    # mmengine's own passes over a tensor that is missing.
    gone = next(name for name in weights if name.endswith('bridge.conv2.weight'))
    torch.save(dict(state_dict=without(weights, gone)), file)
    net = MODELS.build(dict(type='FishNet', arch=small_fish(), init_cfg=init_cfg))
    with pytest.raises(FishNetError, match='bridge.conv2.weight'):
        net.init_weights()


@pytest.mark.parametrize('form', [dict, ConfigDict, lambda fish: Fish(**fish)], ids=['dict', 'ConfigDict', 'Fish'])
@pytest.mark.parametrize('num_stages, depth', [(2, 3 * 14 + 12), (4, 3 * 25 + 12)])
def test_custom_fish_trains(form, num_stages, depth, small_fish):
    net = MODELS.build(
        dict(
            type='FishNet',
            arch=form(small_fish(num_stages)),
            out_indices=list(range(num_stages + 1)),
            norm_cfg=dict(type='BN'),
            norm_eval=False,
            frozen_stages=-1,
        )
    )
    assert net.fish == Fish(**small_fish(num_stages))
    assert net.fish.depth == depth == 3 * sum(isinstance(module, ResidualUnit) for module in net.modules()) + 12
    assert net.out_channels == OUT_CHANNELS[num_stages]
    assert net.out_strides == (4, 8, 16, 32, 64)[: num_stages + 1]

    torch.manual_seed(0)
    net.init_weights()
    outputs = net(torch.randn(2, 3, 128, 64))
    assert [tuple(x.shape) for x in outputs] == [
        (2, channels, 128 // stride, 64 // stride) for channels, stride in zip(net.out_channels, net.out_strides)
    ]
    sum(x.square().mean() for x in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_custom_fish_has_its_units_and_dilations(small_fish):
    net = FishNet(arch=small_fish(4), out_indices=(0, 1, 2, 3, 4))
    assert [len(stage[:-1]) for stage in net.tail.values()] == [1, 1, 1, 2]
    assert len(net.bridge.refine) == 2
    assert list(net.body) == ['stage4', 'stage3', 'stage2', 'stage1']
    assert [len(stage.refine) for stage in net.body.values()] == [1, 1, 2, 1]
    assert [len(stage.refine) for stage in net.head.values()] == [1, 2, 1, 1]
    for part, dilations in ((net.body, (1, 2, 4, 8)), (net.head, (1, 1, 2, 1))):
        for stage, dilation in zip_equal(part.values(), dilations):
            assert {unit.conv2.dilation for unit in stage.refine} == {(dilation, dilation)}
            assert {unit.conv2.dilation for unit in stage.transfer} == {(1, 1)}
    net = FishNet(arch=small_fish(2), out_indices=(0, 1, 2))
    assert [unit.conv2.dilation for unit in net.body['stage1'].refine] == [(2, 2), (2, 2)]
    assert len(net.head['stage2'].transfer) == 2


@pytest.mark.parametrize('down', DOWNS)
@pytest.mark.parametrize('head_output', ['refined', 'concat'])
@pytest.mark.parametrize('height, width', [(64, 96), (41, 63)], ids=str)
def test_every_way_down_trains(down, head_output, height, width, small_fish):
    net = FishNet(
        arch=dict(small_fish(2), down=down),
        out_indices=(0, 1, 2),
        head_output=head_output,
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        frozen_stages=-1,
    )
    outputs = net(torch.randn(2, 3, height, width))
    assert [tuple(x.shape) for x in outputs] == [
        (2, channels, -(-height // stride), -(-width // stride)) for channels, stride in zip(net.out_channels, net.out_strides)
    ]
    sum(x.square().mean() for x in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_ways_down_are_those_of_table_2(small_fish):
    pools = dict(maxpool2=(MaxPool2x2, 2), maxpool3=(torch.nn.MaxPool2d, 3), avgpool2=(torch.nn.AvgPool2d, 2))
    for down, (type_, kernel) in pools.items():
        net = FishNet(arch=dict(small_fish(2), down=down), out_indices=(0, 1, 2))
        places = [stage[-1] for stage in net.tail.values()] + [stage.down for stage in net.head.values()]
        assert len(places) == 4
        assert all(type(place) is type_ and (place.kernel_size, place.stride) == (kernel, 2) for place in places)
    net = FishNet(arch=dict(small_fish(2), down='conv'), out_indices=(0, 1, 2))
    strided = [name for name, module in net.named_modules() if getattr(module, 'stride', None) in ((2, 2), 2)]
    stage2 = 'tail.stage2.1'  # of two units
    assert strided == [
        'stem.conv1',
        *(
            f'{unit}.{conv}'
            for unit in ('tail.stage1.0', stage2, 'head.stage1.down', 'head.stage2.down')
            for conv in ('conv2', 'shortcut.conv')
        ),
    ]


def test_convolution_instead_of_pooling_adds_what_the_paper_says():
    with torch.device('meta'):
        added = num_parameters(FishNet(150, dict(down='conv'))) - num_parameters(FishNet(150))
    # A 1x1 shortcut with its norm where the resolution halves: 26.4M to 30.2M in Table 2.
    assert added == sum(c * c + 2 * c for c in (128, 256, 512, 320, 832, 1600))
    assert added / 1e6 == pytest.approx(30.2 - 26.4, abs=0.15)


def test_pools_at_an_odd_edge():
    x = torch.arange(15.0).reshape(1, 1, 3, 5)
    down = {name: pool()(x)[0, 0].tolist() for name, pool in POOLS.items()}
    assert down['maxpool2'] == [[6, 8, 9], [11, 13, 14]]
    assert down['maxpool3'] == [[6, 8, 9], [11, 13, 14]]
    assert down['avgpool2'] == [[3, 5, 6.5], [10.5, 12.5, 14]]


def test_plain_stem_is_one_convolution(small_fish):
    net = FishNet(arch=dict(small_fish(2), deep_stem=False), out_indices=(0, 1, 2)).eval()
    (conv,) = (module for module in net.stem.modules() if isinstance(module, torch.nn.Conv2d))
    assert (conv.kernel_size, conv.stride, conv.padding, conv.bias) == ((7, 7), (2, 2), (3, 3), None)
    assert net.stem(torch.rand(1, 3, 33, 64)).shape == (1, 8, 9, 16)
    assert get_fish(150, dict(deep_stem=False)).depth == 148


def test_a_variant_with_changes():
    fish = get_fish(150, dict(head_dilations=[4, 2, 1]))
    assert fish.head_dilations == (4, 2, 1)
    assert dict(vars(fish), head_dilations=(1, 1, 1)) == vars(FISHES[150])
    assert FishNeXt(99, dict(down='avgpool2')).fish.group_width == 4


@pytest.mark.parametrize('num_stages', [2, 3, 4])
def test_a_whole_architecture_needs_no_depth_and_minds_none(num_stages, small_fish):
    """A config that inherits a depth sets ``arch`` alone, without ``_delete_``."""
    fish = Fish(**small_fish(num_stages))
    for depth in (None, 150, 201):
        assert get_fish(depth, small_fish(num_stages)) == get_fish(depth, fish) == fish
    base = Config(dict(model=dict(type='FishNet', depth=150, arch=dict(down='conv'), out_indices=(0, 1))))
    base.merge_from_dict(dict(model=dict(arch=dict(small_fish(num_stages), down='maxpool2'))))
    assert MODELS.build(base.model).fish == fish


def test_fish_of_lists_and_of_tuples_are_one(small_fish):
    arguments = small_fish(2)
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    assert Fish(**lists) == Fish(**arguments)
    assert hash(Fish(**lists)) == hash(Fish(**arguments))


@pytest.mark.parametrize(
    'depth',
    [
        50,
        '150',
        True,
        99.5,
        [99],
        dict(depth=99, down='conv'),
    ],
)
def test_unknown_depth_is_refused(depth):
    with pytest.raises(FishNetError) as error:
        get_fish(depth)
    for part in (repr(depth), '55, 77, 99, 150 or 201', 'arch=dict(...)'):
        assert part in str(error.value)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda fish: dict(fish, tail_unit=1), ['no argument tail_unit:', 'tail_units', 'head_dilations']),
        (lambda fish: dict(fish, depth=150), ['no argument depth:', 'tail_units']),
        (lambda fish: 150, ['arch must be a dict', '150']),
        (lambda fish: [150], ['arch must be a dict', '[150]']),
        (lambda fish: dict(fish, down='pool'), ['down', "'maxpool2', 'maxpool3', 'avgpool2', 'conv'", "'pool'"]),
        (lambda fish: dict(fish, deep_stem=1), ['deep_stem', 'True or False', '1']),
        (lambda fish: {**fish, 1: 2}, ['no argument 1:']),
        (lambda fish: without(fish, 'bridge_units'), ['lacks bridge_units', '99, 150 or 201']),
        (lambda fish: without(without(fish, 'tail_units'), 'head_transfers'), ['lacks tail_units, head_transfers']),
        (lambda fish: dict(fish, body_units=(1,)), ['tail_units has 2', 'body_units has 1', '(1,)']),
        (lambda fish: dict(fish, tail_units=(1, 1, 1)), ['tail_units has 3', 'body_units has 2']),
        (lambda fish: without(fish, 'body_dilations'), ['tail_units has 2', 'body_dilations has 3']),
        (lambda fish: dict(fish, tail_units=()), ['tail_units', '()']),
        (lambda fish: dict(fish, tail_units=(0, 1)), ['tail_units', 'at least 1', '(0, 1)']),
        (lambda fish: dict(fish, head_units=(1, -1)), ['head_units', 'at least 1', '(1, -1)']),
        (lambda fish: dict(fish, head_units=(1, True)), ['head_units', 'at least 1', '(1, True)']),
        (lambda fish: dict(fish, body_channels=(32.0, 24)), ['body_channels', 'integers', '(32.0, 24)']),
        (lambda fish: dict(fish, body_transfers=1), ['body_transfers', 'one for each stage', '1']),
        (lambda fish: dict(fish, body_transfers=(1, -1)), ['body_transfers', 'at least 0', '(1, -1)']),
        (lambda fish: dict(fish, body_transfers='11'), ['body_transfers', 'one for each stage', "'11'"]),
        (lambda fish: dict(fish, bridge_units=0), ['bridge_units', 'positive', '0']),
        (lambda fish: dict(fish, bridge_units=(1,)), ['bridge_units', 'a positive integer', '(1,)']),
        (lambda fish: dict(fish, stem_channels=True), ['stem_channels', 'positive', 'True']),
        (lambda fish: dict(fish, stem_channels=10), ['stem_channels', 'multiples of 4', '10']),
        (lambda fish: dict(fish, stem_stride=3), ['stem_stride', 'one of 1, 2, 4', '3']),
        (lambda fish: dict(fish, stem_stride=8), ['stem_stride', 'one of 1, 2, 4', '8']),
        (lambda fish: dict(fish, stem_stride=0), ['stem_stride', 'a positive integer', '0']),
        (lambda fish: dict(fish, stem_stride=None), ['stem_stride', 'a positive integer', 'None']),
        (lambda fish: dict(fish, stem_stride=(2, 2)), ['stem_stride', 'a positive integer', '(2, 2)']),
        (lambda fish: dict(fish, group_width=0), ['group_width', 'a positive integer', '0']),
        (lambda fish: dict(fish, group_width=True), ['group_width', 'a positive integer', 'True']),
        (lambda fish: dict(fish, group_width='4d'), ['group_width', 'a positive integer', "'4d'"]),
        (lambda fish: dict(fish, group_width=4.0), ['group_width', 'a positive integer', '4.0']),
        (lambda fish: dict(fish, group_width=16), ['tail stage 1', '8 channels', 'groups of 16', 'multiples of 32']),
        (lambda fish: dict(fish, group_width=4), ['body stage 1', '12 channels', 'groups of 8', 'multiples of 16']),
        (lambda fish: dict(fish, tail_channels=(18, 32)), ['tail_channels', 'multiples of 4', '18']),
        (lambda fish: dict(fish, body_channels=(32, 6)), ['body_channels', 'multiples of 4', '6']),
        (lambda fish: dict(fish, bridge_channels=40), ['bridge_channels', 'multiple of 16', '40']),
        (lambda fish: dict(fish, body_channels=(20, 24)), ['body stage 2', 'sum 32 channels to 20', 'divide 32']),
        (lambda fish: dict(fish, body_channels=(32, 20)), ['body stage 1', 'sum 48 channels to 20', 'divide 48']),
        (lambda fish: dict(fish, head_channels=(36, 80)), ['head stage 1', 'must be 32', '36']),
        (lambda fish: dict(fish, head_channels=(32, 48)), ['head stage 2', 'must be 80', '48']),
    ],
)
def test_misfit_is_refused(change, words, small_fish):
    arch = change(small_fish(2))
    with pytest.raises(FishNetError) as error:
        get_fish(None, arch)
    for word in words:
        assert word in str(error.value)
    with pytest.raises(FishNetError):
        MODELS.build(ConfigDict(type='FishNet', depth=None, arch=arch, out_indices=(0, 1, 2)))
