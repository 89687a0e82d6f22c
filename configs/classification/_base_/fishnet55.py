# FishNet-55 of the report, for images of 32x32: its classification head is a dense layer on the flattened last feature.
model = dict(
    type='Classifier',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[128, 128, 128], std=[64, 64, 64], bgr_to_rgb=True),
    backbone=dict(
        type='FishNet',
        depth=55,
        out_indices=(2,),
        frozen_stages=-1,
        norm_cfg=dict(type='BN'),
        norm_eval=False,
    ),
    cls_head=dict(type='ClassificationHead', num_classes=10, dense_size=(8, 8)),
)
