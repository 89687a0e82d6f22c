"""What the profile of an iteration counts as products."""

import pytest
import torch
from torch import nn

from fishnet_mmdet.analysis.turns import _profile


@pytest.mark.parametrize('threads', [1, 2])
def test_convolutions_are_products(threads):
    """With one thread, PyTorch computes a 1x1 convolution of one image by other operators than with two."""
    model = nn.Sequential(nn.Conv2d(64, 64, 1), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 1))
    image, before = torch.rand(1, 64, 64, 64, requires_grad=True), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = _profile(lambda: model(image).sum().backward())
    finally:
        torch.set_num_threads(before)
    # What remains of convolutions is the code that calls them.
    others = sum(seconds for name, seconds in result['others'].items() if 'conv' in name)
    assert 0 < result['products'] <= result['profiled']
    assert others < result['products'] / 10
