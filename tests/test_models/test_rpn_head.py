"""The RPN head: mmdet's own on ordinary images, and all anchors on images that are smaller than each of them."""

import pytest
import torch
from mmdet.models.dense_heads import RPNHead
from mmengine.config import Config
from mmengine.structures import InstanceData

from fishnet_mmdet.models.rpn_head import BorderRPNHead

SETTINGS = dict(
    in_channels=4,
    feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8]),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
    loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),
)


def head(kind, border):
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    train_cfg = Config(
        dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
            sampler=dict(type='RandomSampler', num=64, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
            allowed_border=border,
            pos_weight=-1,
        )
    )
    torch.manual_seed(0)
    return kind(train_cfg=train_cfg, **SETTINGS)


def losses(model, sizes):
    """The losses on images of some sizes (height, width), each with one object, padded to 64 x 64."""
    torch.manual_seed(1)
    features = [torch.randn(len(sizes), 4, side, side) for side in (16, 8)]
    objects = [
        InstanceData(bboxes=torch.tensor([[0.0, 0.0, width, height]]), labels=torch.zeros(1).long()) for height, width in sizes
    ]
    metas = [dict(img_shape=size, pad_shape=(64, 64)) for size in sizes]
    found = model.loss_by_feat(*model(features), objects, metas)
    return torch.stack([loss for values in found.values() for loss in values])


def test_ordinary_images_as_in_mmdet():
    sizes = [(64, 64), (48, 60)]
    torch.testing.assert_close(losses(head(BorderRPNHead, 0), sizes), losses(head(RPNHead, 0), sizes), rtol=0, atol=0)
    assert not torch.equal(losses(head(RPNHead, 0), sizes), losses(head(RPNHead, -1), sizes))


def test_images_smaller_than_every_anchor():
    small = [(8, 60), (9, 9)]
    with pytest.raises(ValueError, match='no valid anchor inside'):
        losses(head(RPNHead, 0), small)
    model = head(BorderRPNHead, 0)
    torch.testing.assert_close(losses(model, small), losses(head(RPNHead, -1), small), rtol=0, atol=0)
    # The setting of the head stays.
    assert model.train_cfg['allowed_border'] == 0
    assert losses(model, [(64, 64), (9, 9)]).isfinite().all()
