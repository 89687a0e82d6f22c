"""Test-time augmentation."""

from copy import deepcopy

from mmengine.config import Config, ConfigDict

from ..errors import FishNetError
from .metrics import predicts_masks


def use_test_time_augmentation(cfg: Config) -> None:
    """Wraps the model as the config's ``tta_model`` says. Without one, the boxes of an image and its mirror image are merged.

    mmdet merges boxes and refuses masks, so a two-stage detector is tested without its mask branch.

    Raises:
        FishNetError: If the model always predicts masks.
    """
    if cfg.model.get('roi_head'):
        cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    if predicts_masks(cfg):
        raise FishNetError(f'--tta merges boxes only, and a {cfg.model.type} always predicts masks: test it without --tta')
    test_dataset = cfg.test_dataloader.dataset
    while 'dataset' in test_dataset:
        test_dataset = test_dataset.dataset
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
    if 'tta_pipeline' not in cfg:
        meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        cfg.tta_pipeline = deepcopy(test_dataset.pipeline)
        cfg.tta_pipeline[-1] = dict(type='TestTimeAug', transforms=[flips, [dict(type='PackDetInputs', meta_keys=meta_keys)]])
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    test_dataset.pipeline = cfg.tta_pipeline
