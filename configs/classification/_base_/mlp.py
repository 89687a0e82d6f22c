# The MLP that the report compares FishNet with (its Table 4).
model = dict(
    type='Classifier',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[128, 128, 128], std=[64, 64, 64], bgr_to_rgb=True),
    backbone=dict(type='MLP'),
    cls_head=dict(type='LinearHead', num_classes=10),
)
