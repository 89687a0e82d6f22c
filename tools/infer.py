"""Shows what a detector finds: python tools/infer.py IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir DIR"""

import argparse
import json
import sys
from pathlib import Path

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.errors import FishNetError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
#: COCO numbers its 80 classes from 1 to 90, with gaps.
COCO_CATEGORY_IDS = [i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(description='Draw the predictions on images, and write them as COCO JSON')
    parser.add_argument('image', help='an image file, or a folder of them')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out-dir', required=True, metavar='DIR', help='folder for the pictures and predictions.json')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='draw predictions with at least this score; predictions.json holds all',
    )
    parser.add_argument('--device', help='cpu, cuda:0 ...; default: a GPU where there is one')
    launch.add_config_options(parser)
    return parser.parse_args()


def main():
    """Model, loop over the images, JSON."""
    args = parse_args()
    images = find_images(Path(args.image))
    cfg = launch.read_config(args.config, args.cfg_options)
    launch.check_checkpoint(args.checkpoint)

    import mmcv
    import torch
    from mmdet.apis import inference_detector, init_detector
    from mmdet.visualization import DetLocalVisualizer
    from mmengine.utils import track_iter_progress

    device = args.device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    model = init_detector(cfg, args.checkpoint, palette='random', device=device)
    classes = model.dataset_meta['classes']
    visualizer = DetLocalVisualizer(name='infer')
    visualizer.dataset_meta = model.dataset_meta
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)

    records, annotations, unreadable = [], [], []
    for file in track_iter_progress(images):
        image = mmcv.imread(str(file))
        if image is None:
            unreadable.append(file)
            continue
        height, width = image.shape[:2]
        records.append(dict(id=len(records) + 1, file_name=file.name, height=height, width=width))
        sample = inference_detector(model, image)
        if 'pred_instances' not in sample:
            raise FishNetError(
                f'{type(model).__name__} finds no instances, which this command draws and writes: the pictures of a panoptic '
                'model are made by tools/test.py CONFIG CHECKPOINT --show-dir DIR'
            )
        for annotation in to_coco(sample.pred_instances.cpu().numpy(), category_ids(classes)):
            annotations.append(dict(annotation, id=len(annotations) + 1, image_id=records[-1]['id']))
        visualizer.add_datasample(
            file.name,
            image[..., ::-1],
            sample,
            draw_gt=False,
            pred_score_thr=args.score_thr,
            out_file=str(out_dir / f'{file.stem}.png'),
        )

    predictions = dict(
        images=records,
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in zip(category_ids(classes), classes)],
    )
    (out_dir / 'predictions.json').write_text(json.dumps(predictions))
    drawn = sum(annotation['score'] >= args.score_thr for annotation in annotations)
    print(
        f'\n{out_dir}: {len(records)} pictures with {drawn} predictions of score {args.score_thr} or more, and '
        f'predictions.json with all {len(annotations)}'
    )
    if unreadable:
        sys.exit(f'error: no images, left out: {", ".join(map(str, unreadable))}')


def find_images(path):
    """The image files that a path stands for.

    Raises:
        FishNetError: If there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FishNetError(f'there is no image or folder {path}')
    images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise FishNetError(f'the folder {path} holds no images ({", ".join(IMAGE_SUFFIXES)})')
    return images


def category_ids(classes):
    """COCO's own numbers for COCO's classes, else 1, 2, 3 ..."""
    from mmdet.datasets import CocoDataset

    return COCO_CATEGORY_IDS if tuple(classes) == CocoDataset.METAINFO['classes'] else list(range(1, len(classes) + 1))


def to_coco(instances, ids):
    """Predictions of one image as COCO annotations with a score: boxes as [x, y, w, h] in pixels, masks as RLE."""
    from mmdet.structures.mask import encode_mask_results

    annotations = []
    for i, (label, score, (x1, y1, x2, y2)) in enumerate(zip(instances.labels, instances.scores, instances.bboxes.tolist())):
        annotation = dict(
            category_id=ids[label],
            score=float(score),
            bbox=[x1, y1, x2 - x1, y2 - y1],
            iscrowd=0,
            area=(x2 - x1) * (y2 - y1),
        )
        if 'masks' in instances:
            rle = encode_mask_results([instances.masks[i]])[0]
            annotation.update(segmentation=dict(rle, counts=rle['counts'].decode()), area=int(instances.masks[i].sum()))
        annotations.append(annotation)
    return annotations


if __name__ == '__main__':
    launch.run(main)
