"""Faults of masks in COCO's format: polygons, and run-length codes (RLE). All masks of a file are checked at once."""

from typing import Dict, List, Sequence, Tuple

import numpy as np

from .columns import numbers, types_of

#: A polygon needs three points.
SMALLEST_POLYGON = 6
#: Compressed codes use characters from '0', with 5 bits of a number each: bit 5 says that more follow, bit 4 is the sign.
FIRST_CHARACTER, MORE, SIGN, DIGITS = 48, 0x20, 0x10, 0x1F
#: A number of 7 characters has 35 bits: more than any picture has pixels.
LONGEST_NUMBER = 7


def mask_faults(segmentations: Sequence, heights: np.ndarray, widths: np.ndarray) -> Dict[str, np.ndarray]:
    """Finds faulty masks.

    Args:
        segmentations (Sequence): ``segmentation`` of every annotation, or None.
        heights (np.ndarray): (n,) heights of their images in pixels; 0 for unknown ones.
        widths (np.ndarray): (n,) widths.

    Returns:
        dict[str, np.ndarray]: (n,) bool for each kind of fault: ``mask_missing``, ``mask_broken``, ``mask_polygon``,
        ``mask_far``, ``rle_size``, ``rle_counts``.
    """
    faults = {
        kind: np.zeros(len(segmentations), bool)
        for kind in ('mask_missing', 'mask_broken', 'mask_polygon', 'mask_far', 'rle_size', 'rle_counts')
    }
    kinds = [type(one) for one in segmentations]
    faults['mask_missing'][:] = [one is None or one == [] for one in segmentations]
    faults['mask_broken'][:] = [kind not in (list, dict) and one is not None for one, kind in zip(segmentations, kinds)]
    polygons = np.flatnonzero([kind is list and len(one) > 0 for one, kind in zip(segmentations, kinds)])
    _check_polygons([segmentations[at] for at in polygons], polygons, np.maximum(heights, widths), faults)
    codes = np.flatnonzero([kind is dict for kind in kinds])
    _check_codes([segmentations[at] for at in codes], codes, heights, widths, faults)
    return faults


def _check_polygons(masks: List[list], owners: np.ndarray, sides: np.ndarray, faults: Dict[str, np.ndarray]) -> None:
    """Marks the faults of masks that are lists of polygons; ``owners`` are the indices of their annotations."""
    nested = [types_of(mask) == {list} for mask in masks]
    faults['mask_broken'][owners[~np.array(nested, bool)]] = True
    masks = [mask for mask, good in zip(masks, nested) if good]
    owners = np.repeat(owners[nested], [len(mask) for mask in masks])
    polygons = [polygon for mask in masks for polygon in mask]
    lengths = np.array([len(polygon) for polygon in polygons], int)

    usable = (lengths % 2 == 0) & (lengths >= SMALLEST_POLYGON)
    faults['mask_polygon'][owners[~usable]] = True
    rescued = np.zeros(len(sides), bool)
    rescued[owners[usable]] = True
    faults['mask_missing'][owners[~rescued[owners]]] = True

    filled = lengths > 0
    lengths, owners = lengths[filled], owners[filled]
    if not len(lengths):
        return
    values = numbers([number for polygon in polygons for number in polygon])
    starts = np.cumsum(lengths) - lengths
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    finite = np.isfinite(low) & np.isfinite(high)
    faults['mask_broken'][owners[~finite]] = True
    # Drawing takes memory in proportion to the length of the outline. Images of unknown size have a fault of their own.
    side = sides[owners]
    faults['mask_far'][owners[finite & (side > 0) & ((low < -side) | (high > 2 * side))]] = True


def _check_codes(
    masks: List[dict], owners: np.ndarray, heights: np.ndarray, widths: np.ndarray, faults: Dict[str, np.ndarray]
) -> None:
    """Marks the faults of masks that are run-length codes."""
    sizes = [mask.get('size') for mask in masks]
    same = [size == [height, width] for size, height, width in zip(sizes, heights[owners], widths[owners])]
    faults['rle_size'][owners[~np.array(same, bool)]] = True
    counts = [mask.get('counts') for mask in masks]
    pixels = heights[owners] * widths[owners]
    texts = [at for at, one in enumerate(counts) if type(one) is str]
    good = np.array([type(one) is list and _runs_fit(one, area) for one, area in zip(counts, pixels.tolist())], bool)
    good[texts] = _decode_sums([counts[at] for at in texts]) == pixels[texts]
    faults['rle_counts'][owners[~good]] = True


def _runs_fit(counts: list, pixels: int) -> bool:
    return types_of(counts) == {int} and min(counts) >= 0 and sum(counts) == pixels


def _decode_sums(texts: List[str]) -> np.ndarray:
    """The number of pixels that compressed codes describe; -1 for damaged ones.

    A code is a list of run lengths. From the fourth on, each is stored as its difference to the one before the last.
    """
    sums = np.full(len(texts), -1, np.int64)
    usable = [at for at, text in enumerate(texts) if text and text.isascii()]
    if not usable:
        return sums
    characters = np.frombuffer(''.join(texts[at] for at in usable).encode(), np.uint8).astype(np.int64) - FIRST_CHARACTER
    sizes = np.array([len(texts[at]) for at in usable])
    ends = np.cumsum(sizes)
    # A code ends a number, or the reader would go on behind it.
    last = (characters & MORE) == 0
    bad_character = (characters < 0) | (characters > 63)
    good = last[ends - 1] & ~np.logical_or.reduceat(bad_character, ends - sizes)

    last[ends - 1] = True
    stops = np.flatnonzero(last) + 1
    starts = np.concatenate(([0], stops[:-1]))
    places = np.arange(len(characters)) - np.repeat(starts, stops - starts)
    too_long = stops - starts > LONGEST_NUMBER
    values = np.add.reduceat((characters & DIGITS) << np.minimum(5 * places, 60), starts)
    negative = (characters[stops - 1] & SIGN) > 0
    values -= np.where(negative, np.int64(1) << np.minimum(5 * (stops - starts), 60), 0)

    owners = np.searchsorted(ends, starts, side='right')
    runs, order = _undo_differences(values, owners, len(usable))
    wrong = np.zeros(len(usable), bool)
    wrong[owners[order][runs < 0]] = True
    wrong[owners[too_long]] = True
    totals = np.bincount(owners[order], weights=np.where(runs > 0, runs, 0), minlength=len(usable)).astype(np.int64)
    sums[usable] = np.where(good & ~wrong, totals, -1)
    return sums


def _undo_differences(values: np.ndarray, owners: np.ndarray, count: int) -> Tuple[np.ndarray, np.ndarray]:
    """Run lengths from stored numbers, in an order where the runs of one colour of one code follow each other.

    Returns:
        tuple: The run lengths, and the index of each in ``values``.
    """
    first = np.searchsorted(owners, np.arange(count))
    place = np.arange(len(values)) - first[owners]
    # The first number of a code stands alone, and both sequences start behind it: 1, 3, 5 ... and 2, 4, 6 ...
    sequence = owners * 3 + np.where(place == 0, 0, 1 + place % 2)
    order = np.argsort(sequence, kind='stable')
    sequence, values = sequence[order], values[order]
    totals = np.cumsum(values)
    begins = np.flatnonzero(np.concatenate(([True], sequence[1:] != sequence[:-1])))
    before = np.repeat(totals[begins] - values[begins], np.diff(np.concatenate((begins, [len(values)]))))
    return totals - before, order
