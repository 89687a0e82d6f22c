"""Pictures of textured shapes, drawn from random numbers, with the masks of the shapes."""

import math
from typing import List, Sequence, Tuple

import cv2
import numpy as np

CLASSES = ('disc', 'square', 'triangle', 'star', 'ring')
MAX_SHAPES = 4
#: Probability of each size, and the range of the square root of a shape's area in pixels. The ranges lie inside COCO's small
#: (area up to 32**2), medium and large (from 96**2).
SIZES = ((0.2, 16, 31), (0.45, 34, 92), (0.35, 100, 150))
#: A shape is left out of a picture if less than this share of its area is visible. For the smallest shape this is 64 pixels.
MIN_VISIBLE = 0.25
#: Standard deviation of the hue in a class, on OpenCV's circle of 180; the mean hues of the classes are 36 apart. The colour
#: is a hint of the class but not proof, as in photographs, so that a few minutes of training already learn something.
HUE_DEVIATION = 8


def _corners(count: int, *radii: float) -> np.ndarray:
    """(count, 2) points around the origin; their distances from it cycle through ``radii``."""
    angles = 2 * np.pi * np.arange(count) / count
    return np.resize(radii, count)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


#: The contours of each class. The area inside a second contour is a hole.
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
        # The noise bends the lines, because straight lines would look artificial.
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
        rng (np.random.Generator): Source of all random numbers.

    Returns:
        tuple[np.ndarray, np.ndarray]: The picture, (height, width, 3) uint8 in BGR, with one side of 256 pixels and the
        other of 192 to 256; and its colours, (3, 3) from 0 to 255.
    """
    height, width = rng.permutation([256, rng.integers(192, 257)])
    # The background is greyer than the shapes, so that they stand out.
    first, second = (rng.uniform(30, 220) + rng.normal(0, 30, (2, 3)) + rng.normal(0, 35, (2, 1))).clip(0, 255)
    return _texture(rng, height, width, (first, second)), np.stack([first, second, (first + second) / 2])


def _place(rng: np.random.Generator, name: str, height: int, width: int) -> Tuple[List[np.ndarray], float]:
    """The contours of a shape, (N, 2) in pixels, and its area. Both include parts outside the picture."""
    shares, smallest, largest = zip(*SIZES)
    size = rng.choice(len(SIZES), p=shares)
    side = rng.uniform(smallest[size], largest[size])
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # At this distance from the border more than MIN_VISIBLE of a shape is inside the picture, so no picture is empty.
    centre = rng.uniform([0.4 * side] * 2, [width - 0.4 * side, height - 0.4 * side])
    areas = [cv2.contourArea(contour.astype(np.float32)) for contour in OUTLINES[name]]
    scale = side / np.sqrt(areas[0] - sum(areas[1:]))
    return [scale * contour * [stretch, 1 / stretch] @ turn + centre for contour in OUTLINES[name]], side**2


def _colours(rng: np.random.Generator, label: int, count: int) -> np.ndarray:
    """(count, 3) random colours from 0 to 255, around the mean hue of a class."""
    hue = 180 * label / len(CLASSES) + rng.normal(0, HUE_DEVIATION, count)
    hsv = np.stack([hue % 180, rng.uniform(110, 255, count), rng.uniform(90, 255, count)], 1)
    return cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0].astype(float)


def draw_scene(rng: np.random.Generator) -> Tuple[np.ndarray, List[Tuple[int, np.ndarray]]]:
    """Draws a picture of 1 to 4 shapes. Later shapes hide earlier ones.

    Args:
        rng (np.random.Generator): Source of all random numbers. ``draw_background``, called with the same state, draws
            exactly the background of this picture.

    Returns:
        tuple[np.ndarray, list[tuple[int, np.ndarray]]]: The picture, (height, width, 3) uint8 in BGR, and the shapes
        from back to front: the index in ``CLASSES``, and the (height, width) bool mask of the visible part.
    """
    image, colours = draw_background(rng)
    height, width = image.shape[:2]
    placed = []
    for _ in range(rng.integers(1, MAX_SHAPES + 1)):
        label = int(rng.integers(len(CLASSES)))
        contours, area = _place(rng, CLASSES[label], height, width)
        # fillPoly takes coordinates in sixteenths of a pixel (shift=4).
        placed.append((label, [np.rint(16 * contour).astype(np.int32) for contour in contours], area))

    # From front to back, because a shape that is left out hides nothing.
    covered = np.zeros((height, width), bool)
    kept = []
    for label, contours, area in reversed(placed):
        mask = cv2.fillPoly(np.zeros((height, width), np.uint8), contours, 1, shift=4).astype(bool)
        visible = mask & ~covered
        if visible.sum() >= MIN_VISIBLE * area:
            covered |= mask
            kept.append((label, contours, visible))

    for label, contours, visible in reversed(kept):
        # The candidate that is farthest from all colours in use, so that the shape stands out.
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
