"""What the command says of a checkpoint."""

import numpy as np
import pytest
import torch
from conftest import REPO
from mmengine.logging import MessageHub
from released import released_weights, save_released
from safetensors.torch import save_file

from fishnet_mmdet.commands import inspect
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import ClassificationHead

TOOL = REPO / 'tools/model_converters/inspect_checkpoint.py'


@pytest.fixture(scope='module')
def report():
    """The lines about a file, by their first word, and the rows of the table."""

    def of(*args):
        lines = inspect.report(*map(str, args))
        end = lines.index('')
        return {line[:14].strip(): line[14:] for line in lines[:end]}, [line.split() for line in lines[end + 2 :]]

    return of


@pytest.fixture(scope='module')
def released(tmp_path_factory):
    file = tmp_path_factory.mktemp('released') / 'fishnet99_ckpt.tar'
    save_released(released_weights(99), file)
    return file


def test_a_released_file(report, released):
    lines, rows = report(released)
    assert lines['file'].startswith(str(released)) and 'before PyTorch 1.6' in lines['file']
    assert lines['holds'] == 'a released classifier, FishNet-99'
    assert lines['architecture'] == 'FishNet-99'
    assert lines['training'] == 'epoch 100, best_prec1 78'
    # Parameters without the score, and the score's, as the design document counts them.
    assert '13,335,296 parameters, float32, finite' in lines['backbone']
    assert '3,293,608 parameters' in lines['cls_head']
    assert lines['other'] == 'none'
    config = eval(f'dict({lines["in a config"]})')
    assert config == dict(type='FishNet', depth=99, init_cfg=dict(type='FishNetPretrained', checkpoint=str(released)))
    assert [row[0] for row in rows] == [
        'stem',
        *(f'tail.stage{i}' for i in (1, 2, 3)),
        'bridge',
        *(f'body.stage{i}' for i in (3, 2, 1)),
        *(f'head.stage{i}' for i in (1, 2, 3)),
    ]
    assert sum(int(row[2].replace(',', '')) for row in rows) == 13_335_296
    # Three convolutions without bias, and BN: 3*32*9 + 32*32*9 + 32*64*9 weights, and twice 32 + 32 + 64.
    assert rows[0] == ['stem', '18', '28,768']
    assert sum(int(row[1]) for row in rows) == int(lines['backbone'].split()[0])


def test_a_classifier_of_ours(report, small_net, tmp_path):
    hub = MessageHub('inspected')
    for epoch in (1, 2):
        hub.update_scalar('val/accuracy/top1', np.float64(70 + epoch))
        hub.update_scalar('val/time', 0.5)
    weights = {f'backbone.{name}': tensor for name, tensor in small_net().state_dict().items()}
    weights.update({f'cls_head.{name}': tensor for name, tensor in ClassificationHead(144, 10).state_dict().items()})
    content = dict(meta=dict(epoch=2, iter=20), message_hub=hub.state_dict(), optimizer={}, state_dict=weights)
    torch.save(content, tmp_path / 'epoch_2.pth')
    lines, _ = report(tmp_path / 'epoch_2.pth')
    assert lines['holds'].startswith('a classifier with a fish of its own')
    assert lines['training'] == 'epoch 2, iteration 20, val/accuracy/top1 72'
    assert lines['in a config'] == f"init_cfg=dict(type='FishNetPretrained', checkpoint='{tmp_path / 'epoch_2.pth'}')"


def test_a_detector_in_half_precision_with_broken_weights(report, small_net, tmp_path):
    weights = {f'backbone.{name}': tensor.clone() for name, tensor in small_net().state_dict().items()}
    weights['backbone.stem.conv1.weight'] = weights['backbone.stem.conv1.weight'].half()
    weights['backbone.bridge.conv1.weight'][0] = float('nan')
    weights['neck.weight'] = torch.ones(3, 4)
    save_file(weights, tmp_path / 'x.pth')
    lines, _ = report(tmp_path / 'x.pth')
    assert 'safetensors' in lines['file']
    assert lines['holds'].startswith('a detector')
    assert lines['training'] == 'nothing recorded'
    assert lines['backbone'].endswith('float16, float32, NaN or infinite in 1: bridge.conv1.weight')
    assert lines['other'] == '1 tensors, 12 parameters, float32, finite'


def test_what_a_file_says_of_its_training_may_be_anything(report, small_net, tmp_path):
    for state in (
        dict(meta=5, best_prec1='x', message_hub=5),
        dict(meta=dict(epoch='x', iter=None), best_prec1=torch.ones(3), message_hub=dict(log_scalars=[])),
        dict(best_prec1=2**2000, message_hub=dict(log_scalars={'val/acc': 5, 5: 6})),
    ):
        torch.save(dict(state, state_dict=small_net().state_dict()), tmp_path / 'x.pth')
        assert report(tmp_path / 'x.pth')[0]['training'] == 'nothing recorded'
    torch.save(dict(epoch=2**2000, state_dict=small_net().state_dict()), tmp_path / 'x.pth')
    assert len(report(tmp_path / 'x.pth')[0]['training']) < 120


def test_types_that_no_network_computes_with_are_shown(report, small_net, tmp_path):
    weights = small_net().state_dict()
    weights['stem.conv1.weight'] = weights['stem.conv1.weight'].to(torch.int8)
    weights['stem.conv2.weight'] = weights['stem.conv2.weight'].to(torch.complex64) * float('nan')
    torch.save(weights, tmp_path / 'x.pth')
    assert report(tmp_path / 'x.pth')[0]['backbone'].endswith(
        'complex64, float32, int8, NaN or infinite in 1: stem.conv2.weight'
    )


def test_one_of_several(report, small_net, tmp_path):
    weights = small_net().state_dict()
    both = {
        **{f'teacher.backbone.{name}': tensor for name, tensor in weights.items()},
        **{f'student.backbone.{name}': tensor + 1 for name, tensor in weights.items()},
    }
    torch.save(both, tmp_path / 'x.pth')
    with pytest.raises(FishNetError, match='--prefix'):
        report(tmp_path / 'x.pth')
    lines, _ = report(tmp_path / 'x.pth', 'student.backbone.')
    assert lines['in a config'].endswith("prefix='student.backbone.')")


def test_the_command(here, refusal, small_net, tmp_path):
    torch.save(small_net().state_dict(), tmp_path / 'x.pth')
    out = here(TOOL, 'x.pth')
    assert 'holds         a fish of its own' in out and 'bridge' in out
    (tmp_path / 'page.pth').write_text('<html>404</html>')
    assert 'page of HTML' in refusal(TOOL, 'page.pth')
