_base_ = ['./_base_/fishnet77.py', './_base_/cifar100.py', './_base_/small_images.py']

model = dict(cls_head=dict(num_classes=100))
