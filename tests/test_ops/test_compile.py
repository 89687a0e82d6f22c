"""torch.compile of code that calls operators: the same results and gradients."""

import pytest
import torch
import torch._dynamo
from mmcv.ops import carafe, deform_conv2d, modulated_deform_conv2d, nms, roi_align, roi_pool, soft_nms

pytestmark = pytest.mark.usefixtures('our_operators')

torch.manual_seed(0)
ROIS = torch.tensor([[0.0, 3, 4, 30, 21], [1, -9, -7, 12, 13]])
OFFSET, MASK, WEIGHT = torch.randn(2, 18, 14, 20), torch.rand(2, 9, 14, 20), torch.randn(4, 4, 3, 3)
CARAFE_MASK = torch.rand(2, 9, 28, 40)


def boxes(x):
    """Boxes and scores made from a map."""
    return (x[0, 0, :, :4] * 10).abs().cumsum(1), x[0, 1, :, 0].sigmoid()


FUNCTIONS = {
    'roi_align': lambda x: roi_align(x * 2, ROIS, 7, 0.5, 0, 'avg', True) + 1,
    'roi_align_max': lambda x: roi_align(x * 2, ROIS, 7, 0.5, 2, 'max', True) + 1,
    'roi_pool': lambda x: roi_pool(x * 2, ROIS, 7, 0.5) + 1,
    'deform_conv': lambda x: deform_conv2d(x * 2, OFFSET, WEIGHT, 1, 1, 1, 1, 1, False, 32) + 1,
    'modulated_deform_conv': lambda x: modulated_deform_conv2d(x * 2, OFFSET, MASK, WEIGHT, None, 1, 1, 1, 1, 1) + 1,
    'carafe': lambda x: carafe(x * 2, CARAFE_MASK, 3, 1, 2) + 1,
    'nms': lambda x: nms(*boxes(x), 0.3)[0] + 1,
    'soft_nms': lambda x: soft_nms(*boxes(x.detach()), 0.3)[0].sum() + x,
}


@pytest.mark.parametrize('name', FUNCTIONS)
def test_compiled_code(name):
    """With the backend that captures forward and backward graphs, which needs no compiler."""
    function = FUNCTIONS[name]
    inputs = [torch.randn(2, 4, 14, 20, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)]
    torch._dynamo.reset()
    expected, output = function(inputs[0]), torch.compile(function, backend='aot_eager')(inputs[1])
    torch.testing.assert_close(output, expected)
    expected.sum().backward()
    output.sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
