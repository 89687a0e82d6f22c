# Mask R-CNN with FPN under the paper's schedule, on images of cell nuclei: many small objects of one class.
_base_ = '../../_base_/mask_rcnn_fpn.py'

classes = ('nucleus',)
data_root = 'demo/nuclei/'
# Of the shorter side of an image, at least. Most images have 256 pixels, with nuclei of 15: the double size gives them finer
# masks. Large images keep their size, or their nuclei would vanish.
size = 512
crop = (256, 256)
# A quarter of FPN's 256: for one class of simple shapes, neck and heads need not cost more than the backbone.
width = 64

model = dict(
    neck=dict(out_channels=width),
    rpn_head=dict(in_channels=width, feat_channels=width, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width),
        bbox_head=dict(in_channels=width, fc_out_channels=4 * width, num_classes=len(classes)),
        mask_roi_extractor=dict(out_channels=width),
        mask_head=dict(in_channels=width, conv_out_channels=width, num_classes=len(classes)),
    ),
    train_cfg=dict(
        # Nuclei at the border of the image are objects too.
        rpn=dict(allowed_border=-1),
        rpn_proposal=dict(nms_pre=500, max_per_img=500),
        rcnn=dict(sampler=dict(num=128)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, max_per_img=1000),
        # Nuclei do not overlap: a threshold below 0.5 removes second boxes. Images have up to 375 nuclei.
        rcnn=dict(nms=dict(iou_threshold=0.4), max_per_img=400),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='fishnet_mmdet.Enlarge', shorter=size, ratio_range=(0.75, 1.25)),
    dict(type='RandomCrop', crop_size=crop, recompute_bbox=True, allow_negative_crop=True),
    # A crop can cut a nucleus off its box's rest: no empty boxes.
    dict(type='FilterAnnotations', min_gt_bbox_wh=(2, 2), keep_empty=False),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='fishnet_mmdet.Enlarge', shorter=size),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
metainfo = dict(classes=classes)
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        filter_cfg=dict(min_size=1),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator
default_hooks = dict(visualization=dict(score_thr=0.5))
