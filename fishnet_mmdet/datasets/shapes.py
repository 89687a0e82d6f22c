"""A generated data set of textured shapes in COCO's format: instance segmentation to train on without a download."""

import json
import math
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

from ..errors import FishNetError

CLASSES = ('disc', 'square', 'triangle', 'star', 'ring')
SPLITS = ('train', 'val')
#: What is no shape, in panoptic annotations: the class, and the id that it has in every picture, which no shape gets to.
BACKGROUND = 'background'
BACKGROUND_ID = 256**3 - 1

#: Raised when the pictures or annotations change: what an older version made is then not taken for this one's.
GENERATOR = 2
MAX_SHAPES = 4
#: How often a shape is of a size, and the range of the square root of its whole area in pixels. The ranges lie inside
#: COCO's small (area up to 32**2), medium and large (from 96**2).
SIZES = ((0.2, 16, 31), (0.45, 34, 92), (0.35, 100, 150))
#: A shape of which a smaller share of its whole area is to be seen is left out of the picture. Of the smallest shape
#: these are 64 pixels.
MIN_VISIBLE = 0.25
#: Standard deviation of a class's hue, of 180 in all; the classes are 36 apart. As with things in photographs, colour tells
#: something about the class and does not settle it, so that a training of a few minutes has something to begin with.
HUE_DEVIATION = 8


def _corners(count: int, *radii: float) -> np.ndarray:
    """(count, 2) points around the origin, whose distances from it take turns in ``radii``."""
    angles = 2 * np.pi * np.arange(count) / count
    return np.resize(radii, count)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


#: The contours of each class; what two of them enclose is a hole.
OUTLINES = {
    'disc': [_corners(64, 1)],
    'square': [_corners(4, 1)],
    'triangle': [_corners(3, 1)],
    'star': [_corners(10, 1, 0.45)],
    'ring': [_corners(64, 1), _corners(64, 0.55)],
}


def _noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width) value noise of five octaves, from 0 to 1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(5):
        cells = rng.random((3 * 2**octave, 3 * 2**octave), np.float32)
        total += 0.55**octave * cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def _texture(rng: np.random.Generator, height: int, width: int, colours: Sequence[np.ndarray]) -> np.ndarray:
    """(height, width, 3) uint8: two colours, from 0 to 255, mixed by clouds, a gradient, stripes or checks."""
    noise = _noise(rng, height, width)
    angle, period = rng.uniform(0, 2 * np.pi), rng.uniform(10, 60)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along = x * math.cos(angle) + y * math.sin(angle)
    pattern = rng.integers(4)
    if pattern == 0:
        mix = noise
    elif pattern == 1:
        mix = 0.6 * (along - along.min()) / np.ptp(along) + 0.4 * noise
    else:
        # The noise bends the lines, so that they do not look ruled.
        wave = np.sin(along * (2 * math.pi / period) + 4 * noise)
        if pattern == 3:
            across = y * math.cos(angle) - x * math.sin(angle)
            wave *= np.sin(across * (2 * math.pi / period))
        mix = 0.35 + 0.3 * np.tanh(3 * wave) + 0.3 * noise
    light = 0.7 + 0.6 * _noise(rng, height, width)
    grain = 4 * rng.standard_normal((height, width), np.float32)
    first, second = np.float32(colours)
    texture = (first + mix[..., None] * (second - first)) * light[..., None] + grain[..., None]
    return texture.clip(0, 255).astype(np.uint8)


