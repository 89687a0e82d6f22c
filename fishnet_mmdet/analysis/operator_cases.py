"""Calls of operators as they occur in a training iteration of a detector, to be timed.

A case makes its inputs, and returns the step that uses them.
"""

from functools import partial
from typing import Callable, Dict, List

import torch
from mmcv.ops import (
    MultiScaleDeformableAttention,
    batched_nms,
    deform_conv2d,
    modulated_deform_conv2d,
    nms,
    nms_match,
    roi_align,
    sigmoid_focal_loss,
    soft_nms,
)
from torch import Tensor

#: Image of the cases, and the strides and channels of the feature maps that it has.
IMAGE, STRIDES, CHANNELS = (800, 1344), (4, 8, 16, 32), 256


def boxes(count: int, seed: int = 0) -> Tensor:
    """Boxes as proposals are: anywhere in the image, sides of 75 pixels but for a factor of 2 (standard deviation)."""
    rng = torch.Generator().manual_seed(seed)
    size = torch.tensor([IMAGE[1], IMAGE[0]])
    centre = torch.rand(count, 2, generator=rng) * size
    sides = torch.exp(torch.randn(count, 2, generator=rng) * 0.7 + 4.3)
    corners = torch.cat((centre - sides / 2, centre + sides / 2), 1)
    return torch.minimum(corners.clamp(min=0), size.repeat(2))


def crowded(count: int) -> Tensor:
    """Boxes as an RPN finds them: 20 around each object."""
    objects = boxes(count // 20 + 1)
    some = objects[torch.randint(len(objects), (count,), generator=torch.Generator().manual_seed(1))]
    spread = (some[:, 2:] - some[:, :2]).repeat(1, 2) * 0.1
    return some + spread * torch.randn(count, 4, generator=torch.Generator().manual_seed(2))


def feature_maps(layout: torch.memory_format) -> List[Tensor]:
    """A map of each stride."""
    sizes = [(IMAGE[0] // stride, IMAGE[1] // stride) for stride in STRIDES]
    maps = [torch.randn(1, CHANNELS, *size).contiguous(memory_format=layout) for size in sizes]
    return [one.requires_grad_() for one in maps]


def roi_align_case(count: int, bins: int, sampling: int, layout: torch.memory_format, backward: bool) -> Callable:
    """RoIAlign of boxes on the map that mmdet reads each of them from."""
    maps, some = feature_maps(layout), boxes(count)
    scale = ((some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1])).sqrt()
    level = torch.log2(scale / 56 + 1e-6).floor().clamp(0, len(maps) - 1)
    rois = torch.cat((torch.zeros(count, 1), some), 1)
    grad = torch.randn(count, CHANNELS, bins, bins)

    def step():
        for i, (one, stride) in enumerate(zip(maps, STRIDES)):
            mine = level == i
            output = roi_align(one, rois[mine], bins, 1 / stride, sampling, 'avg', True)
            if backward and mine.any():
                torch.autograd.grad(output, one, grad[mine])

    return step


def nms_case(count: int, crowd: bool) -> Callable:
    """NMS of one image."""
    some, scores = (crowded if crowd else boxes)(count), torch.rand(count)
    return lambda: nms(some, scores, 0.7)


def batched_nms_case() -> Callable:
    """The NMS of an RPN: 1000 boxes of each of four maps and 819 of the last."""
    some, scores, levels = crowded(4819), torch.rand(4819), torch.arange(4819) // 1000
    return lambda: batched_nms(some, scores, levels, dict(type='nms', iou_threshold=0.7))


def soft_nms_case(count: int) -> Callable:
    """Soft-NMS with mmdet's settings."""
    some, scores = crowded(count), torch.rand(count)
    return lambda: soft_nms(some, scores, 0.5, min_score=0.05)


def nms_match_case(count: int) -> Callable:
    """NMS match."""
    dets = torch.cat((crowded(count), torch.rand(count, 1)), 1)
    return lambda: nms_match(dets, 0.5)


def deform_conv_case(modulated: bool, backward: bool) -> Callable:
    """A 3 x 3 layer of ResNet's third stage."""
    x, weight = torch.randn(1, 256, 50, 84, requires_grad=True), torch.randn(256, 256, 3, 3, requires_grad=True)
    offset = torch.randn(1, 18, 50, 84, requires_grad=True)
    mask, grad = torch.rand(1, 9, 50, 84, requires_grad=True), torch.randn(1, 256, 50, 84)

    def step():
        if modulated:
            output = modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1)
        else:
            output = deform_conv2d(x, offset, weight, 1, 1)
        if backward:
            torch.autograd.grad(output, [x, offset, weight, *([mask] if modulated else [])], grad)

    return step


def attention_case() -> Callable:
    """The attention of Deformable DETR over four maps; on the CPU mmcv's module does not use its operators."""
    shapes = torch.tensor([[IMAGE[0] // stride, IMAGE[1] // stride] for stride in (16, 32, 64, 128)])
    keys = int(shapes.prod(1).sum())
    starts = torch.cat((torch.zeros(1, dtype=torch.long), shapes.prod(1).cumsum(0)[:-1]))
    layer, x, points = MultiScaleDeformableAttention(batch_first=True), torch.randn(1, keys, 256), torch.rand(1, keys, 4, 2)

    def step():
        layer(x, value=x, reference_points=points, spatial_shapes=shapes, level_start_index=starts).sum().backward()

    return step


def focal_loss_case() -> Callable:
    """RetinaNet's loss of 100,000 anchors; mmcv has it for GPUs only."""
    logits, target = torch.randn(100000, 80, requires_grad=True), torch.randint(81, (100000,))
    return lambda: sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'sum').backward()


def roi_align_cases() -> Dict[str, Callable[[], Callable]]:
    """RoIAlign of the box head (512 boxes) and the mask head (128), by name."""
    layouts = {'': torch.contiguous_format, ', channels-last': torch.channels_last}
    return {
        f'RoIAlign {count} x {bins}x{bins}, {kind}{layout}, {passes}': partial(
            roi_align_case, count, bins, sampling, layouts[layout], passes != 'forward'
        )
        for count, bins in ((512, 7), (128, 14))
        for sampling, kind in ((2, '2 samples'), (0, 'adaptive'))
        for layout in layouts
        for passes in ('forward', 'forward + backward')
    }


#: What makes the step of every case, by the name of the case.
CASES: Dict[str, Callable[[], Callable]] = {
    **roi_align_cases(),
    **{f'nms, {count} boxes': partial(nms_case, count, False) for count in (500, 1000, 2000, 4000)},
    **{f'nms, {count} boxes around objects': partial(nms_case, count, True) for count in (500, 1000, 2000, 4000)},
    'batched nms, 5 levels': batched_nms_case,
    'soft nms, 1000 boxes': partial(soft_nms_case, 1000),
    'nms match, 1000 boxes': partial(nms_match_case, 1000),
    'deformable convolution 1, forward': partial(deform_conv_case, False, False),
    'deformable convolution 1, forward + backward': partial(deform_conv_case, False, True),
    'deformable convolution 2, forward': partial(deform_conv_case, True, False),
    'deformable convolution 2, forward + backward': partial(deform_conv_case, True, True),
    'deformable attention, forward + backward': attention_case,
    'sigmoid focal loss, forward + backward': focal_loss_case,
}
