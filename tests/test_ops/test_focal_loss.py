"""Focal losses against their formula, written with log-probabilities in float64."""

import loops
import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss

pytestmark = pytest.mark.usefixtures('our_operators')

GAMMA, ALPHA = 1.5, 0.3


def inputs(background):
    torch.manual_seed(0)
    logits = (torch.randn(12, 5).double() * 3).requires_grad_()
    return logits, torch.randint(0, 5 + background, (12,)), torch.rand(5).double()


@pytest.mark.parametrize('weighted', [True, False])
def test_sigmoid(weighted):
    logits, target, weight = inputs(background=not weighted)
    loss = sigmoid_focal_loss(logits, target, GAMMA, ALPHA, weight if weighted else None, 'none')
    for i in range(12):
        for c in range(5):
            p, alpha = torch.sigmoid(logits[i, c]), ALPHA
            if target[i] != c:
                p, alpha = 1 - p, 1 - ALPHA
            expected = -alpha * (1 - p) ** GAMMA * p.log() * (weight[target[i]] if weighted else 1)
            torch.testing.assert_close(loss[i, c], expected)
    assert loops.gradcheck(lambda x: sigmoid_focal_loss(x, target, GAMMA, ALPHA, weight if weighted else None, 'mean'), logits)


@pytest.mark.parametrize('weighted', [True, False])
def test_softmax(weighted):
    logits, target, weight = inputs(background=False)
    loss = softmax_focal_loss(logits, target, GAMMA, ALPHA, weight if weighted else None, 'none')
    log = F.log_softmax(logits, 1)[torch.arange(12), target]
    expected = -ALPHA * (1 - log.exp()) ** GAMMA * log * (weight[target] if weighted else 1)
    torch.testing.assert_close(loss, expected)
    assert loops.gradcheck(lambda x: softmax_focal_loss(x, target, GAMMA, ALPHA, weight if weighted else None, 'mean'), logits)


@pytest.mark.parametrize('function', [sigmoid_focal_loss, softmax_focal_loss])
def test_large_logits_stay_finite(function):
    logits = torch.tensor([[200.0, -200, 0], [-200, 200, 0]], requires_grad=True)
    loss = function(logits, torch.tensor([0, 0]), 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_no_samples():
    logits = torch.zeros(0, 5, requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.zeros(0, dtype=torch.long), 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss == 0 and logits.grad.shape == (0, 5)
