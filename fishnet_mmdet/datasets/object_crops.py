"""Classification on the objects of a detection set: pretraining where there is no other data."""

import json
import os
from pathlib import Path
from typing import Callable, Sequence, Union

import cv2
import numpy as np
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from ..errors import FishNetError
from ..registry import DATASETS, TRANSFORMS


@DATASETS.register_module()
class ObjectCrops(Dataset):
    """The annotated objects of a set in COCO's format, each cut out as a square with its class as the label.

    Args:
        data_root (str): Folder of the set.
        ann_file (str): Annotations, within ``data_root``.
        data_prefix (dict): ``img`` is the folder of the images, within ``data_root``.
        pipeline (Sequence[dict | Callable]): Transforms of a dict with ``img`` (s, s, 3) and ``gt_label``.
        metainfo (dict): ``classes``, their names in the order of the labels.
        context (float): Side of the square, in units of the longer side of the object's box. What lies beyond the image is
            its border, repeated.

    Raises:
        FishNetError: If the files are not there, or hold no object of the classes.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        data_prefix: dict,
        pipeline: Sequence[Union[dict, Callable]],
        metainfo: dict,
        context: float = 1.5,
    ) -> None:
        self.metainfo = dict(classes=tuple(metainfo['classes']))
        self.folder = Path(data_root, data_prefix['img'])
        self.context = context
        file = Path(data_root, ann_file)
        if not file.is_file():
            raise FishNetError(f'there are no annotations {file}')
        content = json.loads(file.read_text())
        labels = {
            c['id']: self.metainfo['classes'].index(c['name'])
            for c in content['categories']
            if c['name'] in metainfo['classes']
        }
        names = {image['id']: image['file_name'] for image in content['images']}
        objects = [
            a
            for a in content['annotations']
            if a['category_id'] in labels and not a.get('iscrowd') and min(a['bbox'][2:]) >= 1
        ]
        if not objects:
            raise FishNetError(f'{file} holds no objects of the classes {", ".join(self.metainfo["classes"])}')
        self.files = [names[a['image_id']] for a in objects]
        self.boxes = np.array([a['bbox'] for a in objects], np.float32)
        self.labels = [labels[a['category_id']] for a in objects]
        self.pipeline = Compose([TRANSFORMS.build(one) if isinstance(one, dict) else one for one in pipeline])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        file = self.folder / self.files[index]
        image = cv2.imread(os.fspath(file))
        if image is None:
            raise FishNetError(f'the image {file} is not there, or cannot be decoded')
        return self.pipeline(dict(img=self._cut(image, self.boxes[index]), gt_label=self.labels[index]))

    def _cut(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        x, y, width, height = box
        side = max(1, round(float(max(width, height)) * self.context))
        left, top = round(float(x + (width - side) / 2)), round(float(y + (height - side) / 2))
        columns = np.arange(left, left + side).clip(0, image.shape[1] - 1)
        rows = np.arange(top, top + side).clip(0, image.shape[0] - 1)
        return image[rows[:, None], columns]
