"""Whether a file finds what PyTorch finds."""

import json
from typing import Dict, List, NamedTuple

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto

from ...inference import Predictor
from .images import Preprocessing
from .metadata import read_metadata
from .placing import Placing

Outputs = Dict[str, np.ndarray]


class Session:
    """A model in ONNX Runtime, for images as OpenCV reads them.

    Args:
        model (ModelProto): With its metadata.
    """

    def __init__(self, model: ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, ['CPUExecutionProvider'])
        self.metadata = read_metadata(model)
        self.steps = json.loads(self.metadata['preprocessing'])

    def __call__(self, image: np.ndarray) -> Outputs:
        """An image (h, w, 3), uint8, BGR, to the outputs by name, in pixels of the image."""
        if self.steps['where'] == 'inside':
            return self._run(image=image)
        pixels, size, original, resized = Preprocessing(self.steps)(torch.from_numpy(image))
        given = dict(image=pixels.numpy(), image_size=size.numpy())
        known = {value.name for value in self.session.get_inputs()}
        outputs = self._run(**{name: value for name, value in given.items() if name in known})
        if 'boxes' in outputs:
            threshold = float(self.metadata.get('mask_threshold', 0.5))
            masks = torch.from_numpy(outputs['masks']) if 'masks' in outputs else None
            placed = Placing(threshold)(torch.from_numpy(outputs['boxes']), masks, original, resized)
            outputs.update(zip(('boxes', 'masks'), (value.numpy() for value in placed)))
        return outputs

    def _run(self, **inputs: np.ndarray) -> Outputs:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs)))


def by_pytorch(predictor: Predictor, image: np.ndarray) -> Outputs:
    """What the model predicts, in the form of a file's outputs."""
    prediction = predictor(image)
    if isinstance(prediction, dict):
        return dict(scores=prediction['scores'].numpy())
    if 'pred_panoptic_seg' in prediction:
        return dict(panoptic=prediction.pred_panoptic_seg.sem_seg[0].numpy())
    found = prediction.pred_instances.numpy()
    outputs = dict(boxes=found.bboxes, labels=found.labels, scores=found.scores)
    return dict(outputs, masks=found.masks) if 'masks' in found else outputs


class Difference(NamedTuple):
    """How far two predictions of an image are apart. The worst of all objects or pixels."""

    objects: int = 0
    """Objects that both found, or segments."""
    alone: int = 0
    """Objects that only one of them found."""
    box: float = 0.0
    """Pixels between the sides of boxes."""
    score: float = 0.0
    """Between scores."""
    mask: float = 1.0
    """The smallest intersection over union of masks; of panoptic maps, the share of equal pixels."""


def compare(one: Outputs, other: Outputs) -> Difference:
    """Compares two predictions of the same image."""
    if 'panoptic' in one:
        equal = one['panoptic'] == other['panoptic']
        return Difference(objects=len(np.unique(one['panoptic'])), mask=float(equal.mean()))
    if 'boxes' not in one:
        return Difference(objects=1, score=float(np.abs(one['scores'] - other['scores']).max()))
    pairs = match(one, other)
    alone = len(one['scores']) + len(other['scores']) - 2 * len(pairs)
    box, score, mask = 0.0, 0.0, 1.0
    for i, k in pairs:
        box = max(box, float(np.abs(one['boxes'][i] - other['boxes'][k]).max()))
        score = max(score, float(abs(one['scores'][i] - other['scores'][k])))
        if 'masks' in one:
            both, either = (one['masks'][i] & other['masks'][k]).sum(), (one['masks'][i] | other['masks'][k]).sum()
            mask = min(mask, float(both / either) if either else 1.0)
    return Difference(len(pairs), alone, box, score, mask)


#: Boxes with sides farther apart than this are not the same object, in pixels.
NEAR = 1.0


def match(one: Outputs, other: Outputs) -> List[tuple]:
    """The indices of the same objects: the nearest boxes of the same class. The order of equal scores may differ."""
    free = np.ones(len(other['scores']), bool)
    pairs = []
    for i in range(len(one['scores'])):
        far = np.abs(other['boxes'] - one['boxes'][i]).max(axis=1, initial=0)
        far[~free | (other['labels'] != one['labels'][i])] = np.inf
        if len(far) and far.min() <= NEAR:
            free[far.argmin()] = False
            pairs.append((i, int(far.argmin())))
    return pairs


def worst(differences: List[Difference]) -> Difference:
    """The worst of several images; counts are added."""
    columns = list(zip(*differences))
    return Difference(sum(columns[0]), sum(columns[1]), max(columns[2]), max(columns[3]), min(columns[4]))
