"""The classifier: what it puts out in each mode, its gradients, and the released models' weights in it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY_FISH
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict
from released import fill_by_rule, released_weights

from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import MODELS

DATA = Path(__file__).parents[2] / 'data'
TRAINABLE = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)


def build(num_classes=7, depth=150, arch=TINY_FISH, out_indices=(3,), dense_size=None, **kwargs):
    return MODELS.build(
        dict(
            type='Classifier',
            backbone=dict(type='FishNet', depth=depth, arch=arch, out_indices=out_indices, **TRAINABLE),
            cls_head=dict(type='ClassificationHead', num_classes=num_classes, dense_size=dense_size),
            **kwargs,
        )
    )


@pytest.fixture
def filled():
    """Builds a tiny classifier whose weights depend on their names alone, in float64."""

    def fill(**kwargs):
        model = build(**kwargs)
        model.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()))
        return model.double().eval()

    return fill


@pytest.fixture
def batch():
    random = np.random.RandomState(0)
    return torch.from_numpy(random.standard_normal((6, 3, 32, 32))), torch.from_numpy(random.randint(0, 7, 6))


def logits_of(model, image):
    """By the parts, one after another."""
    return model.cls_head(model.backbone(image)[-1])


@torch.no_grad()
def test_modes(filled, batch):
    model = filled()
    image, labels = batch
    logits = logits_of(model, image)
    assert torch.equal(model(image), logits)

    losses = model(image, labels, mode='loss')
    assert set(losses) == {'loss', 'accuracy'}
    torch.testing.assert_close(losses['loss'], F.cross_entropy(logits, labels))
    right = [int(row.argmax()) == label for row, label in zip(logits.numpy(), labels.tolist())]
    torch.testing.assert_close(float(losses['accuracy']), 100 * sum(right) / 6)
    # Not all right and not all wrong: half of the labels are set to the predictions.
    mixed = torch.cat([logits.argmax(1)[:3], (logits.argmax(1)[3:] + 1) % 7])
    assert model(image, mixed, mode='loss')['accuracy'] == 50

    predictions = model(image, labels, mode='predict')
    assert [prediction['label'] for prediction in predictions] == labels.tolist()
    exponentials = np.exp(logits.numpy() - logits.numpy().max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(np.stack([p['scores'] for p in predictions]), probabilities, rtol=1e-9, atol=1e-12)
    assert [prediction['label'] for prediction in model(image, mode='predict')] == [None] * 6


@pytest.mark.parametrize('smoothing', [0.1, 0.5])
@torch.no_grad()
def test_label_smoothing(filled, batch, smoothing):
    """Szegedy et al. 2016: the target is 1 - e at the label, and e / C everywhere besides."""
    model = filled(label_smoothing=smoothing)
    image, labels = batch
    logs = logits_of(model, image).log_softmax(1)
    expected = -((1 - smoothing) * logs[range(6), labels] + smoothing / 7 * logs.sum(1)).mean()
    torch.testing.assert_close(model(image, labels, mode='loss')['loss'], expected)
    plain = -logs[range(6), labels].mean()
    assert abs(expected - plain) > 1e-3 * plain


def test_only_the_loss_is_added_up(batch):
    loss, log = build().parse_losses(dict(loss=torch.tensor(2.0), accuracy=torch.tensor(50.0)))
    assert loss == 2 and log['accuracy'] == 50


@pytest.mark.parametrize('variant', ['tiny', 'dense', 'all levels', 'MLP', 'CNN', 'MobileNet'])
def test_everything_gets_a_gradient(variant, batch):
    """As DistributedDataParallel needs it, without a search for unused parameters."""
    if variant in ('MLP', 'CNN', 'MobileNet'):
        cls_head = dict(type='LinearHead', num_classes=7)
        model = MODELS.build(dict(type='Classifier', backbone=dict(type=variant), cls_head=cls_head))
    elif variant == 'dense':
        model = build(arch=dict(TINY_FISH, stem_stride=1), dense_size=(4, 4))
    else:
        model = build(out_indices=(0, 1, 2, 3) if variant == 'all levels' else (3,))
    torch.manual_seed(0)
    model.init_weights()
    image, labels = batch
    model.train()
    model(image.float(), labels, mode='loss')['loss'].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert sum(bool(parameter.grad.any()) for parameter in model.parameters()) > 0.9 * len(list(model.parameters()))


@pytest.fixture(scope='module')
def released_99():
    return released_weights(99)


@pytest.fixture(scope='module')
def plain_logits(released_99):
    """Images, and the logits that the plain implementation has for them."""
    plain = ReleasedFishNet(99)
    plain.load_state_dict(released_99)
    image = torch.from_numpy(np.random.RandomState(1).standard_normal((2, 3, 64, 32)))
    with torch.no_grad():
        return image, plain.double().eval()(image)[2]


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('loader', ['torch', 'mmengine'])
@torch.no_grad()
def test_released_weights_give_the_released_logits(prefix, loader, released_99, plain_logits):
    model = build(num_classes=1000, depth=99, arch=None)
    weights = {prefix + name: tensor for name, tensor in released_99.items()}
    names = list(weights)
    if loader == 'torch':
        model.load_state_dict(weights)
    else:
        load_state_dict(model, weights, strict=True, logger=MMLogger.get_current_instance())
    if loader == 'torch':
        assert list(weights) == names
    image, expected = plain_logits
    logits = model.double().eval()(image)
    assert (logits - expected).abs().max() <= 1e-6 * expected.abs().max()


@torch.no_grad()
def test_golden_logits():
    golden = np.load(DATA / 'fishnet99_golden.npz')
    model = build(num_classes=1000, depth=99, arch=None)
    model.load_state_dict(fill_by_rule(json.loads((DATA / 'fishnet99_released_keys.json').read_text())))
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 64, 96)))
    logits = model.double().eval()(image).numpy()
    assert np.abs(logits - golden['logits']).max() <= 1e-6 * np.abs(golden['logits']).max()


def test_its_own_weights_keep_their_names(filled):
    weights = filled().state_dict()
    model = build().double()
    model.load_state_dict(weights)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_released_weights_that_do_not_fit_are_refused(released_99):
    with pytest.raises(RuntimeError, match='backbone.tail.stage2'):
        build(num_classes=1000, depth=150, arch=None).load_state_dict(released_99)
    with pytest.raises(RuntimeError, match='cls_head.conv2.weight'):
        build(num_classes=10, depth=99, arch=None).load_state_dict(released_99)


def test_a_feature_of_another_size_is_refused_by_the_dense_head(batch):
    model = build(arch=dict(TINY_FISH, stem_stride=1), dense_size=(4, 4))
    with pytest.raises(FishNetError, match=r'\(8, 8\).*\(4, 4\)'):
        model(torch.zeros(1, 3, 64, 64))
