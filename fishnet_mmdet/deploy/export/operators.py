"""Operators of ONNX that PyTorch lacks, or has only with outputs whose size depends on the data.

Each one is a PyTorch operator with two meanings: computed by PyTorch, so that an exported network can be tried without a file,
and written as nodes of ONNX's standard operators.
"""

from typing import Callable, Dict, Tuple

import torch
from onnx import TensorProto, helper
from onnxscript import BOOL, INT64, script
from onnxscript import opset18 as op
from torch import Tensor, library

from ...ops.bags import bag_sum
from ...ops.layout import to_rows
from ...ops.nms import nms as compute_nms
from ...ops.roi_align import mean_bags
from ...ops.roi_grid import make_grid

ZERO = helper.make_tensor('zero', TensorProto.INT64, [1], [0])
#: ONNX's names of RoIAlign's two conventions, by mmcv's argument ``aligned``.
ROI_COORDINATES = {True: 'half_pixel', False: 'output_half_pixel'}


@library.custom_op('fishnet_mmdet::best', mutates_args=())
def best(scores: Tensor, most: int) -> Tuple[Tensor, Tensor]:
    """The highest scores, sorted, and their indices.

    Args:
        scores (Tensor): Shape (n,).
        most (int): How many are kept; all, if there are fewer.
    """
    return scores.topk(min(most, len(scores)))


@best.register_fake
def _(scores, most):
    size = library.get_ctx().new_dynamic_size(min=0, max=most)
    return scores.new_empty(size), scores.new_empty(size, dtype=torch.long)


@library.custom_op('fishnet_mmdet::nms', mutates_args=())
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, most: int) -> Tensor:
    """The indices of the boxes that non-maximum suppression keeps, by descending score.

    Args:
        boxes (Tensor): Left, top, right, bottom; shape (n, 4).
        scores (Tensor): Shape (n,).
        iou_threshold (float): A box is suppressed if it overlaps a kept one by more than this.
        most (int): Boxes that are kept at most.
    """
    return compute_nms(boxes, scores, iou_threshold, 0)[:most].clone()


@nms.register_fake
def _(boxes, scores, iou_threshold, most):
    return scores.new_empty(library.get_ctx().new_dynamic_size(min=0), dtype=torch.long)


@library.custom_op('fishnet_mmdet::roi_align', mutates_args=())
def roi_align(feature: Tensor, boxes: Tensor, size: int, scale: float, sampling_ratio: int, aligned: bool) -> Tensor:
    """RoIAlign of one image: means of bilinear samples.

    Args:
        feature (Tensor): Shape (1, c, h, w).
        boxes (Tensor): Left, top, right, bottom in pixels of the image; shape (n, 4).
        size (int): Bins of a box along each side.
        scale (float): Size of the feature divided by that of the image.
        sampling_ratio (int): Samples of a bin along each side; 0: as many as the bin has pixels, rounded up.
        aligned (bool): Whether pixels are shifted by a half.

    Returns:
        Tensor: Shape (n, c, size, size).
    """
    bins, channels = (size, size), feature.shape[1]
    if not len(boxes):
        return feature.new_zeros(0, channels, *bins)
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
    bags = mean_bags(make_grid(rois, bins, scale, sampling_ratio, aligned), bins, tuple(feature.shape[2:]), sampling_ratio)
    sums = bag_sum(to_rows(feature), bags)
    return sums.view(len(boxes), *bins, channels).permute(0, 3, 1, 2).contiguous()


@roi_align.register_fake
def _(feature, boxes, size, scale, sampling_ratio, aligned):
    return feature.new_empty(boxes.shape[0], feature.shape[1], size, size)


