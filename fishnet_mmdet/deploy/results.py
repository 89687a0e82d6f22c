"""What a model finds in an image, by its task."""

from typing import NamedTuple, Optional

import numpy as np


class Objects(NamedTuple):
    """The objects of an image, those with the highest scores first.

    Attributes:
        boxes (np.ndarray): (n, 4), float32: x1, y1, x2, y2 in pixels of the image.
        labels (np.ndarray): (n,), int64: indices of ``Detector.classes``.
        scores (np.ndarray): (n,), float32: from 0 to 1.
        masks (np.ndarray, optional): (n, height, width), bool; None if the model finds boxes alone.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    masks: Optional[np.ndarray] = None

    def above(self, threshold: float) -> 'Objects':
        """The objects with a score of at least ``threshold``."""
        chosen = self.scores >= threshold
        return Objects(*(None if part is None else part[chosen] for part in self))


class PanopticMap(NamedTuple):
    """The segments of an image.

    Attributes:
        panoptic (np.ndarray): (height, width), int64: label + 1000 * number of the segment. Labels from the number of
            classes on mean that a pixel has no segment.
    """

    panoptic: np.ndarray


class ClassScores(NamedTuple):
    """The probabilities of an image's classes.

    Attributes:
        scores (np.ndarray): (classes,), float32.
    """

    scores: np.ndarray


#: The type of each task's results. The outputs of a model file have the names of its fields.
TASKS = {
    'detection': (Objects, ('boxes', 'labels', 'scores')),
    'instance segmentation': (Objects, ('boxes', 'labels', 'scores', 'masks')),
    'panoptic segmentation': (PanopticMap, ('panoptic',)),
    'classification': (ClassScores, ('scores',)),
}
