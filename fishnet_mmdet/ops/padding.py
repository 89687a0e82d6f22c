"""Work on boxes of different sizes in parts of bounded memory."""

from typing import Iterator, Tuple

from torch import Tensor

#: Most values that a part holds.
MOST_VALUES = 1 << 24


def parts(sizes: Tensor, values: int) -> Iterator[Tuple[Tensor, Tuple[int, int]]]:
    """Divides boxes into parts in which all have the same size.

    Args:
        sizes (Tensor): Height and width of every box, integers, shape (k, 2).
        values (int): Values that a box holds for each element of its size.

    Yields:
        tuple: Indices of boxes, shape (m,), and their size. Boxes without elements are left out.
    """
    different, number = sizes.unique(dim=0, return_inverse=True)
    for i, (height, width) in enumerate(different.tolist()):
        if height and width:
            most = max(MOST_VALUES // (height * width * values), 1)
            for boxes in (number == i).nonzero()[:, 0].split(most):
                yield boxes, (height, width)
