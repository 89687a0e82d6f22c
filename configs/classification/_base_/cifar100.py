# CIFAR-100 in its files for Python.
_base_ = './cifar10.py'
data_root = 'data/cifar100'
dataset = dict(data_root=data_root, num_classes=100)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
