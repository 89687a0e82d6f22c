"""Small detectors of every kind that can be exported, each trained for a few minutes on the images of the demo.

They start from the backbone of the detector `nuclei` that comes with the package, so that after a few epochs their scores mean
something: random weights give a random order of equal scores, and nothing could be compared.
"""

import copy
from pathlib import Path
from typing import Callable, Dict

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config

from fishnet_mmdet.checkpoints.reading import read_checkpoint
from fishnet_mmdet.config_files import PACKAGE, config_file
from fishnet_mmdet.datasets.shapes import BACKGROUND, CLASSES, add_panoptic, make_shapes
from fishnet_mmdet.inference import TRAINED

ROOT = Path(__file__).parents[1]
NUCLEI = PACKAGE / 'trained' / TRAINED['nuclei'].weights
SHAPES = ROOT / 'work_dirs/exported_shapes'
#: Channels of the neck and the heads.
WIDTH = 64


def base() -> Config:
    """The config of the detector `nuclei`, for a short training on the demo's images."""
    cfg = Config.fromfile(config_file('demo/mask_rcnn_fishnet77_nuclei.py'))
    cfg.model.backbone.init_cfg = dict(type='FishNetPretrained', checkpoint=str(NUCLEI))
    cfg.merge_from_dict(dict(train_dataloader=dict(dataset=dict(data_root=str(ROOT / 'demo/nuclei') + '/'))))
    epochs = 6
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
        dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
    ]
    cfg.optim_wrapper.optimizer.lr = 5e-4
    return cfg


def with_model(model: ConfigDict, cfg: Config, levels: slice = slice(None)) -> Config:
    """The config with the model of a config of mmdet, made small."""
    ours = cfg.model
    model.data_preprocessor = ours.data_preprocessor
    model.backbone = copy.deepcopy(ours.backbone)
    channels = [80, 208, 400, 528][levels]
    if levels != slice(None):
        model.backbone.out_indices = tuple(range(4))[levels]
    model.neck.update(in_channels=channels, out_channels=WIDTH)
    model.pop('pretrained', None)
    cfg.model = model
    return cfg


def boxes_only(cfg: Config) -> Config:
    """Trains and evaluates boxes alone."""
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'LoadAnnotations':
            step.with_mask = False
        if step.type == 'RandomCrop':
            step.recompute_bbox = False
    cfg.val_evaluator.metric = cfg.test_evaluator.metric = ['bbox']
    return cfg


def faster_rcnn() -> Config:
    """The boxes of the detector `nuclei`."""
    cfg = base()
    for part in ('mask_head', 'mask_roi_extractor'):
        cfg.model.roi_head.pop(part)
    return boxes_only(cfg)


def cascade_mask_rcnn() -> Config:
    """Three stages of boxes and masks."""
    ours = base()
    model = get_config('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py').model
    head, ours_head = model.roi_head, ours.model.roi_head
    for extractor in (head.bbox_roi_extractor, head.mask_roi_extractor):
        extractor.out_channels = WIDTH
    for part in head.bbox_head:
        part.update(in_channels=WIDTH, fc_out_channels=4 * WIDTH, num_classes=1)
    head.mask_head = ours_head.mask_head
    model.rpn_head = ours.model.rpn_head
    model.test_cfg = ours.model.test_cfg
    model.train_cfg.rpn = ours.model.train_cfg.rpn
    model.train_cfg.rpn_proposal = ours.model.train_cfg.rpn_proposal
    model.neck.norm_cfg = ours.model.neck.norm_cfg
    return with_model(model, ours)


def retinanet() -> Config:
    """Anchors and focal loss."""
    model = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model
    model.neck.update(start_level=0, add_extra_convs='on_output', norm_cfg=dict(type='GN', num_groups=16))
    model.bbox_head.update(num_classes=1, in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=2)
    model.bbox_head.anchor_generator.update(strides=[4, 8, 16, 32, 64], octave_base_scale=3)
    model.test_cfg.max_per_img = 400
    return boxes_only(with_model(model, base()))


def fcos() -> Config:
    """Points and centerness. Images are resized as on COCO."""
    model = get_config('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py').model
    model.neck.update(start_level=0)
    model.bbox_head.update(
        num_classes=1,
        in_channels=WIDTH,
        feat_channels=WIDTH,
        stacked_convs=2,
        strides=[4, 8, 16, 32, 64],
        regress_ranges=((-1, 32), (32, 64), (64, 128), (128, 256), (256, 100000000)),
        norm_cfg=dict(type='GN', num_groups=16),
    )
    model.test_cfg.max_per_img = 400
    cfg = boxes_only(with_model(model, base()))
    return resized(cfg, dict(type='Resize', scale=(666, 400), keep_ratio=True))


