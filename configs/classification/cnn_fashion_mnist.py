_base_ = ['./_base_/cnn.py', './_base_/fashion_mnist.py', './_base_/small_images.py']

# Without BN the rate of the others is too large.
optim_wrapper = dict(optimizer=dict(lr=0.01))
