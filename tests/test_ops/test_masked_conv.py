"""The masked convolution, which mmcv has no CPU kernel for, against PyTorch's convolution."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import MaskedConv2d, masked_conv2d

pytestmark = pytest.mark.usefixtures('our_operators')


@pytest.mark.parametrize('kernel, padding', [((3, 3), (1, 1)), ((1, 1), (0, 0)), ((3, 5), (1, 2))])
@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_forward(share, kernel, padding):
    torch.manual_seed(0)
    x, mask = torch.randn(1, 4, 8, 9).double(), (torch.rand(1, 8, 9) < share).double()
    weight, bias = torch.randn(6, 4, *kernel).double(), torch.randn(6).double()
    expected = F.conv2d(x, weight, bias, padding=padding) * mask
    torch.testing.assert_close(masked_conv2d(x, mask, weight, bias, padding), expected)


def test_bfloat16():
    layer = MaskedConv2d(4, 6, 3, padding=1).bfloat16().eval()
    x, mask = torch.randn(1, 4, 8, 9).bfloat16(), torch.rand(1, 8, 9) > 0.5
    expected = F.conv2d(x.float(), layer.weight.float(), layer.bias.float(), padding=1) * mask
    torch.testing.assert_close(layer(x, mask).float(), expected, rtol=0.02, atol=0.02)
