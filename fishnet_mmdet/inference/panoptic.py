"""A predicted panoptic segmentation: drawn, and in COCO's panoptic format."""

from pathlib import Path
from typing import Dict, List

import cv2
import numpy as np
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer


class PanopticSegmentation:
    """Collects the segments found in images.

    Args:
        meta (dict): ``dataset_meta`` of the model, with ``thing_classes`` if the data has them.
    """

    def __init__(self, meta: dict) -> None:
        things = meta.get('thing_classes', meta['classes'])
        self.categories = [
            dict(id=i, name=name, isthing=int(name in things)) for i, name in enumerate(meta['classes'], start=1)
        ]
        self.annotations: List[dict] = []
        self.visualizer = DetLocalVisualizer(name='infer')
        self.visualizer.dataset_meta = meta

    def add(self, image_id: int, prediction: DetDataSample) -> None:
        """Adds the segments of an image; ``image_id`` numbers it."""
        segments = []
        for code in np.unique(codes := codes_of(prediction)):
            label, number = code % INSTANCE_OFFSET, code // INSTANCE_OFFSET
            if label < len(self.categories):
                rows, columns = np.nonzero(codes == code)
                box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
                segments.append(
                    dict(
                        id=int(segment_id(label, number)),
                        category_id=int(label) + 1,
                        area=len(rows),
                        bbox=[int(value) for value in box],
                        iscrowd=0,
                    )
                )
        self.annotations.append(dict(image_id=image_id, segments_info=segments))

    def draw(self, image: np.ndarray, prediction: DetDataSample, file: Path, score_thr: float) -> None:
        """Draws the segments on the image (h, w, 3), BGR, and saves it, with their map as NAME_segments.png."""
        self.visualizer.add_datasample(file.name, image[..., ::-1], prediction, draw_gt=False, out_file=str(file))
        codes = codes_of(prediction)
        known = codes % INSTANCE_OFFSET < len(self.categories)
        ids = np.where(known, segment_id(codes % INSTANCE_OFFSET, codes // INSTANCE_OFFSET), 0)
        # COCO's PNG: id = R + 256 G + 256² B. OpenCV writes B, G, R.
        channels = np.stack([ids // 256**2, ids // 256 % 256, ids % 256], axis=-1).astype(np.uint8)
        maps = file.with_name(f'{file.stem}_segments.png')
        cv2.imwrite(str(maps), channels)
        self.annotations[-1]['file_name'] = maps.name

    def to_json(self) -> Dict[str, list]:
        """The collected segments as COCO has them."""
        return dict(annotations=self.annotations, categories=self.categories)

    def summary(self, score_thr: float) -> str:
        """How many there are."""
        return f'{sum(len(annotation["segments_info"]) for annotation in self.annotations)} segments drawn and saved'


def codes_of(prediction: DetDataSample) -> np.ndarray:
    """(h, w) of label + INSTANCE_OFFSET * number, as mmdet encodes segments. Labels beyond the classes are void."""
    return prediction.pred_panoptic_seg.sem_seg[0].cpu().numpy().astype(np.int64)


def segment_id(label, number):
    """The id of a segment, from 1 on: one for each pair of label and number."""
    return label + 1 + INSTANCE_OFFSET * number