def draw_background(rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Draws a picture without shapes.

    Args:
        rng (np.random.Generator): Where everything random comes from.

    Returns:
        tuple[np.ndarray, np.ndarray]: The picture, (height, width, 3) uint8 in BGR, one side of 256 and the other one
        of 192 to 256 pixels; and the colours it is made of, (3, 3) from 0 to 255.
    """
    height, width = rng.permutation([256, rng.integers(192, 257)])
    # Greyer than the shapes, which are to stand out.
    first, second = (rng.uniform(30, 220) + rng.normal(0, 30, (2, 3)) + rng.normal(0, 35, (2, 1))).clip(0, 255)
    return _texture(rng, height, width, (first, second)), np.stack([first, second, (first + second) / 2])


def _place(rng: np.random.Generator, name: str, height: int, width: int) -> Tuple[List[np.ndarray], float]:
    """A shape's contours in the picture, (N, 2) in pixels, and its whole area, both inside the frame and beyond."""
    shares, smallest, largest = zip(*SIZES)
    size = rng.choice(len(SIZES), p=shares)
    side = rng.uniform(smallest[size], largest[size])
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # So far inside the frame, more than MIN_VISIBLE of a shape is to be seen: no picture is empty.
    centre = rng.uniform([0.4 * side] * 2, [width - 0.4 * side, height - 0.4 * side])
    areas = [cv2.contourArea(contour.astype(np.float32)) for contour in OUTLINES[name]]
    scale = side / np.sqrt(areas[0] - sum(areas[1:]))
    return [scale * contour * [stretch, 1 / stretch] @ turn + centre for contour in OUTLINES[name]], side**2


def _colours(rng: np.random.Generator, label: int, count: int) -> np.ndarray:
    """(count, 3) colours from 0 to 255, varied around the hue that a class has more often than others."""
    hue = 180 * label / len(CLASSES) + rng.normal(0, HUE_DEVIATION, count)
    hsv = np.stack([hue % 180, rng.uniform(110, 255, count), rng.uniform(90, 255, count)], 1)
    return cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0].astype(float)


def draw_scene(rng: np.random.Generator) -> Tuple[np.ndarray, List[Tuple[int, np.ndarray]]]:
    """Draws a picture of 1 to 4 shapes, of which later ones hide earlier ones.

    Args:
        rng (np.random.Generator): Where everything random comes from. What ``draw_background`` makes of the same state
            is the picture's background, pixel by pixel.

    Returns:
        tuple[np.ndarray, list[tuple[int, np.ndarray]]]: The picture, (height, width, 3) uint8 in BGR, and the shapes
        from the back to the front: the index in ``CLASSES`` and the (height, width) bool mask of the visible part.
    """
    image, colours = draw_background(rng)
    height, width = image.shape[:2]
    placed = []
    for _ in range(rng.integers(1, MAX_SHAPES + 1)):
        label = int(rng.integers(len(CLASSES)))
        contours, area = _place(rng, CLASSES[label], height, width)
        # In sixteenths of a pixel.
        placed.append((label, [np.rint(16 * contour).astype(np.int32) for contour in contours], area))

    # From the front to the back, since a shape that is left out hides nothing.
    covered = np.zeros((height, width), bool)
    kept = []
    for label, contours, area in reversed(placed):
        mask = cv2.fillPoly(np.zeros((height, width), np.uint8), contours, 1, shift=4).astype(bool)
        visible = mask & ~covered
        if visible.sum() >= MIN_VISIBLE * area:
            covered |= mask
            kept.append((label, contours, visible))

    for label, contours, visible in reversed(kept):
        # The candidate that is farthest from every colour in use, so that shapes stand out from all around them.
        candidates = _colours(rng, label, 4)
        distances = np.linalg.norm(candidates[:, None] - colours, axis=2).min(1)
        fill = candidates[distances.argmax()]
        colours = np.vstack([colours, fill])
        shade = (fill + rng.normal(0, 40, 3)).clip(0, 255)
        x, y, width, height = cv2.boundingRect(visible.astype(np.uint8))
        texture = _texture(rng, height, width, (fill, shade))
        if rng.random() < 0.5:
            edge = (rng.choice([0.5, 1.4]) * fill).clip(0, 255)
            cv2.polylines(texture, [contour - [16 * x, 16 * y] for contour in contours], True, edge, 2, shift=4)
        inside = visible[y : y + height, x : x + width]
        image[y : y + height, x : x + width][inside] = texture[inside]
    return image, [(label, visible) for label, _, visible in reversed(kept)]


