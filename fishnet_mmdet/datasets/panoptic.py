"""Panoptic annotations in COCO's format, read without panopticapi."""

from typing import Optional

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio

from ..errors import FishNetError
from ..registry import TRANSFORMS

#: In the map of labels, pixels without one; the losses and mmdet's padding have the same.
VOID = 255


def read_segment_ids(file: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Reads a panoptic PNG: the id of a pixel's segment is R + 256 G + 256**2 B.

    Args:
        file (str): The PNG.
        backend_args (dict, optional): Where it lies, as mmengine's ``fileio`` takes it.

    Returns:
        np.ndarray: (height, width) int32; 0 belongs to no segment.

    Raises:
        FishNetError: If the file is not there, or cannot be decoded.
    """
    try:
        content = np.frombuffer(fileio.get(file, backend_args=backend_args), np.uint8)
    except FileNotFoundError:
        content = np.empty(0, np.uint8)
    # cv2 raises on nothing at all, and returns None for what is no image.
    pixels = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if pixels is None:
        raise FishNetError(f'the panoptic map {file} is not there, or cannot be decoded')
    return pixels.astype(np.int32) @ np.array([256**2, 256, 1], np.int32)


@TRANSFORMS.register_module()
class LoadPanopticSegments(BaseTransform):
    """Loads boxes, labels, masks and the map of labels of an image of mmdet's ``CocoPanopticDataset``.

    It takes the place of mmdet's ``LoadPanopticAnnotations``, which needs panopticapi. Masks are those of the things that
    are no crowds; the map of labels, ``gt_seg_map``, is (height, width) uint8 with 255 where there is no segment.

    Args:
        backend_args (dict, optional): Where the PNG lie, as mmengine's ``fileio`` takes it.

    Raises:
        FishNetError: On loading, if the PNG of an image is not there, cannot be decoded, or is not of the image's size.
    """

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        # Here, since it needs mmcv's compiled ops, and the package is to be imported without them.
        from mmdet.datasets.transforms import LoadAnnotations

        self.load_boxes = LoadAnnotations()
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Adds the annotations of an image; of one without a PNG, as in a test set, only the boxes."""
        from mmdet.structures.mask import BitmapMasks

        results = self.load_boxes(results)
        file = results.get('seg_map_path')
        if file is None:
            return results
        ids = read_segment_ids(file, self.backend_args)
        if ids.shape != tuple(results['ori_shape']):
            raise FishNetError(f'the panoptic map {file} has the size {ids.shape}, its image {tuple(results["ori_shape"])}')
        labels = np.full(ids.shape, VOID, np.uint8)
        masks = []
        for segment in results['segments_info']:
            inside = ids == segment['id']
            labels[inside] = segment['category']
            if segment['is_thing']:
                masks.append(inside.astype(np.uint8))
        results['gt_masks'] = BitmapMasks(masks, *ids.shape)
        results['gt_seg_map'] = labels
        return results
