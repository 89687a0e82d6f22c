"""A whole model as one module: the normalised image to objects, or to the scores of classes."""

from typing import Callable, Dict, Optional, Tuple

import torch.nn.functional as F
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.detectors.panoptic_two_stage_segmentor import TwoStagePanopticSegmentor
from mmdet.models.seg_heads import PanopticFPNHead
from mmdet.models.seg_heads.panoptic_fusion_heads import HeuristicFusionHead
from torch import Tensor, nn

from ...models import Classifier
from .conditions import require, require_methods
from .dense import Dense
from .panoptic import PanopticPlacing
from .placing import Placing
from .roi import Boxes, Masks
from .rpn import Proposals


class Network(nn.Module):
    """What all of them have.

    Attributes:
        task (str): What the model does.
        outputs (tuple[str]): Names of what ``forward`` returns.
        settings (dict[str, float]): Thresholds, for the metadata.
        end (nn.Module, optional): What makes outputs in pixels of the given image of them. Its arguments have their names.
        end_outputs (tuple[str]): Names of what ``end`` returns.
        beside (bool): Whether the outputs are of use without ``end``.
        fixed_size (tuple[int, int], optional): Height and width of the image, if the network takes only one size.
    """

    task: str
    outputs: Tuple[str, ...]
    settings: Dict[str, float]
    end_outputs: Tuple[str, ...] = ()
    beside: bool = True
    fixed_size: Optional[Tuple[int, int]] = None

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = getattr(model, 'neck', None)
        self.settings = {}
        # A class attribute of this name would hide the module.
        self.end = None

    def features(self, image: Tensor) -> Tuple[Tensor, ...]:
        """What the heads get."""
        features = self.backbone(image)
        return features if self.neck is None else self.neck(features)


class OneStage(Network):
    """RetinaNet, FCOS, RTMDet: boxes in one stage.

    Args:
        model (SingleStageDetector): The trained model.
    """

    task = 'detection'
    outputs = ('boxes', 'labels', 'scores')
    end_outputs = ('boxes',)

    def __init__(self, model: SingleStageDetector) -> None:
        super().__init__(model)
        require_methods(model, SingleStageDetector, 'predict', 'extract_feat')
        self.head = Dense(model.bbox_head)
        self.settings = dict(score_threshold=model.bbox_head.test_cfg.get('score_thr', 0))
        self.end = Placing()

    def forward(self, image: Tensor, image_size: Tensor) -> Tuple[Tensor, ...]:
        """The image (1, 3, h, w), and its height and width before padding, to boxes, labels and scores."""
        return tuple(self.head(self.features(image), image_size))


class TwoStage(Network):
    """Faster, Mask and Cascade R-CNN.

    Args:
        model (TwoStageDetector): The trained model.
    """

    def __init__(self, model: TwoStageDetector) -> None:
        super().__init__(model)
        require_methods(model, TwoStageDetector, 'predict', 'extract_feat')
        require(model.with_rpn, model, 'has no rpn_head')
        self._build(model)

    def _build(self, model: TwoStageDetector) -> None:
        head = model.roi_head
        self.proposals = Proposals(model.rpn_head)
        self.boxes = Boxes(head)
        self.masks = Masks(head) if head.with_mask else None
        self.task = 'instance segmentation' if self.masks else 'detection'
        self.outputs = ('boxes', 'labels', 'scores', *(['masks'] if self.masks else []))
        self.settings = dict(score_threshold=head.test_cfg.score_thr)
        self.end_outputs = ('boxes', *(['masks'] if self.masks else []))
        if self.masks:
            require(head.test_cfg.mask_thr_binary >= 0, head, 'has mask_thr_binary below 0, for masks that are not binary')
            self.settings['mask_threshold'] = head.test_cfg.mask_thr_binary
        self.end = Placing(**{key: value for key, value in self.settings.items() if key == 'mask_threshold'})

    def forward(self, image: Tensor, image_size: Tensor) -> Tuple[Tensor, ...]:
        """The image (1, 3, h, w), and its height and width before padding, to boxes, labels, scores and maybe masks."""
        return self._objects(self.features(image), image_size)

    def _objects(self, features: Tuple[Tensor, ...], size: Tensor) -> Tuple[Tensor, ...]:
        found = self.boxes(features, self.proposals(features, size), size)
        return (*found, self.masks(features, found)) if self.masks else tuple(found)


class Panoptic(TwoStage):
    """Panoptic FPN.

    Args:
        model (TwoStagePanopticSegmentor): The trained model.
    """

    beside = False

    def __init__(self, model: TwoStagePanopticSegmentor) -> None:
        Network.__init__(self, model)
        require_methods(model, TwoStagePanopticSegmentor, 'predict', 'extract_feat')
        require_methods(model.semantic_head, PanopticFPNHead, 'forward', 'predict')
        fusion = model.panoptic_fusion_head
        require_methods(fusion, HeuristicFusionHead, 'predict', '_predict_single', '_lay_masks')
        self._build(model)
        self.semantic = model.semantic_head
        self.task = 'panoptic segmentation'
        self.outputs = ('boxes', 'labels', 'scores', 'masks', 'semantic')
        self.end = PanopticPlacing(fusion, self.settings['mask_threshold'])
        self.end_outputs = ('panoptic',)

    def forward(self, image: Tensor, image_size: Tensor) -> Tuple[Tensor, ...]:
        """As of Mask R-CNN, and the logits of things together and of each stuff class (1, c, h, w)."""
        features = self.features(image)
        logits = self.semantic(features)['seg_preds']
        # To the size of the padded image first, as mmdet does.
        logits = F.interpolate(logits, size=image.shape[2:], mode='bilinear', align_corners=False)
        return (*self._objects(features, image_size), logits)


class Classes(Network):
    """The classifiers of this package.

    Args:
        model (Classifier): The trained model.
    """

    task = 'classification'
    outputs = ('scores',)

    def __init__(self, model: Classifier) -> None:
        super().__init__(model)
        self.head = model.cls_head
        if dense_size := getattr(model.cls_head, 'dense_size', None):
            stride = model.backbone.out_strides[-1]
            self.fixed_size = (dense_size[0] * stride, dense_size[1] * stride)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """The image (1, 3, h, w) to the probability of each class."""
        return (self.head(self.backbone(image)[-1]).softmax(1)[0],)


#: The first class of models that fits decides.
NETWORKS: Dict[type, Callable[[nn.Module], Network]] = {
    Classifier: Classes,
    TwoStagePanopticSegmentor: Panoptic,
    TwoStageDetector: TwoStage,
    SingleStageDetector: OneStage,
}


def as_network(model: nn.Module) -> Network:
    """A trained model with what mmdet does to the outputs of its heads.

    Raises:
        FishNetError: If it cannot be exported.
    """
    kind = next((kind for kind in NETWORKS if isinstance(model, kind)), None)
    require(kind is not None, model, 'is a model of another kind')
    return NETWORKS[kind](model).eval()
