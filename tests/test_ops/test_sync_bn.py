"""mmcv's synchronized BatchNorm on one process against PyTorch's BatchNorm."""

import pytest
import torch
from mmcv.ops.sync_bn import SyncBatchNormFunction

pytestmark = pytest.mark.usefixtures('our_operators')


@pytest.mark.parametrize('stats_mode', ['default', 'N'])
def test_one_process(stats_mode):
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 6) * 2 + 1
    bn = torch.nn.BatchNorm2d(4, momentum=0.3)
    torch.nn.init.uniform_(bn.weight)
    torch.nn.init.uniform_(bn.bias)
    weight, bias = (parameter.detach().clone().requires_grad_() for parameter in (bn.weight, bn.bias))
    mean, var = bn.running_mean.clone(), bn.running_var.clone()
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    output = SyncBatchNormFunction.apply(inputs[0], mean, var, weight, bias, 0.3, bn.eps, None, 1, stats_mode)
    expected = bn(inputs[1])
    torch.testing.assert_close(output, expected)
    grad = torch.randn_like(output)
    output.backward(grad)
    expected.backward(grad)
    pairs = (mean, bn.running_mean), (var, bn.running_var), (weight.grad, bn.weight.grad), (bias.grad, bn.bias.grad)
    for ours, theirs in (*pairs, (inputs[0].grad, inputs[1].grad)):
        torch.testing.assert_close(ours, theirs)
