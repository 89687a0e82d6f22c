"""The operators as plain loops in float64, one number at a time; and the check of their gradients."""

import math
from functools import partial

from torch.autograd import gradcheck as every_entry

#: Compares a random projection of the numeric Jacobian with the analytic one.
gradcheck = partial(every_entry, fast_mode=True)


def bilinear(plane, y, x, clamped):
    """A sample of a map (h, w).

    clamped: samples up to a pixel outside are moved to the border (RoIAlign); otherwise pixels outside of the map are zero
    (deformable convolution).
    """
    height, width = plane.shape
    if clamped:
        if y < -1 or y > height or x < -1 or x > width:
            return 0.0
        y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    low_y, low_x = math.floor(y), math.floor(x)
    total = 0.0
    for row in (low_y, low_y + 1):
        for column in (low_x, low_x + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * float(plane[row, column])
    return total


def roi_bins(roi, scale, bins, sampling_ratio, aligned=True, shifts=None):
    """Yields (bin of y, bin of x, coordinates of its samples) of a box."""
    shift = 0.5 if aligned else 0.0
    left, top, right, bottom = (float(side) * scale - shift for side in roi[1:])
    width, height = right - left, bottom - top
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    count_y = sampling_ratio or math.ceil(height / bins[0])
    count_x = sampling_ratio or math.ceil(width / bins[1])
    for i in range(bins[0]):
        for j in range(bins[1]):
            moved_x, moved_y = (0.0, 0.0) if shifts is None else shifts(i, j, height, width)
            samples = [
                (
                    top + moved_y + (i + (a + 0.5) / count_y) * height / bins[0],
                    left + moved_x + (j + (b + 0.5) / count_x) * width / bins[1],
                )
                for a in range(count_y)
                for b in range(count_x)
            ]
            yield i, j, samples


def roi_align(maps, rois, bins, scale, sampling_ratio, aligned, mode):
    output = maps.new_zeros(len(rois), maps.shape[1], *bins)
    for k, roi in enumerate(rois):
        for i, j, samples in roi_bins(roi, scale, bins, sampling_ratio, aligned):
            for c in range(maps.shape[1]):
                values = [bilinear(maps[int(roi[0]), c], y, x, True) for y, x in samples]
                if mode == 'max':
                    output[k, c, i, j] = max(values, default=-10000)
                else:
                    output[k, c, i, j] = sum(values) / max(len(values), 1)
    return output


def deform_roi_pool(maps, rois, offset, bins, scale, sampling_ratio, gamma):
    output = maps.new_zeros(len(rois), maps.shape[1], *bins)
    for k, roi in enumerate(rois):

        def shifts(i, j, height, width, k=k):
            return gamma * width * float(offset[k, 0, i, j]), gamma * height * float(offset[k, 1, i, j])

        for i, j, samples in roi_bins(roi, scale, bins, sampling_ratio, shifts=None if offset is None else shifts):
            for c in range(maps.shape[1]):
                values = [bilinear(maps[int(roi[0]), c], y, x, True) for y, x in samples]
                output[k, c, i, j] = sum(values) / max(len(values), 1)
    return output


def roi_pool(maps, rois, bins, scale):
    """Maxima of the pixels from floor to ceil of every bin; 0 for a bin without pixels."""
    output = maps.new_zeros(len(rois), maps.shape[1], *bins)
    height, width = maps.shape[2:]
    for k, roi in enumerate(rois):
        left, top, right, bottom = (float(side) for side in roi[1:])
        left, top, right, bottom = left * scale, top * scale, (right + 1) * scale, (bottom + 1) * scale
        if right <= left or bottom <= top:
            continue
        step_y, step_x = (bottom - top) / bins[0], (right - left) / bins[1]
        for i in range(bins[0]):
            for j in range(bins[1]):
                rows = range(max(math.floor(i * step_y + top), 0), min(math.ceil((i + 1) * step_y + top), height))
                columns = range(max(math.floor(j * step_x + left), 0), min(math.ceil((j + 1) * step_x + left), width))
                for c in range(maps.shape[1]):
                    values = [float(maps[int(roi[0]), c, y, x]) for y in rows for x in columns]
                    output[k, c, i, j] = max(values, default=0)
    return output


def deform_conv(maps, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups):
    n, channels, height, width = maps.shape
    out_channels, _, kernel_h, kernel_w = weight.shape
    output = maps.new_zeros(n, out_channels, *offset.shape[2:])
    for image, out, p, q in (
        (a, b, c, d)
        for a in range(n)
        for b in range(out_channels)
        for c in range(offset.shape[2])
        for d in range(offset.shape[3])
    ):
        total = float(bias[out])
        group = out // (out_channels // groups)
        for c in range(channels // groups):
            channel = group * (channels // groups) + c
            deform = channel // (channels // deform_groups)
            for i in range(kernel_h):
                for j in range(kernel_w):
                    tap = deform * kernel_h * kernel_w + i * kernel_w + j
                    y = p * stride[0] - padding[0] + i * dilation[0] + float(offset[image, 2 * tap, p, q])
                    x = q * stride[1] - padding[1] + j * dilation[1] + float(offset[image, 2 * tap + 1, p, q])
                    value = bilinear(maps[image, channel], y, x, False)
                    total += value * float(mask[image, tap, p, q]) * float(weight[out, c, i, j])
        output[image, out, p, q] = total
    return output


def carafe(features, masks, kernel, groups, scale):
    n, channels, height, width = features.shape
    output = features.new_zeros(n, channels, height * scale, width * scale)
    for image in range(n):
        for c in range(channels):
            group = c // (channels // groups)
            for y in range(height * scale):
                for x in range(width * scale):
                    total = 0.0
                    for i in range(kernel):
                        for j in range(kernel):
                            row, column = y // scale + i - kernel // 2, x // scale + j - kernel // 2
                            if 0 <= row < height and 0 <= column < width:
                                factor = masks[image, (group * kernel + i) * kernel + j, y, x]
                                total += float(factor) * float(features[image, c, row, column])
                    output[image, c, y, x] = total
    return output


def overlap(a, b, offset):
    """Intersection over union of two boxes of float32, in float32."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
    area_a, area_b = ((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
    return width * height / (area_a + area_b - width * height)


def nms(boxes, order, threshold, offset):
    """Boxes in an order; a box is dropped if it overlaps a kept one."""
    keep = []
    for i in order:
        if all(not overlap(boxes[j], boxes[i], offset) > threshold for j in keep):
            keep.append(i)
    return keep


def nms_match(boxes, order, threshold):
    """Every kept box with those that it is the first to overlap."""
    groups = []
    for i in order:
        for group in groups:
            if overlap(boxes[group[0]], boxes[i], 0) >= threshold:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    """Takes the best of the rest again and again; returns (index, score) of every choice."""
    scores = list(scores)
    rest, chosen = list(range(len(boxes))), []
    while rest:
        best = max(rest, key=lambda i: scores[i])
        rest.remove(best)
        chosen.append((best, scores[best]))
        for i in rest:
            iou = overlap(boxes[best], boxes[i], offset)
            if method == 'gaussian':
                scores[i] *= math.exp(-iou * iou / sigma)
            elif iou >= threshold:
                scores[i] *= 1 - iou if method == 'linear' else 0
        rest = [i for i in rest if scores[i] >= min_score]
    return chosen
