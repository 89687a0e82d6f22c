"""A generated data set of textured shapes in COCO's format: instance segmentation to train on without a download."""

import json
import tempfile
from pathlib import Path
from typing import Dict, List, Union

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

from ..errors import FishNetError
from .shape_scenes import CLASSES, draw_scene

SPLITS = ('train', 'val')
#: The class of all pixels without a shape, in panoptic annotations.
BACKGROUND = 'background'
#: The id of the background's segment in every picture. No shape has an id this large.
BACKGROUND_ID = 256**3 - 1
#: Increased when the pictures or annotations change, so that the files of an older version are not taken for current ones.
GENERATOR = 2


def encode_mask(mask: np.ndarray) -> Union[List[List[int]], Dict]:
    """Encodes a mask as COCO does, without loss.

    Args:
        mask (np.ndarray): (height, width) bool.

    Returns:
        list[list[int]] | dict: Polygons ``[x1, y1, x2, y2, ...]`` along the edges of the pixels, if they give exactly
        the mask. Otherwise (the mask has a hole) a compressed RLE: ``size`` and ``counts``.
    """
    # In the mask at twice the size, a contour pixel c lies next to the pixel edge (c + 1) // 2 of the original mask.
    twice = mask.repeat(2, 0).repeat(2, 1).astype(np.uint8)
    contours = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    polygons = []
    for contour in contours:
        points = (contour.reshape(-1, 2) + 1) // 2
        polygons.append(points[(points != np.roll(points, 1, 0)).any(1)].ravel().tolist())
    rles = coco_mask.frPyObjects(polygons, *mask.shape)
    if np.array_equal(coco_mask.decode(coco_mask.merge(rles)), mask):
        return polygons
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return dict(size=list(mask.shape), counts=rle['counts'].decode())


def decode_mask(segmentation: Union[List[List[int]], Dict], height: int, width: int) -> np.ndarray:
    """Decodes the result of :func:`encode_mask`.

    Args:
        segmentation (list[list[int]] | dict): Polygons or a compressed RLE.
        height (int): Height of the picture in pixels.
        width (int): Width of the picture in pixels.

    Returns:
        np.ndarray: (height, width) bool.
    """
    rles = coco_mask.frPyObjects(segmentation, height, width) if isinstance(segmentation, list) else [segmentation]
    return coco_mask.decode(coco_mask.merge(rles)).astype(bool)


def _write_split(root: Path, split: str, count: int, seed: int) -> None:
    """Writes ``root/SPLIT/*.jpg`` and ``root/annotations/instances_SPLIT.json``."""
    (root / split).mkdir()
    images, annotations = [], []
    for index in tqdm(range(count), desc=f'Drawing {split}', unit='image', delay=2, disable=None):
        rng = np.random.default_rng((seed, SPLITS.index(split), index))
        image, instances = draw_scene(rng)
        height, width = image.shape[:2]
        file_name = f'{index + 1:06d}.jpg'
        if not cv2.imwrite(str(root / split / file_name), image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'cannot write {file_name} to {root / split}: is the disk full?')
        images.append(dict(id=index + 1, file_name=file_name, height=height, width=width))
        for label, mask in instances:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    category_id=label + 1,
                    iscrowd=0,
                    area=int(mask.sum()),
                    bbox=list(cv2.boundingRect(mask.astype(np.uint8))),
                    segmentation=encode_mask(mask),
                )
            )
    categories = [dict(id=number, name=name, supercategory='shape') for number, name in enumerate(CLASSES, 1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))


def _is_complete(out_dir: Path, made_with: Dict[str, int]) -> bool:
    """Whether the folder has all files of the data set that these arguments make."""
    try:
        if json.loads((out_dir / 'shapes.json').read_text()) != made_with:
            return False
    except (OSError, ValueError):
        return False
    return all(
        (out_dir / 'annotations' / f'instances_{split}.json').is_file()
        and len(list((out_dir / split).glob('*.jpg'))) == made_with[f'num_{split}']
        for split in SPLITS
    )


