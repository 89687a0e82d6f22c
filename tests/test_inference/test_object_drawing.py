"""Pictures of objects: what is drawn where, and what stays as it was."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import VISUALIZERS
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

from fishnet_mmdet.inference import ObjectVisualizer, draw_objects_clearly
from fishnet_mmdet.inference.drawing import colour, draw_objects, enlargement, mask_outlines, write_texts

SIDE = 800


def grey(side=SIDE):
    return np.full((side, side, 3), 120, np.uint8)


def disc(x, y, radius, side=SIDE):
    return (np.arange(side) - x) ** 2 + (np.arange(side)[:, None] - y) ** 2 <= radius**2


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def draw(masks, texts, image=None):
    masks = np.array(masks)
    return draw_objects(grey() if image is None else image, np.array([box_of(mask) for mask in masks], float), masks, texts)


def test_small_objects_are_not_hidden():
    """Of a cell of 20 pixels nothing but its contour and a light fill is drawn, whatever its text."""
    mask = disc(400, 400, 10)
    picture = draw([mask], ['nucleus 0.97'])
    changed = (picture != grey()).any(axis=2)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7))) > 0
    assert changed[mask].all() and not changed[~near].any()
    inside = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0
    # Inside, the image is most of what is seen.
    assert np.abs(picture[inside].astype(int) - 120).max() < 30
    assert (picture[changed] == colour(0)).all(axis=1).any()


def test_a_large_object_has_its_text():
    mask = disc(400, 400, 200)
    bare, named = draw([mask], ['']), draw([mask], ['nucleus 0.97'])
    rows, columns = np.nonzero((bare != named).any(axis=2))
    assert len(rows) > 500
    # In the corner of the box, and a small part of it.
    assert (rows.min(), columns.min()) == (200, 200)
    assert len(rows) < 400 * 400 / 8 and rows.max() < 230 and columns.max() < 400


def test_texts_do_not_overlap():
    box = np.array([100, 100, 500, 500])
    first = write_texts(grey(), [(box, 'first', (255, 0, 0))])
    both = write_texts(grey(), [(box, 'first', (255, 0, 0)), (box + 3, 'second', (0, 255, 0))])
    np.testing.assert_array_equal(first, both)
    apart = write_texts(grey(), [(box, 'first', (255, 0, 0)), (box + 60, 'second', (0, 255, 0))])
    assert (apart != both).any()


def test_each_object_has_a_colour():
    masks = [disc(100 + 60 * i, 400, 20) for i in range(10)]
    picture = draw(masks, [''] * 10)
    assert len({colour(i) for i in range(100)}) == 100
    for i, mask in enumerate(masks):
        own = (picture == colour(i)).all(axis=2)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7))) > 0
        assert own.any() and not own[~near].any()


def test_holes_and_parts_and_missing_masks():
    ring = disc(400, 400, 200) & ~disc(400, 400, 150) | disc(100, 100, 30)
    picture = draw([ring], [''])
    assert (picture[disc(400, 400, 140)] == 120).all()
    assert (picture[disc(400, 400, 190) & ~disc(400, 400, 160)] != 120).any(axis=1).all()
    assert (picture[disc(100, 100, 25)] != 120).any(axis=1).all()
    # An object without a mask, and one with an empty mask, are drawn as boxes.
    boxes = np.array([[100, 100, 300, 300.0]])
    expected = draw_objects(grey(), boxes, None, [''])
    np.testing.assert_array_equal(draw_objects(grey(), boxes, np.zeros((1, SIDE, SIDE), bool), ['']), expected)
    changed = (expected != 120).any(axis=2)
    assert changed[100, 100:300].all() and not changed[110:290, 110:290].any()


def test_objects_at_the_border_and_no_objects():
    picture = draw([disc(0, 0, 100), disc(SIDE, SIDE, 3), np.ones((SIDE, SIDE), bool)], ['a', 'b', 'c'])
    assert picture.shape == (SIDE, SIDE, 3)
    outside = draw_objects(grey(), np.array([[-50, -50, -10, -10.0], [790, 790, 900, 900]]), None, ['x', 'y'])
    assert (outside[:700, :700] == 120).all()
    np.testing.assert_array_equal(draw_objects(grey(), np.zeros((0, 4)), None, []), grey())


def test_enlarged_outlines_follow_the_mask():
    """The contour on an image that is 4 times as large: its area is that of the mask, 16 times."""
    assert [enlargement(256, 256), enlargement(480, 640), enlargement(128, 128), enlargement(2000, 100)] == [3, 1, 6, 1]
    mask = disc(30.5, 20, 12, side=64)
    (outline,) = mask_outlines(mask, 4)
    assert cv2.contourArea(outline) == pytest.approx(16 * mask.sum(), rel=0.04)
    np.testing.assert_allclose(outline.mean(axis=0), [4 * 31 - 0.5, 4 * 20.5 - 0.5], atol=0.5)


def sample(masks, scores):
    masks = np.array(masks)
    boxes = torch.tensor([box_of(mask) for mask in masks]).float()
    labels = torch.zeros(len(masks), dtype=torch.long)
    found = DetDataSample()
    found.gt_instances = InstanceData(bboxes=boxes, labels=labels, masks=torch.from_numpy(masks))
    found.pred_instances = InstanceData(
        bboxes=boxes, labels=labels, scores=torch.tensor(scores), masks=torch.from_numpy(masks)
    )
    return found


def test_visualizer(tmp_path):
    """Truth and predictions of a small image, side by side and enlarged; a low score is not drawn."""
    masks = [disc(20, 20, 8, side=100), disc(70, 70, 20, side=100)]
    visualizer = ObjectVisualizer(name='test')
    visualizer.dataset_meta = dict(classes=('nucleus',), palette=[(0, 0, 0)])
    file = tmp_path / 'picture.png'
    visualizer.add_datasample('a', grey(100), sample(masks, [0.1, 0.9]), out_file=str(file))
    picture = cv2.imread(str(file))
    assert picture.shape == (700, 1400, 3)
    truth, found = picture[:, :700], picture[:, 700:]
    assert (truth[:300, :300] != 120).any() and (found[:300, :300] == 120).all()
    assert (found[400:, 400:] != 120).any()


def test_class_names_only_where_they_tell_something():
    from fishnet_mmdet.inference.visualizer import texts_of

    found = InstanceData(labels=torch.tensor([0, 1]), scores=torch.tensor([0.5, 0.25]))
    assert texts_of(found, ('cat', 'dog')) == ['cat 0.50', 'dog 0.25']
    assert texts_of(found[:1], ('cat',)) == ['0.50']
    assert texts_of(found, None) == ['class 0 0.50', 'class 1 0.25']
    assert texts_of(InstanceData(labels=torch.tensor([0, 1])), ('cat', 'dog')) == ['cat', 'dog']


@pytest.mark.parametrize('kind, ours', [('DetLocalVisualizer', True), ('mine.Visualizer', False)])
def test_put_into_a_config(kind, ours):
    cfg = Config(dict(visualizer=dict(type=kind, name='x')))
    draw_objects_clearly(cfg)
    assert (cfg.visualizer.type != kind) == ours
    if ours:
        assert isinstance(VISUALIZERS.build(dict(cfg.visualizer, name='put')), ObjectVisualizer)


def test_panoptic_segments_are_drawn_as_mmdet_draws_them(tmp_path):
    """On the image as it is: the maps of segments have its size."""
    found = sample([disc(20, 20, 8, side=100)], [0.9])
    found.gt_panoptic_seg = PixelData(sem_seg=disc(20, 20, 8, side=100)[None].astype(np.int64) * 1000)
    found.pred_panoptic_seg = found.gt_panoptic_seg
    del found.pred_instances
    pictures = []
    for kind in (ObjectVisualizer, DetLocalVisualizer):
        visualizer = kind(name=kind.__name__)
        visualizer.dataset_meta = dict(classes=('thing', 'stuff'), palette=[(200, 0, 0), (0, 200, 0)])
        file = tmp_path / f'{kind.__name__}.png'
        np.random.seed(0)
        visualizer.add_datasample('a', grey(100), found, out_file=str(file))
        pictures.append(cv2.imread(str(file)))
    assert pictures[0].shape == (100, 200, 3)
    np.testing.assert_array_equal(pictures[0][:, 100:], pictures[1][:, 100:])
