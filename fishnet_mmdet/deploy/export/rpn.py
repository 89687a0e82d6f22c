"""The region proposal network: features to proposals."""

from typing import Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from torch import Tensor, nn

from .boxes import anchors, from_deltas, rows, suppress
from .operators import best


class Proposals(nn.Module):
    """mmdet's ``RPNHead`` with what it does to its outputs.

    Args:
        head (RPNHead): The trained head.
    """

    def __init__(self, head: RPNHead) -> None:
        super().__init__()
        self.head = head
        self.cfg = head.test_cfg
        for i, base in enumerate(head.prior_generator.base_anchors):
            self.register_buffer(f'base{i}', base, persistent=False)

    def forward(self, features: Sequence[Tensor], size: Tensor) -> Tensor:
        """The features of all levels, and the height and width of the image, to proposals (n, 4), the best first."""
        all_boxes, all_scores, levels = [], [], []
        for i, (logits, deltas) in enumerate(zip(*self.head(features))):
            stride = self.head.prior_generator.strides[i]
            places = anchors(logits, getattr(self, f'base{i}'), stride)
            scores = self._scores(rows(logits, self.head.cls_out_channels))
            scores, chosen = best(scores, self.cfg.nms_pre)
            all_boxes.append(
                from_deltas(
                    places.index_select(0, chosen), rows(deltas, 4).index_select(0, chosen), self.head.bbox_coder, size
                )
            )
            all_scores.append(scores)
            levels.append(torch.full_like(chosen, i))
        boxes, scores, levels = torch.cat(all_boxes), torch.cat(all_scores), torch.cat(levels)
        if self.cfg.get('min_bbox_size', -1) >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > self.cfg.min_bbox_size).all(dim=1).nonzero()[:, 0]
            boxes, scores, levels = (values.index_select(0, large) for values in (boxes, scores, levels))
        return suppress(boxes, levels, scores, self.cfg.nms, self.cfg.max_per_img).boxes

    def _scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()[:, 0] if self.head.use_sigmoid_cls else logits.softmax(-1)[:, 0]