def make_shapes(out_dir: Union[str, Path], num_train: int = 200, num_val: int = 50, seed: int = 0) -> None:
    """Makes the data set: ``train/*.jpg``, ``val/*.jpg``, ``annotations/instances_{train,val}.json``, ``shapes.json``.

    A picture depends only on the seed, its split and its number. The folder appears when it is complete. If it already has
    the same data set, the function prints that and changes nothing.

    Args:
        out_dir (str | Path): The new folder.
        num_train (int): Number of training images, 1 or more.
        num_val (int): Number of validation images, 1 or more.
        seed (int): Seed of the images, 0 or more.

    Raises:
        FishNetError: If a number is out of range, or ``out_dir`` exists with other content, which is not changed.
        OSError: If the files cannot be written. The partial files are deleted.
    """
    for name, number, smallest in (('num_train', num_train, 1), ('num_val', num_val, 1), ('seed', seed, 0)):
        if number < smallest:
            raise FishNetError(f'{name} must be at least {smallest}, not {number}')
    out_dir = Path(out_dir)
    made_with = dict(num_train=num_train, num_val=num_val, seed=seed, generator=GENERATOR)
    if _is_complete(out_dir, made_with):
        print(f'{out_dir} already has this data set: not changed')
        return
    if out_dir.exists():
        raise FishNetError(
            f'{out_dir} exists and has other or incomplete content (expected: {num_train} training and {num_val} '
            f'validation images of shapes, seed {seed}): delete it, or name another folder'
        )
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    # Written next to out_dir and then renamed, so that an interrupted run leaves no incomplete data set.
    with tempfile.TemporaryDirectory(prefix=f'.{out_dir.name}-', dir=out_dir.parent) as scratch:
        root = Path(scratch) / 'shapes'
        (root / 'annotations').mkdir(parents=True)
        for split, count in zip(SPLITS, (num_train, num_val)):
            _write_split(root, split, count, seed)
        (root / 'shapes.json').write_text(json.dumps(made_with))
        root.rename(out_dir)


def add_panoptic(out_dir: Union[str, Path]) -> None:
    """Adds COCO's panoptic annotations to a data set of :func:`make_shapes`.

    They are ``annotations/panoptic_{train,val}.json``, and a folder of the same name with one PNG per picture. The shapes
    are things. All other pixels are one segment of stuff. Existing panoptic annotations are overwritten.

    Args:
        out_dir (str | Path): The folder of the data set.

    Raises:
        OSError: If the data set cannot be read, or the files cannot be written.
    """
    for split in SPLITS:
        _add_panoptic(Path(out_dir) / 'annotations', split)


def _add_panoptic(folder: Path, split: str) -> None:
    """Writes ``panoptic_SPLIT.json`` and ``panoptic_SPLIT/*.png`` into the folder of the annotations."""
    content = json.loads((folder / f'instances_{split}.json').read_text())
    maps = folder / f'panoptic_{split}'
    maps.mkdir(exist_ok=True)
    annotations = []
    for image in tqdm(content['images'], desc=f'Mapping {split}', unit='image', delay=2, disable=None):
        ids = np.full((image['height'], image['width']), BACKGROUND_ID)
        segments = []
        # The masks are the visible parts of the shapes, and do not overlap.
        for shape in (one for one in content['annotations'] if one['image_id'] == image['id']):
            ids[decode_mask(shape['segmentation'], *ids.shape)] = shape['id']
            segments.append({key: shape[key] for key in ('id', 'category_id', 'iscrowd', 'bbox', 'area')})
        rest = ids == BACKGROUND_ID
        if rest.any():
            box = list(cv2.boundingRect(rest.astype(np.uint8)))
            background = dict(id=BACKGROUND_ID, category_id=len(CLASSES) + 1, iscrowd=0, bbox=box, area=int(rest.sum()))
            segments.append(background)
        file_name = f'{Path(image["file_name"]).stem}.png'
        # id = R + 256 G + 256**2 B; OpenCV's channel order is BGR.
        pixels = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
        if not cv2.imwrite(str(maps / file_name), pixels):
            raise OSError(f'cannot write {file_name} to {maps}: is the disk full?')
        annotations.append(dict(image_id=image['id'], file_name=file_name, segments_info=segments))
    categories = [dict(category, isthing=1) for category in content['categories']]
    categories.append(dict(id=len(CLASSES) + 1, name=BACKGROUND, supercategory='stuff', isthing=0))
    content = dict(images=content['images'], annotations=annotations, categories=categories)
    (folder / f'panoptic_{split}.json').write_text(json.dumps(content))
