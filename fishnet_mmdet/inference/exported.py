"""An exported model on single images, with the results of a checkpoint."""

from pathlib import Path
from typing import Callable, Dict, Union

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from ..deploy import ClassScores, Detector, Objects, PanopticMap
from .classification import Classification
from .instances import Instances
from .panoptic import PanopticSegmentation

#: How model files end.
ENDING = '.onnx'


class ExportedPredictor:
    """An exported model, in the place of a :class:`Predictor`.

    Args:
        file (Path): The model file. It runs on the CPU, with as many threads as PyTorch.

    Attributes:
        classes (tuple[str]): Names of the classes.
        properties (dict): The metadata of the file.
        results (Instances | PanopticSegmentation | Classification): Draws predictions and collects them.

    Raises:
        FishNetError: If it is not a model file.
    """

    def __init__(self, file: Path) -> None:
        self.detector = Detector(file, threads=torch.get_num_threads())
        self.classes = self.detector.classes
        metadata = self.detector.metadata
        self.properties = metadata.properties
        meta = dict(classes=self.classes, palette='random', category_ids=metadata.category_ids)
        if metadata.thing_classes is not None:
            meta['thing_classes'] = metadata.thing_classes
        self.results = RESULTS.get(self.detector.task, Instances)(meta)

    def __call__(self, image: np.ndarray) -> Union[DetDataSample, dict]:
        """Predicts on one image, (h, w, 3), BGR, uint8: as :class:`Predictor`."""
        found = self.detector(image)
        return AS_MMDET[type(found)](found)


RESULTS: Dict[str, Callable] = {
    'panoptic segmentation': PanopticSegmentation,
    'classification': lambda meta: Classification(meta['classes']),
}


def _objects(found: Objects) -> DetDataSample:
    parts = dict(bboxes=found.boxes, labels=found.labels, scores=found.scores)
    if found.masks is not None:
        parts['masks'] = found.masks
    return DetDataSample(pred_instances=InstanceData(**{name: torch.from_numpy(part) for name, part in parts.items()}))


def _segments(found: PanopticMap) -> DetDataSample:
    return DetDataSample(pred_panoptic_seg=PixelData(sem_seg=torch.from_numpy(found.panoptic)[None]))


def _classes(found: ClassScores) -> dict:
    return dict(label=int(found.scores.argmax()), scores=torch.from_numpy(found.scores))


AS_MMDET: Dict[type, Callable] = {Objects: _objects, PanopticMap: _segments, ClassScores: _classes}
