_base_ = ['./_base_/fishnet55.py', './_base_/fashion_mnist.py', './_base_/small_images.py']

# Images of 28x28.
model = dict(cls_head=dict(dense_size=(7, 7)))
