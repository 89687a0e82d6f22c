"""mmdet's visualizer with another look of objects: small ones are not hidden by their labels."""

from typing import List, Optional, Sequence

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.structures import InstanceData

from ..engine.config_tree import type_of
from ..registry import VISUALIZERS
from .drawing import draw_objects, enlarge, enlargement


@VISUALIZERS.register_module()
class ObjectVisualizer(DetLocalVisualizer):
    """Draws contours, a colour for each object, and text where it has room. Small images are enlarged.

    Panoptic segments are drawn as mmdet draws them.
    """

    _enlargement = 1

    def add_datasample(
        self, name: str, image: np.ndarray, data_sample: Optional[DetDataSample] = None, *args, **kwargs
    ) -> None:
        """As mmdet's: ground truth to the left, predictions to the right, of an image (h, w, 3), RGB."""
        segments = data_sample is not None and any('seg' in key for key in data_sample.keys())
        # mmdet draws segments on the image as it is.
        self._enlargement = 1 if segments else enlargement(*image.shape[:2])
        super().add_datasample(name, enlarge(image, self._enlargement), data_sample, *args, **kwargs)

    def _draw_instances(
        self, image: np.ndarray, instances: InstanceData, classes: Optional[Sequence[str]], palette: Optional[List[tuple]]
    ) -> np.ndarray:
        boxes, masks = instances.get('bboxes'), instances.get('masks')
        if masks is not None:
            masks = (masks.numpy() if isinstance(masks, torch.Tensor) else masks.to_ndarray()).astype(bool)
        if boxes is None:
            boxes = np.zeros((len(instances), 4), np.float32)
        # Ground truth is a tensor, or one of mmdet's box types around it.
        boxes = np.asarray(getattr(boxes, 'tensor', boxes), np.float32)
        picture = draw_objects(image, boxes, masks, texts_of(instances, classes), self._enlargement)
        self.set_image(picture)
        return picture


def texts_of(instances: InstanceData, classes: Optional[Sequence[str]]) -> List[str]:
    """Class and score of each object. With one class its name would say nothing, so it is left out."""
    if 'label_names' in instances:
        names = list(instances.label_names)
    elif classes is not None and len(classes) == 1:
        names = [''] * len(instances)
    else:
        names = [classes[label] if classes else f'class {label}' for label in instances.labels.tolist()]
    if 'scores' not in instances:
        return names
    return [f'{name} {score:.2f}'.strip() for name, score in zip(names, instances.scores.tolist())]


def draw_objects_clearly(cfg: Config) -> None:
    """Puts :class:`ObjectVisualizer` in the place of mmdet's visualizer in a config; a visualizer of the user stays."""
    if cfg.get('visualizer') and type_of(cfg.visualizer)[0] == 'DetLocalVisualizer':
        cfg.visualizer.type = 'fishnet_mmdet.ObjectVisualizer'