@library.custom_op('fishnet_mmdet::lay_masks', mutates_args=())
def lay_masks(masks: Tensor, labels: Tensor, overlap: float, offset: int) -> Tensor:
    """Objects on one map, one after another. An object that earlier ones hide is left out; the others do not overlap.

    Args:
        masks (Tensor): Shape (n, h, w), bool.
        labels (Tensor): Shape (n,).
        overlap (float): Share of its area from which on an object is hidden.
        offset (int): Of the numbers in the map.

    Returns:
        Tensor: Shape (h, w): label + offset * number of the object, from number 1 on; 0 where there is none.
    """
    result = torch.zeros(masks.shape[1:], dtype=torch.long)
    number = 1
    for mask, label in zip(masks, labels):
        area = mask.sum()
        free = mask & (result == 0)
        if area > 0 and (area - free.sum()) / (area + 1e-5) <= overlap:
            result = torch.where(free, label + number * offset, result)
            number += 1
    return result


@lay_masks.register_fake
def _(masks, labels, overlap, offset):
    return masks.new_empty(masks.shape[1:], dtype=torch.long)


@library.custom_op('fishnet_mmdet::divided', mutates_args=())
def divided(values: Tensor, by: int) -> Tensor:
    """Whole numbers divided and rounded down. PyTorch's exporter would divide them as float32, which rounds large ones.

    Args:
        values (Tensor): Of any integer type, none negative.
        by (int): Positive.
    """
    return torch.div(values, by, rounding_mode='floor')


@divided.register_fake
def _(values, by):
    return torch.empty_like(values)


def _best_as_onnx(scores, most: int):
    count = op.Min(op.Shape(scores), op.Constant(value_ints=[most]))
    return op.TopK(scores, count, axis=0)


def _nms_as_onnx(boxes, scores, iou_threshold: float, most: int):
    kept = op.NonMaxSuppression(
        op.Unsqueeze(boxes, op.Constant(value_ints=[0])),
        op.Unsqueeze(scores, op.Constant(value_ints=[0, 1])),
        op.Constant(value_ints=[most]),
        op.Constant(value_floats=[iou_threshold]),
    )
    # Rows of image, class, index.
    return op.Gather(kept, op.Constant(value_int=2), axis=1)


def _roi_align_as_onnx(feature, boxes, size: int, scale: float, sampling_ratio: int, aligned: bool):
    image = op.ConstantOfShape(op.Shape(boxes, start=0, end=1), value=ZERO)
    return op.RoiAlign(
        feature,
        boxes,
        image,
        output_height=size,
        output_width=size,
        spatial_scale=scale,
        sampling_ratio=max(sampling_ratio, 0),
        coordinate_transformation_mode=ROI_COORDINATES[aligned],
    )


@script(default_opset=op)
def _lay_masks_as_onnx(masks: BOOL, labels: INT64, overlap: float, offset: int) -> INT64:
    count = op.Squeeze(op.Shape(masks, start=0, end=1))
    result = op.CastLike(op.ConstantOfShape(op.Shape(masks, start=1)), labels)
    number = op.CastLike(op.Constant(value_int=1), labels)
    for i in range(count):
        mask = op.Gather(masks, i)
        free = op.And(mask, op.Equal(result, op.Constant(value_int=0)))
        area = op.ReduceSum(op.Cast(mask, to=1), keepdims=0)
        hidden = (area - op.ReduceSum(op.Cast(free, to=1), keepdims=0)) / (area + 0.00001)
        stays = op.And(area > 0.0, op.Not(hidden > overlap))
        code = op.Gather(labels, i) + number * offset
        result = op.Where(op.And(free, stays), code, result)
        number = number + op.Cast(stays, to=7)
    return result


def _divided_as_onnx(values, by):
    divisor = op.Constant(value_int=by) if isinstance(by, int) else by
    return op.Div(values, op.CastLike(divisor, values))


#: How ``torch.onnx.export`` writes these operators.
TRANSLATIONS: Dict[Callable, Callable] = {
    torch.ops.fishnet_mmdet.best.default: _best_as_onnx,
    torch.ops.fishnet_mmdet.nms.default: _nms_as_onnx,
    torch.ops.fishnet_mmdet.roi_align.default: _roi_align_as_onnx,
    torch.ops.fishnet_mmdet.lay_masks.default: _lay_masks_as_onnx,
    torch.ops.fishnet_mmdet.divided.default: _divided_as_onnx,
}
