"""AP of a model file on the demo's validation images: what int8 or another runtime costs.

python tests/exported_ap.py model.onnx [--runtime openvino]
"""

import argparse
import contextlib
import io

import numpy as np
from conftest import REPO
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fishnet_mmdet.deploy import Detector

NUCLEI = REPO / 'demo/nuclei'
#: As CocoMetric has them: AP counts the first 100 objects of an image, AP50 all.
MOST = [100, 300, 1000]


def main():
    """Prints AP and AP50 of boxes and masks."""
    parser = argparse.ArgumentParser()
    parser.add_argument('model')
    parser.add_argument('--runtime', default='onnxruntime')
    args = parser.parse_args()
    detector = Detector(args.model, runtime=args.runtime)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(NUCLEI / 'annotations/instances_val.json'))
        results = [one for image in truth.imgs.values() for one in found(detector, image)]
        rows = {kind: evaluate(truth, results, kind) for kind in ('bbox', 'segm')}
    for kind, (ap, ap50) in rows.items():
        print(f'{args.model}, {args.runtime}: {kind} AP {100 * ap:.1f}, AP50 {100 * ap50:.1f}')


def found(detector, image):
    """The objects of an image as COCO has them."""
    objects = detector(NUCLEI / 'val' / image['file_name'])
    for (x1, y1, x2, y2), score, mask in zip(objects.boxes.tolist(), objects.scores.tolist(), objects.masks):
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        yield dict(image_id=image['id'], category_id=1, score=score, bbox=[x1, y1, x2 - x1, y2 - y1], segmentation=rle)


def evaluate(truth, results, kind):
    """AP and AP50."""
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.params.maxDets = MOST
    evaluation.evaluate()
    evaluation.accumulate()
    # IoUs, recalls, numbers of objects.
    precision = evaluation.eval['precision'][:, :, 0, 0]
    return precision[..., 0].mean(), precision[0, :, -1].mean()


if __name__ == '__main__':
    main()
