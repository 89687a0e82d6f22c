"""Weighted sums of table rows, which most operators here are: an embedding bag and its gradients.

A *bag* is one row of the result: the weighted sum of some rows of a table. All bags are stored one behind the other:
``index`` holds the table rows, ``weight`` their weights, and ``offsets`` (bags + 1) where each bag begins and ends.
"""

from typing import Iterator, NamedTuple, Tuple

import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor

#: Devices on which every supported torch has the embedding bag.
EMBEDDING_BAG_DEVICES = ('cpu', 'cuda')
#: Devices whose memory SciPy can read.
SCIPY_DEVICES = ('cpu',)
#: Most values that are gathered at once where that is not the embedding bag's work.
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
    return _BagSum.apply(table, *bags)


def bag_sum_backward(grad: Tensor, bags: Bags, num_rows: int) -> Tensor:
    """The gradient of the table.

    Args:
        grad (Tensor): Gradient of the sums, shape (bags, channels).
        bags (Bags): The bags of the sums.
        num_rows (int): Number of rows of the table.

    Returns:
        Tensor: Shape (num_rows, channels).
    """
    if grad.device.type not in SCIPY_DEVICES:
        return _add_rows(grad, bags.bag(), bags.index, bags.weight, num_rows)
    # The gradient is a bag sum too, over the transposed matrix of weights. SciPy transposes it in linear time.
    index, weight, offsets = (tensor.detach().numpy() for tensor in bags)
    matrix = scipy.sparse.csr_matrix((weight, index, offsets), shape=(len(offsets) - 1, num_rows)).tocsc()
    index, weight, offsets = (torch.from_numpy(array) for array in (matrix.indices, matrix.data, matrix.indptr))
    return F.embedding_bag(index, grad, offsets, per_sample_weights=weight, mode='sum', include_last_offset=True)


def _add_rows(source: Tensor, read: Tensor, write: Tensor, weight: Tensor, num_rows: int) -> Tensor:
    """Adds weighted rows of ``source`` to the rows of a new tensor."""
    result = source.new_zeros(num_rows, source.shape[1])
    for reads, writes, weights in _chunks(source.shape[1], read, write, weight):
        result.index_add_(0, writes, source[reads.long()] * weights[:, None])
    return result


def _weight_gradient(grad: Tensor, table: Tensor, bags: Bags) -> Tensor:
    """The product of each read's row with the gradient of its bag, shape (reads,)."""
    parts = [
        torch.einsum('rc,rc->r', grad[bag], table[index.long()])
        for bag, index in _chunks(table.shape[1], bags.bag(), bags.index)
    ]
    return torch.cat(parts)


def _chunks(channels: int, *fields: Tensor) -> Iterator[Tuple[Tensor, ...]]:
    """Divides fields of reads (reads,) so that as many rows have a bounded size."""
    return zip(*(field.split(max(CHUNK // max(channels, 1), 1)) for field in fields))


class _BagSum(torch.autograd.Function):
    """The sums, with gradients that do not sort the reads, which takes longer than all the rest."""

    @staticmethod
    def forward(ctx, table, index, weight, offsets):
        bags = Bags(index, weight, offsets)
        ctx.save_for_backward(table, *bags)
        if table.device.type not in EMBEDDING_BAG_DEVICES:
            return _add_rows(table, bags.index, bags.bag(), bags.weight, len(offsets) - 1)
        return F.embedding_bag(index, table, offsets, per_sample_weights=weight, mode='sum', include_last_offset=True)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        table, *bags = ctx.saved_tensors
        grad, bags = grad.contiguous(), Bags(*bags)
        grad_table = bag_sum_backward(grad, bags, len(table)) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(grad, table, bags) if ctx.needs_input_grad[2] else None
        return grad_table, None, grad_weight, None
