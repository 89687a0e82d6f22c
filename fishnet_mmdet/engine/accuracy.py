"""The metric of classification."""

from typing import Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric

from ..registry import METRICS


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Accuracy in percent: how often the label is among the k classes of the highest scores.

    Args:
        topk (Sequence[int]): The values of k; results are ``accuracy/top1`` and so on.
        **kwargs: Of mmengine's ``BaseMetric``.
    """

    default_prefix = 'accuracy'

    def __init__(self, topk: Sequence[int] = (1, 5), **kwargs) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes the predictions of a batch, each with its ``label`` and ``scores``."""
        labels = torch.tensor([sample['label'] for sample in data_samples])
        scores = torch.stack([sample['scores'] for sample in data_samples]).cpu()
        best = scores.topk(min(max(self.topk), scores.shape[1])).indices
        # The position of the label among the best, or their number where it is not among them.
        found = best == labels[:, None]
        ranks = torch.where(found.any(1), found.int().argmax(1), best.shape[1])
        self.results += ranks.tolist()

    def compute_metrics(self, results: List[int]) -> Dict[str, float]:
        """The accuracies over all images."""
        ranks = torch.tensor(results)
        return {f'top{k}': 100 * (ranks < k).double().mean().item() for k in self.topk}
