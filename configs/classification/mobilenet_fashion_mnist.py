_base_ = ['./_base_/mobilenet.py', './_base_/fashion_mnist.py', './_base_/small_images.py']
