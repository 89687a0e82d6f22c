"""A whole model as one module: the normalised image to objects."""

from typing import Tuple

from mmdet.models.detectors import TwoStageDetector
from torch import Tensor, nn

from ...errors import FishNetError
from .roi import Masks, StandardRoI
from .rpn import Proposals


class TwoStage(nn.Module):
    """Faster and Mask R-CNN.

    Args:
        model (TwoStageDetector): The trained model.

    Attributes:
        task (str): What the model does.
        outputs (tuple[str]): Names of what it returns.
        settings (dict[str, str]): Thresholds, for the metadata.
    """

    def __init__(self, model: TwoStageDetector) -> None:
        super().__init__()
        self.backbone, self.neck = model.backbone, model.neck
        self.proposals = Proposals(model.rpn_head)
        self.roi = StandardRoI(model.roi_head)
        self.masks = Masks(model.roi_head) if model.roi_head.with_mask else None
        self.task = 'instance segmentation' if self.masks else 'detection'
        self.outputs = ('boxes', 'labels', 'scores', *(['masks'] if self.masks else []))
        cfg = model.roi_head.test_cfg
        self.settings = dict(score_threshold=str(cfg.score_thr))
        if self.masks:
            self.settings['mask_threshold'] = str(cfg.mask_thr_binary)

    def forward(self, image: Tensor, image_size: Tensor) -> Tuple[Tensor, ...]:
        """The image (1, 3, h, w), and its height and width before padding, to boxes, labels, scores and maybe masks."""
        features = self.neck(self.backbone(image))
        found = self.roi(features, self.proposals(features, image_size), image_size)
        return (*found, self.masks(features, found)) if self.masks else tuple(found)


def as_network(model: nn.Module) -> nn.Module:
    """A trained model with what it does to the outputs of its heads.

    Raises:
        FishNetError: If it cannot be exported.
    """
    if isinstance(model, TwoStageDetector):
        return TwoStage(model)
    raise FishNetError(f'a {type(model).__name__} cannot be exported')
