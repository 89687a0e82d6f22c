"""Panoptic annotations in COCO's format, read without panopticapi."""

from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform

from ..errors import FishNetError
from ..registry import TRANSFORMS
from .reading import read_image

#: The value of pixels without a label. The losses and the padding of mmdet use the same value.
VOID = 255


def read_segment_ids(file: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Reads a panoptic PNG. The id of a pixel's segment is R + 256 G + 256**2 B.

    Args:
        file (str): The PNG.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.

    Returns:
        np.ndarray: (height, width) int32; 0 means no segment.

    Raises:
        FishNetError: If the file is missing, or cannot be decoded.
    """
    pixels = read_image(file, backend_args)
    if pixels is None:
        raise FishNetError(f'the panoptic map {file} is missing, or cannot be decoded')
    return pixels.astype(np.int32) @ np.array([256**2, 256, 1], np.int32)


@TRANSFORMS.register_module()
class LoadPanopticSegments(BaseTransform):
    """Loads boxes, labels, masks and the label map of an image of mmdet's ``CocoPanopticDataset``.

    It replaces mmdet's ``LoadPanopticAnnotations``, which needs panopticapi. Things have masks, but crowds have none. The
    label map, ``gt_seg_map``, is (height, width) uint8, with 255 for pixels without a segment.

    Args:
        backend_args (dict, optional): Storage of the PNG files, as for mmengine's ``fileio``.

    Raises:
        FishNetError: While loading, if the PNG of an image is missing, cannot be decoded, or has another size than the image.
    """

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        # Imported here: mmdet's transforms take a second to import, and the backbone alone does not need them.
        from mmdet.datasets.transforms import LoadAnnotations

        self.load_boxes = LoadAnnotations()
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Adds the annotations of an image. An image without a PNG, as in a test set, gets only its boxes."""
        from mmdet.structures.mask import BitmapMasks  # as above

        results = self.load_boxes(results)
        file = results.get('seg_map_path')
        if file is None:
            return results
        ids = read_segment_ids(file, self.backend_args)
        if ids.shape != tuple(results['ori_shape']):
            raise FishNetError(
                f'the panoptic map {file} has size {ids.shape}, but its image has {tuple(results["ori_shape"])}'
            )
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
