"""Class names of checkpoints and heads, compared with the data set's. Annotation files: test_annotations.py."""

import pytest
import torch
from torch import nn

from fishnet_mmdet.engine.class_names import check_checkpoint_classes, check_num_classes, difference
from fishnet_mmdet.errors import FishNetError

CLASSES = ('traffic light', 'dog', 'cat')


@pytest.fixture
def checkpoint(tmp_path):
    def save(**meta):
        file = tmp_path / 'checkpoint.pth'
        torch.save(dict(meta=meta, state_dict=dict(weight=torch.zeros(1))), file)
        return str(file)

    return save


@pytest.mark.parametrize(
    'meta',
    [
        dict(),
        dict(dataset_meta=dict()),
        dict(dataset_meta=dict(classes=CLASSES)),
        dict(dataset_meta=dict(CLASSES=list(CLASSES))),
        dict(CLASSES=CLASSES),
        dict(dataset_meta=dict(classes=('Traffic_Light', 'Dog', 'cat'))),
        dict(dataset_meta='damaged'),
    ],
)
def test_checkpoints_of_the_same_classes(checkpoint, meta):
    check_checkpoint_classes(CLASSES, checkpoint(**meta))


@pytest.mark.parametrize(
    'meta, words',
    [
        (dict(dataset_meta=dict(classes=('traffic light', 'cat', 'dog'))), "class 1 is 'cat' and 'dog'; class 2 is 'dog' and"),
        (dict(CLASSES=('bus', 'dog', 'cat')), "class 0 is 'bus' and 'traffic light'"),
        (dict(dataset_meta=dict(classes=CLASSES[:2])), r"2 \('traffic light', 'dog'\) and 3"),
    ],
)
def test_checkpoints_of_other_classes(checkpoint, meta, words):
    file = checkpoint(**meta)
    with pytest.raises(FishNetError, match=f'{file} was trained on other classes than the data set has: {words}'):
        check_checkpoint_classes(CLASSES, file)
    check_checkpoint_classes(None, file)


def test_long_differences_are_cut():
    assert difference([*map(str, range(20))], [*map(str, range(1, 21))]).endswith("class 7 is '7' and '8'; and 12 more")


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


def test_all_heads_count(checkpoint):
    def model(**parts):
        return nn.ModuleDict({name: Head(count) for name, count in parts.items()})

    # An RPN has one class, and a backbone those of its pretraining.
    check_num_classes(model(rpn_head=1, backbone=1000, bbox_head=3, mask_head=3), CLASSES)
    check_num_classes(model(bbox_head=80), None)
    with pytest.raises(
        FishNetError, match='has 3 classes .*num_classes of bbox_head has 80, mask_head has 2: set num_classes=3'
    ):
        check_num_classes(model(bbox_head=80, mask_head=2, other=3), CLASSES)
