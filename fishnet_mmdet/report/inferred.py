"""The report of predictions on images without annotations."""

from collections import defaultdict
from pathlib import Path
from typing import Sequence

import numpy as np

from ..errors import FishNetError
from ..inference.panoptic import PanopticSegmentation
from .classification import ClassifiedImage, write_classes
from .detection import ImageResult, read_image, write_detections
from .site import Site


def check_predictions(results) -> None:
    """Checks that there is a page for the predictions of a model.

    Raises:
        FishNetError: If not.
    """
    if isinstance(results, PanopticSegmentation):
        raise FishNetError(
            '--report shows boxes, masks and classes, but this model predicts panoptic segments: remove --report'
        )


def write_predictions(site: Site, facts: dict, files: Sequence[Path], predictions: dict) -> Path:
    """Writes the page of predictions.

    Args:
        site (Site): Where to.
        facts (dict): As in :func:`.detection.write_detections`.
        files (Sequence[Path]): The images.
        predictions (dict): The content of predictions.json, with one entry of ``images`` for each file.

    Returns:
        Path: The page.
    """
    if 'classes' in predictions:
        images = [classified(file, one['classes']) for file, one in zip(files, predictions['predictions'])]
        return write_classes(site, images, predictions['classes'], facts)
    labels = {category['id']: label for label, category in enumerate(predictions['categories'])}
    found = defaultdict(list)
    for one in predictions['annotations']:
        found[one['image_id']].append(one)
    images = [
        image_result(file, record['id'], found[record['id']], labels) for file, record in zip(files, predictions['images'])
    ]
    return write_detections(site, images, [category['name'] for category in predictions['categories']], facts)


def classified(file: Path, best: Sequence[dict]) -> ClassifiedImage:
    """The classes of an image."""
    labels, scores = (np.array([one[key] for one in best]) for key in ('label', 'score'))
    return ClassifiedImage(file.name, lambda: read_image(str(file)), labels, scores)


def image_result(file: Path, image_id: int, annotations: Sequence[dict], labels: dict) -> ImageResult:
    """The annotations of an image, as a detector's result."""
    boxes = np.array([one['bbox'] for one in annotations]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return ImageResult(
        image_id,
        str(file),
        np.array([labels[one['category_id']] for one in annotations], int),
        np.array([one['score'] for one in annotations], float),
        boxes,
        [one.get('segmentation') for one in annotations],
    )