def rtmdet() -> Config:
    """RTMDet's neck and head. Images are padded to a square before they are normalised, as BGR."""
    model = get_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py').model
    preprocessor = model.data_preprocessor
    preprocessor.pop('batch_augments', None)
    model.bbox_head.update(num_classes=1, in_channels=WIDTH, feat_channels=WIDTH)
    for part in (model.neck, model.bbox_head):
        part.norm_cfg = dict(type='BN')
    model.neck.num_csp_blocks = 1
    cfg = boxes_only(with_model(model, base(), slice(1, None)))
    cfg.model.data_preprocessor = preprocessor
    return resized(
        cfg,
        dict(type='Resize', scale=(512, 512), keep_ratio=True),
        dict(type='Pad', size=(512, 512), pad_val=dict(img=(114, 114, 114))),
    )


def resized(cfg: Config, *steps: dict) -> Config:
    """Another resizing in the test pipeline."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    place = next(i for i, step in enumerate(pipeline) if step.type.endswith('Enlarge'))
    pipeline[place : place + 1] = [ConfigDict(step) for step in steps]
    cfg.val_dataloader.dataset.pipeline = pipeline
    return cfg


def mask_rcnn_resnet18() -> Config:
    """Mask R-CNN with a ResNet, for comparison; from scratch."""
    cfg = base()
    cfg.model.backbone = dict(
        type='ResNet', depth=18, out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN'), norm_eval=False, style='pytorch'
    )
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    return cfg


def panoptic_data(folder: Path) -> None:
    """Generates the images of shapes that Panoptic FPN is trained on."""
    make_shapes(folder, num_train=100, num_val=20)
    add_panoptic(folder)


def panoptic_fpn() -> Config:
    """Panoptic FPN on generated shapes: the nuclei have no stuff."""
    ours = base()
    cfg = Config.fromfile(config_file('panoptic_fpn_fishnet150_fpn.py'))
    model = cfg.model
    things, stuff = list(CLASSES), [BACKGROUND]
    counts = dict(num_things_classes=len(things), num_stuff_classes=len(stuff))
    head, ours_head = model.roi_head, ours.model.roi_head
    model.rpn_head = ours.model.rpn_head
    model.rpn_head.anchor_generator.scales = [8]
    head.bbox_roi_extractor, head.mask_roi_extractor = ours_head.bbox_roi_extractor, ours_head.mask_roi_extractor
    head.bbox_head, head.mask_head = ours_head.bbox_head, ours_head.mask_head
    head.bbox_head.num_classes = head.mask_head.num_classes = len(things)
    model.neck.norm_cfg = ours.model.neck.norm_cfg
    model.semantic_head.update(in_channels=WIDTH, inner_channels=WIDTH, **counts)
    model.panoptic_fusion_head.update(counts)
    model.train_cfg.rcnn.sampler.num = 64
    with_model(model, ours)
    model.data_preprocessor.pad_seg = True
    metainfo = dict(classes=things + stuff, thing_classes=things, stuff_classes=stuff)
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=4 if split == 'train' else 1, num_workers=1)
        loader.dataset.update(data_root=f'{SHAPES}/', metainfo=metainfo, ann_file=f'annotations/panoptic_{split}.json')
        loader.dataset.data_prefix = dict(img=f'{split}/', seg=f'annotations/panoptic_{split}/')
        resize = next(step for step in loader.dataset.pipeline if step.type == 'Resize')
        resize.scale = (320, 256)
    cfg.test_dataloader = cfg.val_dataloader
    for key in ('model', 'param_scheduler', 'optim_wrapper', 'custom_hooks', 'train_cfg'):
        cfg[key] = ours[key]
    return cfg


#: Configs by name.
CONFIGS: Dict[str, Callable[[], Config]] = dict(
    mask_rcnn=base,
    faster_rcnn=faster_rcnn,
    cascade_mask_rcnn=cascade_mask_rcnn,
    retinanet=retinanet,
    fcos=fcos,
    rtmdet=rtmdet,
    mask_rcnn_resnet18=mask_rcnn_resnet18,
    panoptic_fpn=panoptic_fpn,
)


def _weights_of_nuclei(without: str) -> dict:
    """The checkpoint of the detector `nuclei`, for a model that lacks a part of it."""
    checkpoint = read_checkpoint(NUCLEI)
    weights = {name: tensor for name, tensor in checkpoint['state_dict'].items() if without not in name}
    meta = dict(dataset_meta=dict(classes=('nucleus',)))
    return dict(state_dict=weights, meta=meta)


#: Checkpoints that need no training.
WEIGHTS: Dict[str, Callable[[], dict]] = dict(
    mask_rcnn=lambda: _weights_of_nuclei('no such part'),
    faster_rcnn=lambda: _weights_of_nuclei('mask_head'),
)
