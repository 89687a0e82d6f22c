"""Weighted sums of rows against a product of matrices, on all paths."""

import pytest
import torch
from loops import gradcheck

from fishnet_mmdet.ops import bags as ours
from fishnet_mmdet.ops.bags import Bags, bag_sum


def inputs():
    """A table, and bags of 0 to 3 reads; one row is read twice by a bag, some by none."""
    index, offsets = torch.tensor([4, 0, 0, 2, 4, 5]).int(), torch.tensor([0, 1, 1, 4, 6]).int()
    torch.manual_seed(0)
    return torch.randn(7, 3).double().requires_grad_(), Bags(index, torch.randn(6).double().requires_grad_(), offsets)


@pytest.fixture(params=['embedding bag', 'index_add'])
def path(request, monkeypatch):
    """With PyTorch's embedding bag, and as on devices that lack it, in chunks of two reads."""
    if request.param == 'index_add':
        monkeypatch.setattr(ours, 'EMBEDDING_BAG_DEVICES', ())
        monkeypatch.setattr(ours, 'SCIPY_DEVICES', ())
    monkeypatch.setattr(ours, 'CHUNK', 6)


def test_sums_and_gradients(path):
    table, bags = inputs()
    matrix = torch.zeros(4, 7).double().index_put((bags.bag(), bags.index.long()), bags.weight, accumulate=True)
    torch.testing.assert_close(bag_sum(table, bags), matrix @ table)
    assert gradcheck(lambda table, weight: bag_sum(table, bags._replace(weight=weight)), (table, bags.weight))
    grad = torch.randn(4, 3).double()
    torch.testing.assert_close(ours.bag_sum_backward(grad, Bags(*(field.detach() for field in bags)), 7), matrix.t() @ grad)
