_base_ = ['./_base_/mlp.py', './_base_/cifar10.py', './_base_/small_images.py']

# Without BN the rate of the others is too large.
optim_wrapper = dict(optimizer=dict(lr=0.01))
