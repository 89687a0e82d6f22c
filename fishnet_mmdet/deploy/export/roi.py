"""The second stage: proposals to objects with masks."""

from typing import List, Sequence, Tuple

import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from .boxes import Detections, from_deltas, suppress
from .conditions import require, require_methods, require_nms
from .operators import roi_align


class RoIFeatures(nn.Module):
    """mmdet's ``SingleRoIExtractor``: RoIAlign of each box on the level of the box's size.

    Args:
        extractor (SingleRoIExtractor): The extractor.

    Raises:
        FishNetError: If it pools in another way.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        require_methods(extractor, SingleRoIExtractor, 'forward', 'map_roi_levels')
        for layer in extractor.roi_layers:
            require(type(layer) is RoIAlign and layer.pool_mode == 'avg', layer, 'is no RoIAlign with the mean')
            require(layer.output_size[0] == layer.output_size[1], layer, f'has output_size={layer.output_size}, no square')
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


class Boxes(nn.Module):
    """mmdet's box heads: one of ``StandardRoIHead``, several in a row of ``CascadeRoIHead``.

    Args:
        head (StandardRoIHead | CascadeRoIHead): The trained head.

    Raises:
        FishNetError: If it is of another kind.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        heads, extractors = stages(head, 'bbox')
        if isinstance(head, CascadeRoIHead):
            require_methods(head, CascadeRoIHead, '_refine_roi')
        require(not head.with_shared_head, head, 'has a shared_head')
        for part in heads:
            require_methods(part, BBoxHead, 'predict_by_feat', '_predict_by_feat_single', 'regress_by_class')
            require(not part.custom_activation and not part.custom_cls_channels, part.loss_cls, 'computes scores itself')
            require(part.with_cls and part.with_reg, part, 'has no scores, or no boxes')
        require_nms(head.test_cfg, head)
        self.heads = nn.ModuleList(heads)
        self.features = nn.ModuleList(map(RoIFeatures, extractors))
        self.cfg = head.test_cfg

    def forward(self, features: Sequence[Tensor], boxes: Tensor, size: Tensor) -> Detections:
        """Features of all levels, proposals (n, 4), and the height and width of the image, to its objects."""
        count, boxes = boxes.shape[0], with_one_more(boxes)
        all_logits: List[Tensor] = []
        for i, (head, extract) in enumerate(zip(self.heads, self.features)):
            logits, deltas = head(extract(features, boxes))
            all_logits.append(logits)
            if i < len(self.heads) - 1:
                boxes = from_deltas(boxes, of_class(deltas, logits[:, :-1].argmax(1), head), head.bbox_coder, size)
        boxes, logits, deltas = (first(count, rows) for rows in (boxes, sum(all_logits) / len(all_logits), deltas))
        return choose(head, self.cfg, boxes, logits, deltas, size)


def stages(head: nn.Module, branch: str) -> Tuple[Sequence[nn.Module], Sequence[nn.Module]]:
    """The heads of all stages of a branch, and their RoI extractors.

    Args:
        head (StandardRoIHead | CascadeRoIHead): The trained head. The first has one stage.
        branch (str): 'bbox' or 'mask'.

    Raises:
        FishNetError: If it is of another kind.
    """
    cascade = isinstance(head, CascadeRoIHead)
    kind = CascadeRoIHead if cascade else StandardRoIHead
    require_methods(head, kind, 'predict', f'predict_{branch}', f'_{branch}_forward')
    heads, extractors = getattr(head, f'{branch}_head'), getattr(head, f'{branch}_roi_extractor')
    return (heads, extractors) if cascade else ([heads], [extractors])


def with_one_more(boxes: Tensor) -> Tensor:
    """Boxes (n, 4), and one of a pixel. Of no box at all, runtimes cannot compute group norm."""
    return torch.cat([boxes, torch.tensor([[0.0, 0.0, 1.0, 1.0]])])


def first(count: int, rows: Tensor) -> Tensor:
    """The first rows of a tensor."""
    return rows.index_select(0, torch.arange(count))


def of_class(deltas: Tensor, label: Tensor, head: BBoxHead) -> Tensor:
    """The offsets (n, 4) of one class of each box, from those of all classes (n, 4 * classes), or of all in common (n, 4)."""
    if head.reg_class_agnostic:
        return deltas
    return deltas.reshape(-1, 4).index_select(0, torch.arange(label.shape[0]) * head.num_classes + label)


def choose(head: BBoxHead, cfg: dict, boxes: Tensor, logits: Tensor, deltas: Tensor, size: Tensor) -> Detections:
    """The objects of the last stage: boxes of each class, those above the score threshold, without overlapping ones.

    Args:
        head (BBoxHead): The head that computed ``deltas``.
        cfg (dict): ``test_cfg.rcnn``.
        boxes (Tensor): Its input, shape (n, 4).
        logits (Tensor): Of all classes and the background, shape (n, classes + 1).
        deltas (Tensor): Shape (n, 4) or (n, 4 * classes).
        size (Tensor): Height and width of the image.
    """
    scores = logits.softmax(-1)[:, :-1]
    roi, label = (scores > cfg.score_thr).nonzero().unbind(1)
    number = roi * head.num_classes + label
    deltas = deltas.index_select(0, roi) if head.reg_class_agnostic else deltas.reshape(-1, 4).index_select(0, number)
    boxes = from_deltas(boxes.index_select(0, roi), deltas, head.bbox_coder, size)
    scores = scores.reshape(-1).index_select(0, number)
    return suppress(boxes, label, scores, cfg.nms, cfg.max_per_img)


class Masks(nn.Module):
    """mmdet's mask branch: objects to the probabilities of their masks, the mean of all stages.

    Args:
        head (StandardRoIHead | CascadeRoIHead): The trained head.

    Raises:
        FishNetError: If it is of another kind.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        heads, extractors = stages(head, 'mask')
        for part in heads:
            require_methods(part, FCNMaskHead, 'forward', 'predict_by_feat', '_predict_by_feat_single')
        self.heads = nn.ModuleList(heads)
        self.features = nn.ModuleList(map(RoIFeatures, extractors))

    def forward(self, features: Sequence[Tensor], found: Detections) -> Tensor:
        """Features of all levels, and n objects, to probabilities in their boxes (n, s, s)."""
        boxes, masks = with_one_more(found.boxes), []
        for head, extract in zip(self.heads, self.features):
            logits = first(found.boxes.shape[0], head(extract(features, boxes)))
            masks.append(logits[:, 0] if head.class_agnostic else self._of_class(logits, found.labels))
        return sum(mask.sigmoid() for mask in masks) / len(masks)

    @staticmethod
    def _of_class(logits: Tensor, labels: Tensor) -> Tensor:
        count, classes, height, width = logits.shape
        return logits.reshape(-1, height, width).index_select(0, torch.arange(count) * classes + labels)