def encode_mask(mask: np.ndarray) -> Union[List[List[int]], Dict]:
    """Writes a mask as COCO does, without loss.

    Args:
        mask (np.ndarray): (height, width) bool.

    Returns:
        list[list[int]] | dict: Polygons ``[x1, y1, x2, y2, ...]`` along the edges of the pixels where these give
        exactly the mask, otherwise (it has a hole) a compressed RLE: ``size`` and ``counts``.
    """
    # In the mask at twice the size, the outermost pixels c of a contour lie beside the edges (c + 1) // 2.
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
    """Reads what :func:`encode_mask` wrote.

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
            raise OSError(f'{file_name} could not be written to {root / split}: is the disk full?')
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
    """Whether the folder is the data set that these arguments make, with all of its files."""
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

    A picture depends on nothing but the seed, its split and its number. The folder appears when all is written; where
    the same data set lies already, it is kept and a line says so.

    Args:
        out_dir (str | Path): The folder to make.
        num_train (int): Number of pictures to train on, 1 or more.
        num_val (int): Number of pictures to evaluate on, 1 or more.
        seed (int): Another number, 0 or more, makes other pictures.

    Raises:
        FishNetError: If a number is out of its range.
        FileExistsError: If something else lies at ``out_dir``; it is left as it is.
        OSError: If the files cannot be written; nothing is left of them.
    """
    for name, number, smallest in (('num_train', num_train, 1), ('num_val', num_val, 1), ('seed', seed, 0)):
        if number < smallest:
            raise FishNetError(f'{name} must be {smallest} or more, not {number}')
    out_dir = Path(out_dir)
    made_with = dict(num_train=num_train, num_val=num_val, seed=seed, generator=GENERATOR)
    if _is_complete(out_dir, made_with):
        print(f'{out_dir} holds this data set already: kept as it is.')
        return
    if out_dir.exists():
        raise FileExistsError(
            f'{out_dir} exists and is not the data set asked for ({num_train} training and {num_val} validation images '
            f'of shapes, seed {seed}), or not all of it: delete it or name another folder'
        )
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    # Beside the goal, so that it can be renamed: an interrupted run leaves nothing that looks like a data set.
    with tempfile.TemporaryDirectory(prefix=f'.{out_dir.name}-', dir=out_dir.parent) as scratch:
        root = Path(scratch) / 'shapes'
        (root / 'annotations').mkdir(parents=True)
        for split, count in zip(SPLITS, (num_train, num_val)):
            _write_split(root, split, count, seed)
        (root / 'shapes.json').write_text(json.dumps(made_with))
        root.rename(out_dir)


def add_panoptic(out_dir: Union[str, Path]) -> None:
    """Adds COCO's panoptic annotations to a data set of :func:`make_shapes`: what it has as instances, and the background.

    These are ``annotations/panoptic_{train,val}.json``, and a PNG of each picture in a folder of that name. The shapes are
    things; what is left of a picture is stuff, one segment. Annotations that are there already are written again.

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
        # R + 256 G + 256**2 B, in OpenCV's order of the channels.
        pixels = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
        if not cv2.imwrite(str(maps / file_name), pixels):
            raise OSError(f'{file_name} could not be written to {maps}: is the disk full?')
        annotations.append(dict(image_id=image['id'], file_name=file_name, segments_info=segments))
    categories = [dict(category, isthing=1) for category in content['categories']]
    categories.append(dict(id=len(CLASSES) + 1, name=BACKGROUND, supercategory='stuff', isthing=0))
    content = dict(images=content['images'], annotations=annotations, categories=categories)
    (folder / f'panoptic_{split}.json').write_text(json.dumps(content))
