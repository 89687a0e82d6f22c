"""The region proposal network: features to proposals."""

from typing import Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor, nn

from .boxes import from_deltas, rows, suppress
from .conditions import require, require_methods, require_nms
from .dense import Priors
from .operators import best


class Proposals(nn.Module):
    """mmdet's ``RPNHead`` with what it does to its outputs.

    Args:
        head (RPNHead): The trained head.

    Raises:
        FishNetError: If it is another kind of head.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        require_methods(head, RPNHead, 'predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
        require(type(head.bbox_coder) is DeltaXYWHBBoxCoder, head.bbox_coder, 'decodes boxes in another way')
        require_nms(head.test_cfg, head)
        self.head = head
        self.cfg = head.test_cfg
        self.priors = Priors(head.prior_generator)

    def forward(self, features: Sequence[Tensor], size: Tensor) -> Tensor:
        """The features of all levels, and the height and width of the image, to proposals (n, 4), the best first."""
        all_boxes, all_scores, levels = [], [], []
        for i, (logits, deltas) in enumerate(zip(*self.head(features))):
            scores, chosen = best(self._scores(rows(logits, self.head.cls_out_channels)), self.cfg.nms_pre)
            anchors, deltas = (values.index_select(0, chosen) for values in (self.priors(logits, i), rows(deltas, 4)))
            all_boxes.append(from_deltas(anchors, deltas, self.head.bbox_coder, size))
            all_scores.append(scores)
            levels.append(torch.full_like(chosen, i))
        boxes, scores, levels = torch.cat(all_boxes), torch.cat(all_scores), torch.cat(levels)
        if self.cfg.get('min_bbox_size', -1) >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > self.cfg.min_bbox_size).all(dim=1).nonzero()[:, 0]
            boxes, scores, levels = (values.index_select(0, large) for values in (boxes, scores, levels))
        return suppress(boxes, levels, scores, self.cfg.nms, self.cfg.max_per_img).boxes

    def _scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()[:, 0] if self.head.use_sigmoid_cls else logits.softmax(-1)[:, 0]
