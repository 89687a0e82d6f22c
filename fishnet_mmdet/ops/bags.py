"""Weighted sums of table rows, which most operators here are: an embedding bag and its gradients.

A *bag* is one row of the result: the weighted sum of some rows of a table. All bags are stored one behind the other:
``index`` holds the table rows, ``weight`` their weights, and ``offsets`` (bags + 1) where each bag begins and ends.
"""

from typing import NamedTuple

import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor

#: Devices on which every supported torch has the embedding bag.
EMBEDDING_BAG_DEVICES = ('cpu', 'cuda')
#: Most values that the path without an embedding bag gathers at once.
CHUNK = 1 << 24


class Bags(NamedTuple):
    """Bags of a table.

    Attributes:
        index (Tensor): Row of the table for every read, int32, shape (reads,).
        weight (Tensor): Weight of every read, in the table's dtype, shape (reads,).
        offsets (Tensor): First read of each bag, and the number of reads, int32, shape (bags + 1,).
    """

    index: Tensor
    weight: Tensor
    offsets: Tensor

    def bag(self) -> Tensor:
        """The bag of every read, shape (reads,)."""
        lengths = self.offsets.diff().long()
        return torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)


def equal_bags(index: Tensor, weight: Tensor) -> Bags:
    """Bags of the same number of reads, from index and weight of shape (bags, reads)."""
    offsets = torch.arange(len(index) + 1, device=index.device, dtype=torch.int32) * index.shape[1]
    return Bags(index.flatten(), weight.flatten(), offsets)


def bag_sum(table: Tensor, bags: Bags) -> Tensor:
    """The weighted sums, shape (bags, channels). Differentiable in ``table`` and ``bags.weight``."""
    if table.device.type not in EMBEDDING_BAG_DEVICES:
        return _add_rows(table, bags.index, bags.bag(), bags.weight, len(bags.offsets) - 1)
    # The table is detached since the embedding bag's own gradient sorts all reads, which takes longer than all the rest.
    sums = F.embedding_bag(
        bags.index, table.detach(), bags.offsets, per_sample_weights=bags.weight, mode='sum', include_last_offset=True
    )
    return _TableGradient.apply(sums, table, *bags) if table.requires_grad else sums


def bag_sum_backward(grad: Tensor, bags: Bags, num_rows: int) -> Tensor:
    """The gradient of the table.

    Args:
        grad (Tensor): Gradient of the sums, shape (bags, channels).
        bags (Bags): The bags of the sums.
        num_rows (int): Number of rows of the table.

    Returns:
        Tensor: Shape (num_rows, channels).
    """
    if grad.device.type != 'cpu':
        return _add_rows(grad, bags.bag(), bags.index, bags.weight, num_rows)
    # The gradient is a bag sum too, over the transposed matrix of weights. SciPy transposes it in linear time.
    index, weight, offsets = (tensor.detach().numpy() for tensor in bags)
    matrix = scipy.sparse.csr_matrix((weight, index, offsets), shape=(len(offsets) - 1, num_rows)).tocsc()
    index, weight, offsets = (torch.from_numpy(array) for array in (matrix.indices, matrix.data, matrix.indptr))
    return F.embedding_bag(index, grad, offsets, per_sample_weights=weight, mode='sum', include_last_offset=True)


def _add_rows(source: Tensor, read: Tensor, write: Tensor, weight: Tensor, num_rows: int) -> Tensor:
    """Adds weighted rows of ``source`` to the rows of a new tensor, in chunks of bounded memory."""
    result = source.new_zeros(num_rows, source.shape[1])
    chunk = max(CHUNK // max(source.shape[1], 1), 1)
    for part in zip(read.split(chunk), write.split(chunk), weight.split(chunk)):
        result = result.index_add(0, part[1], source[part[0].long()] * part[2][:, None])
    return result


class _TableGradient(torch.autograd.Function):
    """Passes sums on, and gives the table they were computed from its gradient."""

    @staticmethod
    def forward(ctx, sums, table, index, weight, offsets):
        ctx.save_for_backward(index, weight, offsets)
        ctx.num_rows = len(table)
        return sums.view_as(sums)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        bags = Bags(*ctx.saved_tensors)
        return grad, bag_sum_backward(grad.contiguous(), bags, ctx.num_rows), None, None, None
