"""The page of a detector: AP, curves, and truth beside predictions, or predictions alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import mmcv
import numpy as np
from mmengine import fileio
from pycocotools.coco import COCO

from ..errors import FishNetError
from .coco import FALSE, IGNORED, MATCH_IOU, Evaluation, precision_curves, table
from .shapes import box_numbers, mask_numbers
from .site import Site

#: The score from which predictions are shown at first.
THRESHOLD = 0.3
#: More images would make a page that is slow to write, to copy and to use. It then has those with the most mistakes.
MOST_IMAGES = 5000
KINDS = dict(bbox='boxes', segm='masks')
COLUMNS = ['objects', 'AP', 'AP50', 'AP75', 'AP small', 'AP medium', 'AP large', 'AR']


class ImageResult(NamedTuple):
    """What was found in an image.

    Attributes:
        image_id: Its id in the annotations.
        path (str): Its file.
        labels (np.ndarray): (n,), indices of the classes.
        scores (np.ndarray): (n,), from 0 to 1.
        boxes (np.ndarray): (n, 4), x1, y1, x2, y2 in pixels of the file.
        masks (list[dict], optional): n masks as COCO's RLE.
    """

    image_id: int
    path: str
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    masks: Optional[List[dict]]


class Truth(NamedTuple):
    """Annotations, and how a test evaluated predictions with them.

    Attributes:
        annotations (COCO): The annotations.
        category_ids (Sequence[int]): The category of each class.
        evaluations (dict): By kind, 'bbox' or 'segm', of the predictions of all images in their order. Empty if nothing was
            predicted, where CocoMetric evaluates nothing.
    """

    annotations: COCO
    category_ids: Sequence[int]
    evaluations: Dict[str, Evaluation]


def write_detections(
    site: Site, results: Sequence[ImageResult], classes: Sequence[str], facts: dict, truth: Optional[Truth] = None
) -> Path:
    """Writes the page of a detector.

    Args:
        site (Site): Where to.
        results (Sequence[ImageResult]): What was found in each image.
        classes (Sequence[str]): Names of the classes.
        facts (dict): What else the page says of the run: ``facts`` and ``curves`` as the functions of facts.py give them.
        truth (Truth, optional): The annotations.

    Returns:
        Path: The page.
    """
    evaluations = truth.evaluations if truth else {}
    # Where masks are evaluated, they decide what is found.
    kind = 'segm' if 'segm' in evaluations else 'bbox'
    pictures = Pictures(results, truth, evaluations.get(kind))
    shown = worst(results, pictures) if truth else range(len(results))[:MOST_IMAGES]
    site.begin()
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda item: pictures.add(site, *item), enumerate(shown)))
    return site.finish(
        dict(
            kind='detection',
            classes=list(classes),
            truth=truth is not None,
            threshold=THRESHOLD,
            images=rows,
            left_out=len(results) - len(shown),
            matching=dict(kind=KINDS[kind], iou=evaluations[kind].match_iou if evaluations else MATCH_IOU),
            tables=tables(evaluations, classes),
            precision={KINDS[kind]: precision_curves(one) for kind, one in evaluations.items()},
            **facts,
        )
    )


def tables(evaluations: Dict[str, Evaluation], classes: Sequence[str]) -> List[dict]:
    """The tables of AP: title, columns, and rows that begin with a name."""
    return [
        dict(
            title=f'AP of {KINDS[kind]}',
            columns=['class', *COLUMNS],
            rows=[[name, *row] for name, row in zip(['all classes', *classes], table(evaluation))],
        )
        for kind, evaluation in evaluations.items()
    ]


class Pictures:
    """Writes the images and what is drawn on them.

    Args:
        results (Sequence[ImageResult]): What was found in each image.
        truth (Truth, optional): The annotations.
        evaluation (Evaluation, optional): Which prediction matches which object.
    """

    def __init__(
        self, results: Sequence[ImageResult], truth: Optional[Truth] = None, evaluation: Optional[Evaluation] = None
    ) -> None:
        self.results = results
        self.truth = truth
        self.labels = {category: label for label, category in enumerate(truth.category_ids)} if truth else {}
        crowds = {i: None for i, one in truth.annotations.anns.items() if one.get('iscrowd')} if truth else {}
        self.found = evaluation.found if evaluation else crowds
        numbers = [len(result.labels) for result in results]
        states = evaluation.states if evaluation else np.full(sum(numbers), IGNORED, np.int8)
        self.states = np.split(states, np.cumsum(numbers)[:-1])

    def objects(self, image_id: int) -> List[dict]:
        """The annotations of an image whose class the model knows."""
        return [one for one in self.truth.annotations.imgToAnns[image_id] if one['category_id'] in self.labels]

    def mistakes(self, index: int) -> int:
        """Missed objects and false finds of an image at the threshold that the page begins with."""
        result = self.results[index]
        scores = [self.found.get(one['id'], 0) for one in self.objects(result.image_id)]
        missed = sum(score is not None and score < THRESHOLD for score in scores)
        return missed + int(((self.states[index] == FALSE) & (result.scores >= THRESHOLD)).sum())

    def add(self, site: Site, number: int, index: int) -> dict:
        """Saves an image and its data, and returns what the page must know of it from the start."""
        result = self.results[index]
        image = read_image(result.path)
        height, width = image.shape[:2]
        truths, found_at = self.truths(result, height, width) if self.truth else ([], [])
        labels, states = result.labels.tolist(), self.states[index].tolist()
        scores = [percent(score) for score in result.scores.tolist()]
        masks = result.masks or [None] * len(labels)
        best_first = np.argsort(-result.scores, kind='stable').tolist()
        # Class, score, state, box, contours.
        predictions = [
            [
                labels[i],
                round(float(result.scores[i]), 3),
                states[i],
                box_numbers(result.boxes[i], height, width),
                mask_numbers(masks[i], height, width),
            ]
            for i in best_first
        ]
        saved_width, saved_height = site.add_image(number, image, dict(truths=truths, predictions=predictions))
        return dict(
            name=Path(result.path).name,
            size=[saved_width, saved_height],
            # Class and score at which it is found (-1: never, -2: ignored) of each object.
            truths=[value for one, score in zip(truths, found_at) for value in (one[0], score)],
            # Class, score in percent and state of each prediction.
            predictions=[value for i in best_first for value in (labels[i], scores[i], states[i])],
        )

    def truths(self, result: ImageResult, height: int, width: int) -> tuple:
        """Of each object: class, box and contours; and the score in percent at which it is found."""
        shapes, found_at = [], []
        for one in self.objects(result.image_id):
            x, y, w, h = one['bbox']
            rle = self.truth.annotations.annToRLE(one) if one.get('segmentation') else None
            shapes.append(
                [
                    self.labels[one['category_id']],
                    box_numbers([x, y, x + w, y + h], height, width),
                    mask_numbers(rle, height, width),
                ]
            )
            score = self.found.get(one['id'], -1)
            found_at.append(-2 if score is None else -1 if score < 0 else percent(score))
        return shapes, found_at


def worst(results: Sequence[ImageResult], pictures: Pictures) -> Sequence[int]:
    """The indices of the ``MOST_IMAGES`` images with the most mistakes, in their order."""
    indices = range(len(results))
    return (
        indices if len(results) <= MOST_IMAGES else sorted(sorted(indices, key=lambda i: -pictures.mistakes(i))[:MOST_IMAGES])
    )


def percent(score: float) -> int:
    """A score as whole percents, rounded down: at a threshold of t percent exactly the scores of t or more remain."""
    return int(score * 100 + 1e-6)


def read_image(path: str) -> np.ndarray:
    """An image file as the model gets it: (h, w, 3), BGR.

    Raises:
        FishNetError: If it cannot be read.
    """
    try:
        image = mmcv.imfrombytes(fileio.get(path))
    except OSError as error:
        raise FishNetError(f'the report needs the image {path}, which cannot be read: {error}') from error
    if image is None:
        raise FishNetError(f'the report needs the image {path}, which is not an image: replace it')
    return image
