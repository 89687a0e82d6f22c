"""Classification of the objects of a detection data set, to pretrain a backbone on the detector's own data."""

import logging
import os
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from ..errors import FishNetError
from ..registry import DATASETS
from .classification import ClassificationDataset, SampleTable
from .coco_checks import CROPS, Usable, check_coco, judge
from .coco_file import CocoFile, class_names, read_coco
from .reading import FaultyImages, decode, read_content


@DATASETS.register_module()
class ObjectCrops(ClassificationDataset):
    """The objects of a data set in COCO's format: a square crop around each box, with the class of the box as its label.

    Crowds and boxes with a side of less than one pixel are skipped, and so are faulty annotations (``coco_checks.FAULTS``),
    which the log counts. With ``background``, a data set of one class can be classified too: crops without an object in
    their middle are a further class.

    Args:
        data_root (str): Folder of the data set.
        ann_file (str): Annotations, in ``data_root``.
        data_prefix (dict): ``img``: the folder of the images, in ``data_root``.
        metainfo (dict): ``classes``: the names of the classes to use, in the order of the labels.
        context (float): Side of the square, as a multiple of the longer side of the box. Beyond the image, the pixels of its
            border are repeated.
        background (str, optional): The class of ``metainfo`` that is not in the annotations: crops around points in no box.
            An image has as many as objects, if they fit, at places that do not change from run to run.
        per_image (int, optional): Largest number of crops of each class from one image, so that crowded images do not
            outweigh the others. They are at equal steps in the annotations.
        backend_args (dict, optional): Storage of the files, as for mmengine's ``fileio``.
        serialize_data (bool): Whether to pickle every sample. It is off, because the annotations are stored as arrays.
        **kwargs: Other arguments of :class:`ClassificationDataset`. The pipeline starts with ``img`` (side, side, 3).

    Raises:
        FishNetError: If the annotations are missing or damaged, lack a class, or have no object of the classes. While
            reading an image: if its file is faulty and ``faulty_images`` does not skip it.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        data_prefix: dict,
        metainfo: dict,
        context: float = 1.5,
        background: Optional[str] = None,
        per_image: Optional[int] = None,
        backend_args: Optional[dict] = None,
        serialize_data: bool = False,
        **kwargs,
    ) -> None:
        self.context = context
        self.background = background
        self.per_image = per_image
        self.backend_args = backend_args
        #: What happens to faulty images; a training sets one that skips them.
        self.faulty_images = FaultyImages()
        super().__init__(
            data_root,
            ann_file=ann_file,
            data_prefix=data_prefix,
            metainfo=metainfo,
            serialize_data=serialize_data,
            **kwargs,
        )

    def load_data_list(self) -> SampleTable:
        """Reads the annotations.

        Raises:
            FishNetError: If the file is missing or damaged, lacks a class, or has no object of the classes.
        """
        classes = tuple(self._metainfo.get('classes') or ())
        file = read_coco(self.ann_file, self.backend_args)
        unknown = [name for name in classes if name not in (*class_names(file), self.background)]
        if unknown:
            raise FishNetError(
                f'{file.path} has no class {", ".join(unknown)}: its classes are {", ".join(class_names(file))}; '
                'correct metainfo=dict(classes=(...))'
            )
        found, usable = check_coco(file, CROPS)
        if note := judge(found, file.path, dict(images=len(file.images), annotations=len(file.annotations)), training=True):
            print_log(note, logger='current', level=logging.WARNING)
        return _objects(file, usable, classes, self.background, self.per_image)

    def get_data_info(self, idx: int) -> dict:
        """``img_path``, ``bbox`` (x, y, width, height) and ``gt_label`` of an object."""
        info = super().get_data_info(idx)
        info['img_path'] = fileio.join_path(
            self.data_prefix['img'], os.fsdecode(info.pop('name')), backend_args=self.backend_args
        )
        return info

    def prepare_data(self, idx: int) -> Optional[dict]:
        """Crops an object and runs the pipeline on the crop; None if the image is faulty and is skipped.

        Raises:
            FishNetError: If the image is faulty and is not skipped.
        """
        info = self.get_data_info(idx)
        content = read_content(info['img_path'], self.backend_args)
        image = None if content.problem else decode(content.data)
        if image is None:
            self.faulty_images.bad(info['img_path'], content.problem or 'cannot be decoded')
            return None
        self.faulty_images.good()
        return self.pipeline(dict(info, img=_crop(image, info['bbox'], self.context)))


def _objects(
    file: CocoFile, usable: Usable, classes: Sequence[str], background: Optional[str], per_image: Optional[int]
) -> SampleTable:
    """The usable objects of some classes, and crops of the background.

    Raises:
        FishNetError: If there are none.
    """
    ids = {category['name']: category['id'] for category in file.categories}
    labels = {ids[name]: label for label, name in enumerate(classes) if name != background}
    names = {image.get('id'): image.get('file_name') for image in file.images}
    annotations = [one for one, good in zip(file.annotations, usable.annotations) if good]
    objects = [one for one in annotations if one['category_id'] in labels and not one.get('iscrowd')]
    if not objects:
        raise FishNetError(f'{file.path} has no objects of the classes {", ".join(classes)}')
    found = [(one['image_id'], one['bbox'], labels[one['category_id']]) for one in objects]
    if background is not None:
        images = [image for image, good in zip(file.images, usable.images) if good]
        found += [(*place, classes.index(background)) for place in _background(images, annotations)]
    if per_image is not None:
        found = _at_most(per_image, found)
    return SampleTable(
        name=np.array([os.fsencode(names[image]) for image, _, _ in found]),
        bbox=np.array([box for _, box, _ in found], np.float32),
        gt_label=np.array([label for _, _, label in found], np.int32),
    )


def _at_most(number: int, found: Sequence[tuple]) -> List[tuple]:
    """Of tuples of image, box and label, at most a number for each pair of image and label, at equal steps."""
    groups: Dict[tuple, list] = {}
    for one in found:
        groups.setdefault((one[0], one[2]), []).append(one)
    return [
        group[i * len(group) // min(number, len(group))] for group in groups.values() for i in range(min(number, len(group)))
    ]


def _background(images: Sequence[dict], annotations: Sequence[dict]) -> Iterator[Tuple[int, np.ndarray]]:
    """Boxes (x, y, width, height) of the sizes of an image's objects, each with its middle in no box of the image."""
    boxes: Dict[int, list] = {image['id']: [] for image in images}
    for one in annotations:
        boxes[one['image_id']].append(one['bbox'])
    for image in images:
        around = np.array(boxes[image['id']]).reshape(-1, 4)
        # Some points are in a box, and are not used.
        rng = np.random.default_rng(image['id'])
        points = rng.random((4 * len(around), 2)) * (image['width'], image['height'])
        after, before = points[:, None] >= around[:, :2], points[:, None] <= around[:, :2] + around[:, 2:]
        free = points[~(after & before).all(-1).any(-1)][: len(around)]
        for point, size in zip(free, around[:, 2:]):
            yield image['id'], np.concatenate([point - size / 2, size])


def _crop(image: np.ndarray, box: np.ndarray, context: float) -> np.ndarray:
    """The square around a box (x, y, width, height)."""
    x, y, width, height = box
    side = max(1, round(float(max(width, height)) * context))
    left, top = round(float(x + (width - side) / 2)), round(float(y + (height - side) / 2))
    columns = np.arange(left, left + side).clip(0, image.shape[1] - 1)
    rows = np.arange(top, top + side).clip(0, image.shape[0] - 1)
    return image[rows[:, None], columns]
