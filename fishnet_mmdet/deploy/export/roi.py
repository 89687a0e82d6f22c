"""The second stage: proposals to objects with masks."""

from typing import Sequence

import torch
from torch import Tensor, nn

from .boxes import ALL, Detections, from_deltas, suppress
from .operators import roi_align


class RoIFeatures(nn.Module):
    """mmdet's ``SingleRoIExtractor``: RoIAlign of each box on the level of the box's size.

    Args:
        extractor (SingleRoIExtractor): The extractor.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.layers = extractor.roi_layers
        self.finest_scale = extractor.finest_scale

    def forward(self, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Features of all levels, boxes (n, 4), to (n, c, size, size)."""
        features = features[: len(self.layers)]
        extent = boxes[:, 2:] - boxes[:, :2]
        level = torch.floor(torch.log2(torch.sqrt(extent[:, 0] * extent[:, 1]) / self.finest_scale + 1e-6))
        level = level.clamp(0, len(features) - 1)
        order, parts = [], []
        for i, (layer, feature) in enumerate(zip(self.layers, features)):
            chosen = (level == i).nonzero()[:, 0]
            order.append(chosen)
            size, ratio = layer.output_size[0], layer.sampling_ratio
            parts.append(roi_align(feature, boxes.index_select(0, chosen), size, layer.spatial_scale, ratio, layer.aligned))
        order = torch.cat(order)
        place = torch.zeros_like(boxes[:, 0], dtype=torch.long).scatter(0, order, torch.arange(order.shape[0]))
        return torch.cat(parts).index_select(0, place)


class StandardRoI(nn.Module):
    """mmdet's ``StandardRoIHead``: one stage of boxes.

    Args:
        head (StandardRoIHead): The trained head.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head.bbox_head
        self.features = RoIFeatures(head.bbox_roi_extractor)
        self.cfg = head.test_cfg

    def forward(self, features: Sequence[Tensor], proposals: Tensor, size: Tensor) -> Detections:
        """Features of all levels, proposals (n, 4), and the height and width of the image."""
        logits, deltas = self.head(self.features(features, proposals))
        scores = logits.softmax(-1)
        return choose(self.head, self.cfg, proposals, scores, deltas, size)


def choose(head: nn.Module, cfg: dict, proposals: Tensor, scores: Tensor, deltas: Tensor, size: Tensor) -> Detections:
    """The objects of the last stage: boxes of each class, those above the score threshold, without overlapping ones.

    Args:
        head (BBoxHead): The head that computed ``deltas``.
        cfg (dict): ``test_cfg.rcnn``.
        proposals (Tensor): Shape (n, 4).
        scores (Tensor): Of all classes and the background, shape (n, classes + 1).
        deltas (Tensor): Shape (n, 4) or (n, 4 * classes).
        size (Tensor): Height and width of the image.
    """
    classes = head.num_classes
    chosen = (scores[:, :-1] > cfg.score_thr).nonzero()
    roi, label = chosen[:, 0], chosen[:, 1]
    number = roi * classes + label
    deltas = deltas.index_select(0, roi) if head.reg_class_agnostic else deltas.reshape(-1, 4).index_select(0, number)
    boxes = from_deltas(proposals.index_select(0, roi), deltas, head.bbox_coder, size)
    scores = scores[:, :-1].reshape(-1).index_select(0, number)
    return suppress(boxes, label, scores, cfg.nms, cfg.max_per_img if cfg.max_per_img > 0 else ALL)


class Masks(nn.Module):
    """mmdet's mask branch: objects to the probabilities of their masks.

    Args:
        head (StandardRoIHead): The trained head.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head.mask_head
        self.features = RoIFeatures(head.mask_roi_extractor)

    def forward(self, features: Sequence[Tensor], found: Detections) -> Tensor:
        """Features of all levels, and n objects, to probabilities in their boxes (n, s, s)."""
        logits = self.head(self.features(features, found.boxes))
        if self.head.class_agnostic:
            return logits[:, 0].sigmoid()
        return logits[torch.arange(found.labels.shape[0]), found.labels].sigmoid()
