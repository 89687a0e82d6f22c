"""Heads of one stage: features to objects, for all heads that decode as mmdet's ``BaseDenseHead``."""

from typing import List, Sequence

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator, MlvlPointGenerator
from torch import Tensor, nn

from .boxes import ALL, Detections, anchors, from_deltas, from_distances, grid, rows, suppress
from .conditions import require, require_methods, require_nms
from .operators import best

#: How offsets become boxes, by the class of mmdet's coder.
DECODERS = {DeltaXYWHBBoxCoder: from_deltas, DistancePointBBoxCoder: from_distances}


class Priors(nn.Module):
    """The anchors or points that the outputs of a head are relative to.

    Args:
        generator (AnchorGenerator | MlvlPointGenerator): mmdet's.
    """

    def __init__(self, generator: object) -> None:
        super().__init__()
        self.has_anchors = type(generator) is AnchorGenerator
        require(self.has_anchors or type(generator) is MlvlPointGenerator, generator, 'generates other anchors')
        self.strides = generator.strides
        self.offset = getattr(generator, 'offset', 0)
        for i, base in enumerate(generator.base_anchors if self.has_anchors else []):
            self.register_buffer(f'base{i}', base, persistent=False)

    def forward(self, feature: Tensor, level: int) -> Tensor:
        """Of a feature (1, c, h, w) all anchors (h * w * a, 4), or all points (h * w, 2)."""
        if self.has_anchors:
            return anchors(feature, getattr(self, f'base{level}'), self.strides[level])
        return grid(feature, self.strides[level], self.offset).reshape(-1, 2)


class Dense(nn.Module):
    """A head of one stage with what mmdet does to its outputs.

    Args:
        head (BaseDenseHead): The trained head.

    Raises:
        FishNetError: If mmdet does something else to them.
    """

    def __init__(self, head: BaseDenseHead) -> None:
        super().__init__()
        require_methods(head, BaseDenseHead, 'predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
        require(type(head.bbox_coder) in DECODERS, head.bbox_coder, 'decodes boxes in another way')
        require(not getattr(head.loss_cls, 'custom_cls_channels', False), head.loss_cls, 'computes scores itself')
        require_nms(head.test_cfg, head)
        self.head = head
        self.decode = DECODERS[type(head.bbox_coder)]
        self.priors = Priors(head.prior_generator)
        self.cfg = head.test_cfg

    def forward(self, features: Sequence[Tensor], size: Tensor) -> Detections:
        """The features of all levels, and the height and width of the image, to its objects."""
        outputs = self.head(features)
        levels: List[Detections] = [
            self._level(i, size, *(level[i] for level in outputs if level is not None)) for i in range(len(outputs[0]))
        ]
        boxes, labels, scores = (torch.cat(parts) for parts in zip(*levels))
        if self.cfg.get('min_bbox_size', -1) >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > self.cfg.min_bbox_size).all(dim=1).nonzero()[:, 0]
            boxes, labels, scores = (values.index_select(0, large) for values in (boxes, labels, scores))
        return suppress(boxes, labels, scores, self.cfg.nms, self.cfg.get('max_per_img', -1))

    def _level(self, level: int, size: Tensor, logits: Tensor, offsets: Tensor, *factors: Tensor) -> Detections:
        scores = rows(logits, self.head.cls_out_channels)
        scores = scores.sigmoid() if self.head.use_sigmoid_cls else scores.softmax(-1)[:, :-1]
        # Each class of an anchor is a candidate of its own.
        candidates = (scores > self.cfg.get('score_thr', 0)).nonzero()
        number = candidates[:, 0] * scores.shape[1] + candidates[:, 1]
        values = scores.reshape(-1).index_select(0, number)
        values, chosen = best(values, self.cfg.nms_pre if self.cfg.get('nms_pre', -1) > 0 else ALL)
        prior, label = candidates.index_select(0, chosen).unbind(1)
        offsets = rows(offsets, 4).index_select(0, prior)
        boxes = self.decode(self.priors(logits, level).index_select(0, prior), offsets, self.head.bbox_coder, size)
        for factor in factors:
            # Such as FCOS's centerness.
            values = values * rows(factor, 1)[:, 0].sigmoid().index_select(0, prior)
        return Detections(boxes, label, values)
