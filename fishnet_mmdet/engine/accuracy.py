"""The metric of classification."""

from typing import Dict, List, Sequence, Union

import torch
from mmengine.evaluator import BaseMetric

from ..errors import FishNetError
from ..registry import METRICS


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Accuracy in percent: the share of images whose label is among the k classes with the highest scores.

    With k greater than the number of classes the accuracy is 100.

    Args:
        topk (int | Sequence[int]): The values of k. Results are named ``accuracy/top1`` and so on, as in mmpretrain.
        **kwargs: Arguments of mmengine's ``BaseMetric``.

    Raises:
        FishNetError: If a value of k is not a positive integer.
    """

    default_prefix = 'accuracy'

    def __init__(self, topk: Union[int, Sequence[int]] = (1, 5), **kwargs) -> None:
        super().__init__(**kwargs)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        if not self.topk or not all(isinstance(k, int) and k > 0 for k in self.topk):
            raise FishNetError(f'topk of Accuracy must be one or more positive integers, not {topk!r}')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Stores the rank of each label. A prediction has ``label`` and ``scores`` (classes,)."""
        labels = torch.tensor([sample['label'] for sample in data_samples])
        scores = torch.stack([sample['scores'] for sample in data_samples]).cpu()
        best = scores.topk(min(max(self.topk), scores.shape[1])).indices
        # The position of the label among the best classes, or the number of these if the label is not among them.
        found = best == labels[:, None]
        ranks = torch.where(found.any(1), found.int().argmax(1), best.shape[1])
        self.results += ranks.tolist()

    def compute_metrics(self, results: List[int]) -> Dict[str, float]:
        """The accuracies over all images."""
        ranks = torch.tensor(results)
        return {f'top{k}': 100 * (ranks < k).double().mean().item() for k in self.topk}
