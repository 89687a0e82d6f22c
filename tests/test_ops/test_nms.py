"""NMS in all its forms against loops over the boxes."""

import loops
import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms, nms, nms_match, soft_nms

from fishnet_mmdet.ops import nms as ours

pytestmark = pytest.mark.usefixtures('our_operators')


def clusters(count, seed=0, objects=20):
    """Boxes in clusters, as a detector finds them, and their scores."""
    rng = torch.Generator().manual_seed(seed)
    centre, size = torch.rand(objects, 2, generator=rng) * 300, torch.rand(objects, 2, generator=rng) * 60 + 10
    which = torch.randint(0, objects, (count,), generator=rng)
    centre = centre[which] + torch.randn(count, 2, generator=rng) * 5
    size = size[which] * (1 + 0.2 * torch.randn(count, 2, generator=rng)).clamp(min=0.3)
    return torch.cat((centre - size / 2, centre + size / 2), 1), torch.rand(count, generator=rng)


def by_score(scores):
    return scores.sort(0, descending=True)[1].tolist()


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5, 0.9])
@pytest.mark.parametrize('count', [1, 2, 255, 600])
def test_nms(count, threshold, offset):
    boxes, scores = clusters(count)
    dets, keep = nms(boxes, scores, threshold, offset)
    assert keep.tolist() == loops.nms(boxes.numpy(), by_score(scores), threshold, offset)
    assert torch.equal(dets, torch.cat((boxes, scores[:, None]), 1)[keep])


def test_ties_and_equal_boxes():
    boxes, scores = clusters(400)
    boxes = boxes.round()  # overlaps that are exactly the threshold, too
    boxes[200:] = boxes[:200]
    scores = (scores * 4).round() / 4
    keep = nms(boxes, scores, 0.5)[1]
    assert keep.tolist() == loops.nms(boxes.numpy(), by_score(scores), 0.5, 0)


def test_a_chain_of_boxes():
    """Each overlaps the next, so that every second one is kept: the longest way to the fixed point."""
    left = torch.arange(300.0)
    boxes = torch.stack((left, left * 0, left + 3, left * 0 + 10), 1)
    assert nms(boxes, -left, 0.4)[1].tolist() == list(range(0, 300, 2))


@pytest.mark.parametrize('blocks', [(1, 1), (7, 3), (64, 5)])
def test_the_size_of_the_blocks_changes_nothing(blocks, monkeypatch):
    boxes, scores = clusters(150)
    expected = nms(boxes, scores, 0.5)[1]
    monkeypatch.setattr(ours, 'BLOCK', blocks[0])
    monkeypatch.setattr(ours, 'KEPT_BLOCK', blocks[1])
    assert torch.equal(nms(boxes, scores, 0.5)[1], expected)


def test_the_matrices_stay_small(monkeypatch):
    """5000 boxes of which all are kept: in one matrix, 25 million overlaps."""
    sizes = []
    whole = ours.overlaps

    def spy(first, second, offset=0):
        sizes.append(len(first) * len(second))
        return whole(first, second, offset)

    monkeypatch.setattr(ours, 'overlaps', spy)
    corner = torch.stack(torch.meshgrid(torch.arange(100.0), torch.arange(50.0), indexing='ij'), -1).flatten(0, 1) * 5
    assert len(nms(torch.cat((corner, corner + 4), 1), torch.rand(5000), 0.5)[1]) == 5000
    assert max(sizes) <= 512 * 256


def test_score_threshold_and_max_num():
    boxes, scores = clusters(300)
    above = (scores > 0.4).nonzero()[:, 0]
    expected = [above[i] for i in loops.nms(boxes[above].numpy(), by_score(scores[above]), 0.5, 0)][:5]
    assert nms(boxes, scores, 0.5, score_threshold=0.4, max_num=5)[1].tolist() == expected


def test_boxes_without_area_do_not_suppress():
    boxes = torch.tensor([[5.0, 5, 5, 5]] * 3 + [[0, 0, 10, 10]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.5)[1].tolist() == [0, 1, 2, 3]


def test_numpy():
    boxes, scores = clusters(50)
    dets, keep = nms(boxes.numpy(), scores.numpy(), 0.5)
    assert isinstance(dets, np.ndarray)
    assert keep.tolist() == nms(boxes, scores, 0.5)[1].tolist()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_are_computed_in_at_least_float32(dtype):
    boxes, scores = (tensor.to(dtype) for tensor in clusters(300))
    dets, keep = nms(boxes, scores, 0.5)
    assert dets.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert keep.tolist() == nms(boxes.to(wide), scores.to(wide), 0.5)[1].tolist()


def test_empty():
    dets, keep = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and keep.shape == (0,)
    dets, keep = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5) and keep.shape == (0,)
    assert nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize('split', [10000, 100])
@pytest.mark.parametrize('kind', ['nms', 'soft_nms'])
def test_batched_nms_keeps_classes_apart(kind, split):
    boxes, scores = clusters(300)
    classes = torch.arange(300) % 3
    dets, keep = batched_nms(boxes, scores, classes, dict(type=kind, iou_threshold=0.5, split_thr=split))
    expected = {}
    for number in range(3):
        mine = (classes == number).nonzero()[:, 0]
        if kind == 'nms':
            for i in loops.nms(boxes[mine].numpy(), by_score(scores[mine]), 0.5, 0):
                expected[int(mine[i])] = float(scores[mine[i]])
        else:
            for i, score in loops.soft_nms(boxes[mine].double().numpy(), scores[mine].tolist(), 0.5, 0.5, 1e-3, 'linear', 0):
                expected[int(mine[i])] = score
    assert set(keep.tolist()) == set(expected)
    assert dets[:, 4].tolist() == pytest.approx([expected[i] for i in keep.tolist()], rel=1e-4)
    assert dets[:, 4].tolist() == sorted(dets[:, 4].tolist(), reverse=True)


def test_batched_nms_class_agnostic():
    boxes, scores = clusters(300)
    keep = batched_nms(boxes, scores, torch.arange(300) % 3, dict(type='nms', iou_threshold=0.5, class_agnostic=True))[1]
    assert keep.tolist() == loops.nms(boxes.numpy(), by_score(scores), 0.5, 0)


@pytest.mark.parametrize('count', [1, 200, 700])
def test_nms_match(count):
    boxes, scores = clusters(count)
    groups = nms_match(torch.cat((boxes, scores[:, None]), 1), 0.5)
    assert [group.tolist() for group in groups] == loops.nms_match(boxes.numpy(), by_score(scores), 0.5)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms(method, offset):
    boxes, scores = clusters(150)
    dets, keep = soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    expected = loops.soft_nms(boxes.double().numpy(), scores.double().tolist(), 0.3, 0.5, 0.05, method, offset)
    assert keep.tolist() == [i for i, _ in expected]
    assert torch.equal(dets[:, :4], boxes[keep])
    assert dets[:, 4].tolist() == pytest.approx([score for _, score in expected], rel=1e-4)


def test_soft_nms_does_not_change_its_inputs():
    boxes, scores = clusters(50)
    before = boxes.clone(), scores.clone()
    soft_nms(boxes, scores)
    assert torch.equal(boxes, before[0]) and torch.equal(scores, before[1])
