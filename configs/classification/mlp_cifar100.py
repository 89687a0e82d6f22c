_base_ = ['./_base_/mlp.py', './_base_/cifar100.py', './_base_/small_images.py']

model = dict(cls_head=dict(num_classes=100))
# Without BN the rate of the others is too large.
optim_wrapper = dict(optimizer=dict(lr=0.01))
