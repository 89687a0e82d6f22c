"""The parts of an exported detector, each beside the part of mmdet that it stands for."""

import pytest
import torch
from exporting import require_packages
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from fishnet_mmdet.errors import FishNetError

require_packages()

from mmcv.ops import batched_nms  # noqa: E402
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask  # noqa: E402
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor  # noqa: E402
from mmdet.models.seg_heads.panoptic_fusion_heads import HeuristicFusionHead  # noqa: E402
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder  # noqa: E402
from mmdet.models.task_modules.prior_generators import AnchorGenerator, MlvlPointGenerator  # noqa: E402

from fishnet_mmdet.deploy.export.boxes import ALL, from_deltas, from_distances, suppress  # noqa: E402
from fishnet_mmdet.deploy.export.conditions import require_methods, require_nms  # noqa: E402
from fishnet_mmdet.deploy.export.dense import Priors  # noqa: E402
from fishnet_mmdet.deploy.export.operators import best, divided, lay_masks  # noqa: E402
from fishnet_mmdet.deploy.export.placing import paste  # noqa: E402
from fishnet_mmdet.deploy.export.roi import RoIFeatures  # noqa: E402

SIZE = torch.tensor([100, 160])


def boxes_of(count, seed=0):
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([150.0, 95.0])
    return torch.cat([corners.amin(1), corners.amax(1) + 1], dim=1)


def rand(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('clip', [True, False])
def test_boxes_from_deltas(clip):
    coder = DeltaXYWHBBoxCoder(target_means=(0.1, 0.0, 0.0, 0.2), target_stds=(0.1, 0.1, 0.2, 0.2), clip_border=clip)
    anchors, deltas = boxes_of(50), 30 * rand(50, 4)
    expected = coder.decode(anchors, deltas, max_shape=tuple(SIZE.tolist()))
    torch.testing.assert_close(from_deltas(anchors, deltas, coder, SIZE), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize('clip', [True, False])
def test_boxes_from_distances(clip):
    coder = DistancePointBBoxCoder(clip_border=clip)
    points, distances = boxes_of(50)[:, :2], 60 * rand(50, 4).abs()
    expected = coder.decode(points, distances, max_shape=tuple(SIZE.tolist()))
    assert torch.equal(from_distances(points, distances, coder, SIZE), expected)


@pytest.mark.parametrize(
    'generator',
    [
        AnchorGenerator(strides=[8, 16], ratios=[0.5, 1.0, 2.0], octave_base_scale=4, scales_per_octave=3),
        MlvlPointGenerator(strides=[8, 16], offset=0.5),
        MlvlPointGenerator(strides=[8, 16], offset=0),
    ],
)
def test_priors(generator):
    sizes = [(5, 7), (3, 4)]
    expected = generator.grid_priors(sizes, device='cpu')
    priors = Priors(generator)
    for level, size in enumerate(sizes):
        torch.testing.assert_close(priors(torch.zeros(1, 2, *size), level), expected[level], rtol=0, atol=1e-5)


@pytest.mark.parametrize('agnostic', [True, False])
def test_suppression(agnostic):
    boxes, scores = boxes_of(200), rand(200).sigmoid()
    labels = torch.arange(200) % 3
    cfg = dict(type='nms', iou_threshold=0.3, class_agnostic=agnostic)
    expected, kept = batched_nms(boxes, scores, labels, dict(cfg))
    found = suppress(boxes, labels, scores, cfg, 40)
    assert 40 < len(kept) < 200
    assert torch.equal(found.boxes, expected[:40, :4]) and torch.equal(found.scores, expected[:40, 4])
    assert torch.equal(found.labels, labels[kept][:40])


def test_suppression_of_nothing():
    found = suppress(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0), dict(iou_threshold=0.5), ALL)
    assert [len(values) for values in found] == [0, 0, 0]


def test_best():
    scores = rand(20)
    values, indices = best(scores, 5)
    assert torch.equal(values, scores.sort(descending=True)[0][:5]) and torch.equal(scores[indices], values)
    assert len(best(scores, 50)[0]) == 20 and len(best(scores[:0], 50)[0]) == 0


def test_divided():
    assert divided(torch.tensor([0, 15, 16, 66846719], dtype=torch.int32), 16).tolist() == [0, 0, 1, 4177919]


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_features(sampling_ratio):
    layer = dict(type='RoIAlign', output_size=7, sampling_ratio=sampling_ratio)
    extractor = SingleRoIExtractor(layer, out_channels=6, featmap_strides=[4, 8, 16], finest_scale=14)
    features = [rand(1, 6, 100 // stride, 160 // stride) for stride in (4, 8, 16)]
    boxes = boxes_of(40)
    expected = extractor(features, torch.cat([torch.zeros(40, 1), boxes], dim=1))
    torch.testing.assert_close(RoIFeatures(extractor)(features, boxes), expected, rtol=1e-5, atol=1e-5)


def test_paste():
    masks, boxes = rand(8, 28, 28).sigmoid(), boxes_of(8)
    expected, _ = _do_paste_mask(masks[:, None], boxes, *SIZE.tolist(), skip_empty=False)
    torch.testing.assert_close(paste(masks, boxes, SIZE), expected, rtol=0, atol=1e-5)


def test_a_box_without_width_has_no_pixels():
    assert not (paste(torch.ones(1, 28, 28), torch.tensor([[30.0, 20.0, 30.0, 40.0]]), SIZE) >= 0.5).any()


def test_laid_masks():
    masks = paste(torch.ones(9, 28, 28), boxes_of(9, seed=3), SIZE) >= 0.5
    masks[4] = False
    labels = torch.arange(9) % 4
    head = HeuristicFusionHead(num_things_classes=4, num_stuff_classes=2, test_cfg=ConfigDict(mask_overlap=0.3))
    found = InstanceData(bboxes=torch.zeros(9, 4), scores=torch.linspace(1, 0.1, 9), labels=labels, masks=masks)
    numbers, kept = head._lay_masks(found, 0.3)
    laid = lay_masks(masks, labels, 0.3, 1000)
    assert 2 < len(kept) < 8
    expected = torch.where(numbers > 0, kept[(numbers - 1).clamp(min=0)] + 1000 * numbers, 0)
    assert torch.equal(laid, expected)


def test_parts_that_are_refused():
    class Other(SingleRoIExtractor):
        def forward(self, feats, rois):
            return feats[0]

    layer = dict(type='RoIAlign', output_size=7, sampling_ratio=2)
    with pytest.raises(FishNetError, match='Other is a SingleRoIExtractor with another forward. Faster, Mask'):
        RoIFeatures(Other(layer, out_channels=6, featmap_strides=[4]))
    largest = SingleRoIExtractor(dict(layer, pool_mode='max'), out_channels=6, featmap_strides=[4])
    with pytest.raises(FishNetError, match='RoIAlign is no RoIAlign with the mean'):
        RoIFeatures(largest)
    with pytest.raises(FishNetError, match='is no SingleRoIExtractor'):
        require_methods(torch.nn.ReLU(), SingleRoIExtractor)
    with pytest.raises(FishNetError, match='soft_nms'):
        require_nms(dict(nms=dict(type='soft_nms', iou_threshold=0.5)), 'a head')
    with pytest.raises(FishNetError, match='generates other anchors'):
        Priors(torch.nn.ReLU())
