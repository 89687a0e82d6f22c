"""The page of a classifier: accuracy by class, what is taken for what, and the images, wrong ones first."""

from collections import Counter
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from .detection import MOST_IMAGES
from .site import Site

#: Classes that are shown of an image, best first.
SHOWN = 5
#: Pairs of classes in the table of mistakes.
PAIRS = 20


class ClassifiedImage(NamedTuple):
    """An image with its classes.

    Attributes:
        name (str): Its name on the page.
        read (Callable): Returns the image, (h, w, 3), BGR.
        best (np.ndarray): The labels with the highest scores, best first.
        scores (np.ndarray): Their scores, from 0 to 1.
        label (int, optional): The true class, if it is known.
    """

    name: str
    read: Callable[[], np.ndarray]
    best: np.ndarray
    scores: np.ndarray
    label: Optional[int] = None


def write_classes(site: Site, images: Sequence[ClassifiedImage], classes: Sequence[str], facts: dict) -> Path:
    """Writes the page of a classifier. More than ``MOST_IMAGES`` images would be too many; the wrong ones then come first.

    Args:
        site (Site): Where to.
        images (Sequence[ClassifiedImage]): The images.
        classes (Sequence[str]): Names of the classes.
        facts (dict): As in :func:`.detection.write_detections`.

    Returns:
        Path: The page.
    """
    known = [one for one in images if one.label is not None]
    order = sorted(range(len(images)), key=lambda i: images[i].label in (None, images[i].best[0]))
    shown = [images[i] for i in sorted(order[:MOST_IMAGES])]
    site.begin()
    rows = []
    for number, one in enumerate(shown):
        size = site.add_image(number, one.read(), {})
        best = [value for label, score in zip(one.best[:SHOWN], one.scores) for value in (int(label), round(float(score), 3))]
        rows.append(dict(name=one.name, size=size, label=-1 if one.label is None else int(one.label), best=best))
    return site.finish(
        dict(
            kind='classification',
            classes=list(classes),
            truth=bool(known),
            images=rows,
            left_out=len(images) - len(shown),
            tables=[accuracies(known, classes), mistakes(known, classes)] if known else [],
            **facts,
        )
    )


def accuracies(images: Sequence[ClassifiedImage], classes: Sequence[str]) -> dict:
    """The table of accuracy, of all images and by class: images, and the share in percent whose best class is the true one."""
    labels = np.array([one.label for one in images])
    right = np.array([one.best[0] == one.label for one in images])
    rows: List[list] = [['all classes', len(labels), round(100 * float(right.mean()), 2)]]
    for label, name in enumerate(classes):
        chosen = right[labels == label]
        rows.append([name, len(chosen), round(100 * float(chosen.mean()), 2) if len(chosen) else None])
    return dict(title='Top-1 accuracy', columns=['class', 'images', 'accuracy in percent'], rows=rows)


def mistakes(images: Sequence[ClassifiedImage], classes: Sequence[str]) -> dict:
    """The table of the most frequent mistakes."""
    pairs = Counter((one.label, int(one.best[0])) for one in images if one.best[0] != one.label)
    rows = [[classes[label], classes[found], number] for (label, found), number in pairs.most_common(PAIRS)]
    return dict(title='Most frequent mistakes', columns=['true class', 'predicted class', 'images'], rows=rows)
