"""Panoptic FPN's end: objects and stuff become one map."""

import torch
import torch.nn.functional as F
from mmdet.evaluation.functional import INSTANCE_OFFSET
from torch import Tensor, nn

from .operators import lay_masks
from .placing import paste, scaled_back
from .resizing import whole


class PanopticPlacing(nn.Module):
    """mmdet's ``HeuristicFusionHead`` in pixels of the given image.

    Args:
        head (HeuristicFusionHead): Its settings.
        mask_threshold (float): Probability from which on a pixel belongs to an object.
    """

    def __init__(self, head: nn.Module, mask_threshold: float) -> None:
        super().__init__()
        self.things, self.classes = head.num_things_classes, head.num_classes
        self.overlap, self.least = head.test_cfg.mask_overlap, head.test_cfg.stuff_area_limit
        self.mask_threshold = mask_threshold

    def forward(
        self,
        boxes: Tensor,
        labels: Tensor,
        masks: Tensor,
        semantic: Tensor,
        image_size: Tensor,
        original: Tensor,
        resized: Tensor,
    ) -> Tensor:
        """The outputs of the network, the best object first, and the sizes of the image.

        Returns:
            Tensor: (height, width) of label + INSTANCE_OFFSET * number, as mmdet encodes segments. The number of stuff is 0.
        """
        drawn = paste(masks, scaled_back(boxes, original, resized), original) >= self.mask_threshold
        objects = lay_masks(drawn, labels, self.overlap, INSTANCE_OFFSET)
        for axis, side in zip((2, 3), whole(image_size)):
            semantic = semantic.index_select(axis, torch.arange(side))
        semantic = F.interpolate(semantic, size=whole(original), mode='bilinear', align_corners=False)
        segments = torch.where(objects > 0, objects, semantic[0].argmax(0) + self.things)
        label = segments % INSTANCE_OFFSET
        area = torch.zeros(INSTANCE_OFFSET, dtype=torch.long)
        area = area.scatter_add(0, label.reshape(-1), torch.ones_like(label.reshape(-1)))
        small = (area < self.least).index_select(0, label.reshape(-1)).reshape(label.shape)
        return torch.where(small & (objects == 0), self.classes, segments)
