# Fashion-MNIST in its idx files, gzipped or not.
_base_ = './cifar10.py'
data_root = 'data/fashion_mnist'
dataset = dict(data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
