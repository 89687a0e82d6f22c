"""Objects drawn on an image: their contours, each in a colour of its own, and text where it has room."""

import colorsys
from functools import lru_cache
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

#: Smaller images are enlarged to about this many pixels on the longer side, so that small objects can be seen.
READABLE = 720
#: Of an object's colour in its area. Small objects get less, or the fill would hide them.
OPACITY = 0.35
#: The share of an object's box that its text may hide.
TEXT_SHARE = 1 / 8
#: OpenCV draws at fractions of a pixel if coordinates are integers with this many binary digits after the point.
SHIFT = 4


def enlargement(height: int, width: int) -> int:
    """By which whole number the sides of an image are multiplied before objects are drawn on it."""
    return max(1, round(READABLE / max(height, width)))


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """An image (h, w, 3) with sides that are ``factor`` times as long."""
    return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def draw_objects(
    image: np.ndarray, boxes: np.ndarray, masks: Optional[np.ndarray], texts: Sequence[str], factor: int = 1
) -> np.ndarray:
    """Draws objects on a copy of an image.

    Args:
        image (np.ndarray): (factor * h, factor * w, 3), RGB, uint8.
        boxes (np.ndarray): (n, 4) as x1, y1, x2, y2 in pixels of (h, w). They are drawn where an object has no mask.
        masks (np.ndarray, optional): (n, h, w), bool.
        texts (Sequence[str]): The text of each object, drawn if it fits into the object's box and hides no other text.
        factor (int): By how much the image was enlarged.

    Returns:
        np.ndarray: The picture, as large as the image.
    """
    has_mask = [masks is not None and masks[i].any() for i in range(len(boxes))]
    outlines = [mask_outlines(masks[i], factor) if has_mask[i] else box_outline(boxes[i] * factor) for i in range(len(boxes))]
    boxes = np.array([surrounding(outline) for outline in outlines]).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    # Large objects first: they would hide the small ones in front of them.
    order = sorted(range(len(boxes)), key=lambda i: -sides[i].prod())
    picture = image.copy()
    for i in order:
        if has_mask[i]:
            fill(picture, outlines[i], colour(i), OPACITY * min(1, sides[i].min() / 100 + 0.3))
    width = line_width(picture)
    for i in order:
        cv2.polylines(picture, to_fixed_point(outlines[i]), True, colour(i), width, cv2.LINE_AA, SHIFT)
    # Small texts would be hidden by those of large objects, so they come first.
    return write_texts(picture, [(boxes[i], texts[i], colour(i)) for i in reversed(order)])


@lru_cache(maxsize=1024)
def colour(number: int) -> Tuple[int, int, int]:
    """A bright colour (RGB) for an object. Hues a golden section apart: objects with near numbers differ clearly."""
    lightness = (0.6, 0.75, 0.66)[number % 3]
    return tuple(round(255 * part) for part in colorsys.hls_to_rgb(0.08 + number * 0.61803 % 1, lightness, 1))


def line_width(picture: np.ndarray) -> int:
    """The width of contours in pixels."""
    return max(1, round(max(picture.shape[:2]) / 400))


def box_outline(box: np.ndarray) -> List[np.ndarray]:
    """A box as one polygon (4, 2)."""
    x1, y1, x2, y2 = box
    return [np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float32)]


def mask_outlines(mask: np.ndarray, factor: int) -> List[np.ndarray]:
    """The contours of a mask (h, w), with those of its holes, as polygons (n, 2) on the enlarged image."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    # With a margin of one pixel, in which the enlarged edge runs out.
    part = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8) * 255, 1)
    if factor > 1:
        part = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    contours, _ = cv2.findContours((part > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corner = np.array([left - 1, top - 1], np.float32) * factor
    return [contour[:, 0].astype(np.float32) + corner for contour in contours]


def surrounding(outline: List[np.ndarray]) -> np.ndarray:
    """The box around polygons."""
    points = np.concatenate(outline)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def to_fixed_point(outline: List[np.ndarray]) -> List[np.ndarray]:
    """Polygons as OpenCV takes them with ``SHIFT``."""
    return [np.round(polygon * 2**SHIFT).astype(np.int32) for polygon in outline]


def fill(picture: np.ndarray, outline: List[np.ndarray], colour: Tuple[int, int, int], opacity: float) -> None:
    """Mixes a colour into the area of polygons, in place; holes stay."""
    x1, y1, x2, y2 = surrounding(outline).astype(int)
    x1, y1 = max(x1, 0), max(y1, 0)
    part = picture[y1 : y2 + 1, x1 : x2 + 1]
    if part.size:
        area = np.zeros(part.shape[:2], np.uint8)
        corner = np.array([x1, y1], np.float32)
        cv2.fillPoly(area, to_fixed_point([polygon - corner for polygon in outline]), 1, cv2.LINE_8, SHIFT)
        mixed = (1 - opacity) * part + opacity * np.array(colour)
        part[:] = np.where(area[..., None] > 0, np.round(mixed).astype(np.uint8), part)


def write_texts(picture: np.ndarray, texts: Sequence[Tuple[np.ndarray, str, Tuple[int, int, int]]]) -> np.ndarray:
    """Writes texts into the upper left corners of their boxes, each on a plate of its colour.

    A text is left out if it is wider than its box, would hide more than ``TEXT_SHARE`` of it, or touches an earlier one.
    """
    height, width = picture.shape[:2]
    font = load_font(max(11, round(max(height, width) / 55)))
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    pad, plates = 3, []
    for box, text, background in texts:
        if not text:
            continue
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        x, y = max(box[0], 0), max(box[1], 0)
        plate = (x, y, x + right - left + 2 * pad, y + bottom - top + 2 * pad)
        room = (min(box[2], width) - x) * (min(box[3], height) - y) * TEXT_SHARE
        fits = plate[2] <= min(box[2], width) and (plate[2] - x) * (plate[3] - y) <= room
        if fits and not any(overlap(plate, other) for other in plates):
            plates.append(plate)
            draw.rectangle(plate, fill=background)
            brightness = np.dot(background, (0.299, 0.587, 0.114))
            draw.text((x + pad - left, y + pad - top), text, font=font, fill='black' if brightness > 115 else 'white')
    return np.array(canvas)


@lru_cache(maxsize=16)
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """The font of matplotlib, which has most alphabets; size in pixels."""
    return ImageFont.truetype(findfont('DejaVu Sans'), size)


def overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes share a point."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
