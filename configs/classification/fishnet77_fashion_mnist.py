_base_ = ['./_base_/fishnet77.py', './_base_/fashion_mnist.py', './_base_/small_images.py']
