"""Predicted classes: written on the image, and as JSON."""

from pathlib import Path
from typing import Dict, List, Sequence

import cv2
import numpy as np
from mmengine.visualization import Visualizer

#: Classes that are saved for an image, best first.
SAVED = 5


class Classification:
    """Collects the classes of images.

    Args:
        classes (Sequence[str]): Names of the classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.predictions: List[dict] = []
        self.visualizer = Visualizer()

    def add(self, image_id: int, prediction: dict) -> None:
        """Adds the classes of an image with the highest scores; ``image_id`` numbers it."""
        scores, labels = prediction['scores'].topk(min(SAVED, len(self.classes)))
        best = [
            dict(label=label, name=self.classes[label], score=score) for label, score in zip(labels.tolist(), scores.tolist())
        ]
        self.predictions.append(dict(image_id=image_id, classes=best))

    def draw(self, image: np.ndarray, prediction: dict, file: Path, score_thr: float) -> None:
        """Writes the best class with its score on the image (h, w, 3), BGR, and saves it."""
        label = int(prediction['scores'].argmax())
        text = f'{self.classes[label]} {100 * float(prediction["scores"][label]):.0f} %'
        self.visualizer.set_image(image[..., ::-1])
        box = [dict(facecolor='black', alpha=0.7, pad=1, edgecolor='none')]
        self.visualizer.draw_texts(text, np.array([2, 2]), font_sizes=max(image.shape[1] // 32, 6), colors='white', bboxes=box)
        cv2.imwrite(str(file), self.visualizer.get_image()[..., ::-1])

    def to_json(self) -> Dict[str, list]:
        """The collected classes, the best first."""
        return dict(classes=self.classes, predictions=self.predictions)

    def summary(self, score_thr: float) -> str:
        """How many there are."""
        return f'{len(self.predictions)} classes drawn, the best {min(SAVED, len(self.classes))} of each image saved'
