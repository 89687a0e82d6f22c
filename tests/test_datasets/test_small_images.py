"""Sets of small images in each of their formats, and what is said of files that are none of them or damaged."""

import gzip
import os
import pickle
import struct
import tracemalloc
import warnings

import cv2
import numpy as np
import pytest

from fishnet_mmdet.datasets.small_image_files import FASHION_MNIST_CLASSES, FIRST_LABELS, read_small_images
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import DATASETS

PIPELINE = [dict(type='PackInputs')]
CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']


def python2_pickle(value):
    """A pickle of protocol 2 as Python 2 with numpy 1 wrote it: str as bytes, arrays by their old module's names."""
    return b'\x80\x02' + _pickled(value) + b'.'


def _pickled(value):
    if isinstance(value, np.ndarray):
        dtype = b'cnumpy\ndtype\n' + _pickled((b'u1', 0, 1)) + b'R' + _pickled((3, b'|', None, None, None, -1, -1, 0)) + b'b'
        state = b'(' + _pickled(1) + _pickled(value.shape) + dtype + b'\x89' + _pickled(value.tobytes()) + b't'
        new = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n' + _pickled((0,)) + _pickled(b'b') + b'tR'
        return new + state + b'b'
    if isinstance(value, dict):
        return b'}(' + b''.join(map(_pickled, (part for item in value.items() for part in item))) + b'u'
    if isinstance(value, list):
        return b'](' + b''.join(map(_pickled, value)) + b'e'
    if isinstance(value, tuple):
        return b'(' + b''.join(map(_pickled, value)) + b't'
    if isinstance(value, bytes):
        return (b'U' + bytes([len(value)]) if len(value) < 256 else b'T' + struct.pack('<i', len(value))) + value
    return b'N' if value is None else b'J' + struct.pack('<i', value)


def rgb_images(number, seed=0):
    """(n, 3, 32, 32): the three colours differ in every pixel."""
    return np.random.RandomState(seed).randint(0, 256, (number, 3, 32, 32)).astype(np.uint8)


def write_cifar10(folder, per_batch=3):
    """Returns the training images, RGB, and their labels."""
    folder.mkdir(parents=True)
    images, labels = [], []
    for number, name in enumerate([*(f'data_batch_{n}' for n in range(1, 6)), 'test_batch']):
        images.append(rgb_images(per_batch, seed=number))
        labels.append([(2 * number + i) % 10 for i in range(per_batch)])
        content = {
            b'batch_label': f'batch {number + 1} of 5'.encode(),
            b'labels': labels[-1],
            b'data': images[-1].reshape(per_batch, 3072),
            b'filenames': [f'{i}.png'.encode() for i in range(per_batch)],
        }
        (folder / name).write_bytes(python2_pickle(content))
    meta = {b'num_cases_per_batch': per_batch, b'label_names': [name.encode() for name in CLASSES], b'num_vis': 3072}
    (folder / 'batches.meta').write_bytes(python2_pickle(meta))
    return images, labels


def write_cifar100(folder, number=4):
    folder.mkdir(parents=True)
    written = {}
    for seed, split in enumerate(('train', 'test')):
        images, labels = rgb_images(number, seed), [99 - seed - i for i in range(number)]
        content = {
            b'filenames': [b'x.png'] * number,
            b'batch_label': b'one',
            b'fine_labels': labels,
            b'coarse_labels': [i % 20 for i in range(number)],
            b'data': images.reshape(number, 3072),
        }
        (folder / split).write_bytes(python2_pickle(content))
        written[split] = images, labels
    names = {b'fine_label_names': [f'fine{i}'.encode() for i in range(100)], b'coarse_label_names': [b'coarse'] * 20}
    (folder / 'meta').write_bytes(python2_pickle(names))
    return written


def write_idx(folder, packed=False, number=5, first_labels=()):
    folder.mkdir(parents=True)
    written = {}
    for prefix in ('train', 't10k'):
        random = np.random.RandomState(len(written))
        images, labels = random.randint(0, 256, (number, 28, 28)).astype(np.uint8), random.randint(0, 10, number)
        labels[: len(first_labels)] = first_labels
        written[prefix] = images, labels
        for name, array in (('images-idx3', images), ('labels-idx1', labels)):
            header = struct.pack(f'>BBBB{array.ndim}I', 0, 0, 8, array.ndim, *array.shape)
            data = header + array.astype(np.uint8).tobytes()
            file = folder / f'{prefix}-{name}-ubyte'
            if packed:
                file.with_name(f'{file.name}.gz').write_bytes(gzip.compress(data))
            else:
                file.write_bytes(data)
    return written


def write_archive(file, number=6, **changes):
    """Images of one colour each, so that JPEG keeps them: the label tells which."""
    content = dict(classes=np.array(['blue', 'green', 'red']))
    for split in ('train', 'test'):
        labels = np.arange(number) % 3
        jpegs = [cv2.imencode('.jpg', np.full((8, 8, 3), 250 * np.eye(3)[label], np.uint8))[1].ravel() for label in labels]
        content[f'{split}_jpeg'] = np.concatenate(jpegs)
        content[f'{split}_offsets'] = np.cumsum([0, *map(len, jpegs)])
        content[f'{split}_labels'] = labels.astype(np.uint8)
    content.update(changes)
    np.savez(file, **{name: array for name, array in content.items() if array is not None})


def assert_bgr(images, rgb):
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, np.stack([rgb[:, 2], rgb[:, 1], rgb[:, 0]], axis=-1))


@pytest.mark.parametrize('inside', ['', 'cifar-10-batches-py'])
def test_cifar10(tmp_path, inside):
    images, labels = write_cifar10(tmp_path / 'set' / inside)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        train, test = (read_small_images(str(tmp_path / 'set'), split) for split in ('train', 'test'))
    assert_bgr(train.images, np.concatenate(images[:5]))
    assert train.labels.tolist() == sum(labels[:5], [])
    assert_bgr(test.images, images[5])
    assert test.labels.tolist() == labels[5] and test.labels.dtype == np.int64
    assert train.classes == test.classes == CLASSES


@pytest.mark.parametrize('inside', ['', 'cifar-100-python'])
def test_cifar100(tmp_path, inside):
    written = write_cifar100(tmp_path / 'set' / inside)
    for split, (images, labels) in written.items():
        found = read_small_images(str(tmp_path / 'set'), split)
        assert_bgr(found.images, images)
        assert found.labels.tolist() == labels
        assert found.classes == [f'fine{i}' for i in range(100)]


def test_cifar_written_by_this_numpy(tmp_path):
    """As someone's subset of it would be: the names of numpy's modules are those of today."""
    write_cifar10(tmp_path / 'set')
    rgb = rgb_images(2, seed=9)
    content = {b'labels': [3, 4], b'data': rgb.reshape(2, 3072)}
    (tmp_path / 'set' / 'test_batch').write_bytes(pickle.dumps(content, 4))
    assert_bgr(read_small_images(str(tmp_path / 'set'), 'test').images, rgb)


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('inside', ['', 'raw'])
def test_idx(tmp_path, packed, inside):
    written = write_idx(tmp_path / 'set' / inside, packed)
    for split, prefix in (('train', 'train'), ('test', 't10k')):
        images, labels = written[prefix]
        found = read_small_images(str(tmp_path / 'set'), split)
        assert found.images.shape == (5, 28, 28, 3)
        for channel in range(3):
            np.testing.assert_array_equal(found.images[..., channel], images)
        assert found.labels.tolist() == labels.tolist()
        assert found.classes == tuple('0123456789')


@pytest.mark.parametrize('number', [10, 25])
@pytest.mark.parametrize(
    'split, first_labels, classes',
    [
        ('train', '5041921314', tuple('0123456789')),
        ('test', '7210414959', tuple('0123456789')),
        ('train', '9003027255', FASHION_MNIST_CLASSES),
        ('test', '9211614657', FASHION_MNIST_CLASSES),
    ],
)
def test_mnist_is_not_fashion_mnist(tmp_path, split, first_labels, classes, number, mmengine_log):
    write_idx(tmp_path / 'set', number=number, first_labels=list(map(int, first_labels)))
    found = read_small_images(str(tmp_path / 'set'), split)
    assert found.classes == classes
    assert 'named by their numbers' not in mmengine_log.text
    # The labels of the other split, or in another order, are not known: nothing is claimed about the data set.
    read_small_images(str(tmp_path / 'set'), dict(train='test', test='train')[split])
    assert 'named by their numbers' in mmengine_log.text


def test_first_labels_are_of_ten_classes_and_differ():
    assert len({labels for _, labels in FIRST_LABELS}) == len(FIRST_LABELS) == 4
    assert all(len(labels) == 10 and len(classes) == len(set(classes)) == 10 for (_, labels), classes in FIRST_LABELS.items())


def test_unknown_labels_are_named_by_number(tmp_path):
    write_idx(tmp_path / 'set', number=12, first_labels=[11])
    config = dict(type='SmallImages', data_root=str(tmp_path / 'set'), split='train', pipeline=PIPELINE)
    assert DATASETS.build(config).metainfo['classes'] == tuple(map(str, range(12)))
    named = DATASETS.build(dict(config, metainfo=dict(classes=tuple('abcdefghijkl')), num_classes=12))
    assert named.metainfo == dict(classes=tuple('abcdefghijkl'))
    text = message(tmp_path / 'set', metainfo=dict(classes=('a', 'b')))
    assert 'has 12 classes (0 ... 11), but metainfo names 2 (a ... b)' in text


def test_archive(tmp_path):
    write_archive(tmp_path / 'set.npz')
    for split in ('train', 'test'):
        found = read_small_images(str(tmp_path / 'set.npz'), split)
        assert found.images.shape == (6, 8, 8, 3)
        # Blue, green, red: the channel of that number is bright, the others are dark.
        for image, label in zip(found.images, found.labels):
            assert (image[..., label] > 200).all() and (np.delete(image, label, axis=2) < 50).all()
        assert found.labels.tolist() == [0, 1, 2] * 2
        assert found.classes == ['blue', 'green', 'red']


def test_dataset(tmp_path):
    write_archive(tmp_path / 'set.npz', number=9)
    config = dict(type='SmallImages', data_root=str(tmp_path / 'set.npz'), split='train', pipeline=PIPELINE, num_classes=3)
    dataset = DATASETS.build(config)
    assert len(dataset) == 9 and dataset.metainfo == dict(classes=('blue', 'green', 'red'))
    item = dataset[4]
    assert item['data_samples'] == 1 and item['inputs'].shape == (3, 8, 8)
    assert item['inputs'][1].min() > 200 and item['inputs'][::2].max() < 50

    for indices, expected in ((5, range(5)), (-2, (7, 8)), ([8, 0, 4], (8, 0, 4))):
        fewer = DATASETS.build(dict(config, indices=indices))
        assert [fewer[i]['data_samples'] for i in range(len(fewer))] == [i % 3 for i in expected]


def test_transforms_cannot_change_the_images_in_memory(tmp_path):
    write_archive(tmp_path / 'set.npz')

    def blacken(sample):
        sample['img'][:] = 0
        return sample

    config = dict(type='SmallImages', data_root=str(tmp_path / 'set.npz'), split='train', pipeline=[blacken])
    dataset = DATASETS.build(config)
    assert dataset[0]['img'].max() == 0
    assert dataset.get_data_info(0)['img'].max() > 200


def test_a_label_without_a_class(tmp_path):
    write_archive(tmp_path / 'set.npz', train_labels=np.array([0, 1, 2, 3, 0, 1]))
    assert 'set.npz has labels from 0 to 3, but 3 classes (blue ... red)' in message(tmp_path / 'set.npz')


def test_remote_files(tmp_path):
    assert 'SmallImages cannot read s3://data/cifar10: copy the files' in message('s3://data/cifar10')


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    write_archive(tmp_path / 'set.npz')
    assert len(read_small_images('~/set.npz', 'test').labels) == 6


class RunsCode:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f'touch {self.trace}',)


@pytest.mark.parametrize('name', ['data_batch_3', 'batches.meta'])
def test_code_in_a_pickle_is_refused(tmp_path, name):
    write_cifar10(tmp_path / 'set')
    trace = tmp_path / 'trace'
    (tmp_path / 'set' / name).write_bytes(pickle.dumps({'data': RunsCode(trace)}, protocol=2))
    with pytest.raises(FishNetError, match=f'{name} contains code .*system.*refused'):
        read_small_images(str(tmp_path / 'set'), 'train')
    assert not trace.exists()
    # Read without the restriction, it would run.
    pickle.loads((tmp_path / 'set' / name).read_bytes())
    assert trace.exists()


@pytest.mark.parametrize('module, name', [('builtins', 'eval'), ('numpy', 'fromfile'), ('numpy.core.multiarray', 'fromfile')])
def test_other_names_in_a_pickle_are_refused(tmp_path, module, name):
    write_cifar100(tmp_path / 'set')
    (tmp_path / 'set' / 'test').write_bytes(b'\x80\x02c' + f'{module}\n{name}\n'.encode() + b'.')
    with pytest.raises(FishNetError, match=f'{module}.{name}.*refused'):
        read_small_images(str(tmp_path / 'set'), 'test')


def test_pickled_objects_in_an_archive_are_refused(tmp_path):
    trace = tmp_path / 'trace'
    write_archive(tmp_path / 'set.npz', classes=np.array([RunsCode(trace)], dtype=object))
    with pytest.raises(FishNetError, match='cannot read .*set.npz'):
        read_small_images(str(tmp_path / 'set.npz'), 'train')
    assert not trace.exists()


def message(root, split='train', **kwargs):
    with pytest.raises(FishNetError) as error:
        DATASETS.build(dict(type='SmallImages', data_root=str(root), split=split, pipeline=PIPELINE, **kwargs))
    return str(error.value)


#: What a message tells of the formats.
EXPECTED = ['data_batch_1', 'cs.toronto.edu', 'train-images-idx3-ubyte', '.npz', 'data_root=FOLDER_OR_FILE']


def test_nothing_there(tmp_path):
    text = message(tmp_path / 'nowhere')
    assert all(word in text for word in [f'no such file or folder: {tmp_path}/nowhere', *EXPECTED])


def test_something_else_there(tmp_path):
    (tmp_path / 'set' / 'images').mkdir(parents=True)
    (tmp_path / 'set' / 'readme.txt').write_text('images')
    for root in (tmp_path / 'set', tmp_path / 'set' / 'images'):
        text = message(root)
        assert all(word in text for word in [str(root), *EXPECTED])
    text = message(tmp_path / 'set' / 'readme.txt')
    assert all(word in text for word in [f'cannot read {tmp_path}/set/readme.txt', *EXPECTED])


def test_other_split():
    assert "'train' or 'test', not 'val'" in message('x', split='val')


def test_missing_files(tmp_path):
    write_cifar10(tmp_path / 'ten')
    for name in ('data_batch_2', 'data_batch_4'):
        (tmp_path / 'ten' / name).unlink()
    assert 'lacks data_batch_2, data_batch_4 of CIFAR' in message(tmp_path / 'ten')
    read_small_images(str(tmp_path / 'ten'), 'test')
    write_cifar100(tmp_path / 'hundred')
    (tmp_path / 'hundred' / 'test').unlink()
    assert 'lacks test of CIFAR' in message(tmp_path / 'hundred', 'test')
    write_idx(tmp_path / 'idx')
    (tmp_path / 'idx' / 'train-images-idx3-ubyte').unlink()
    assert 'lacks train-images-idx3-ubyte, or train-images-idx3-ubyte.gz' in message(tmp_path / 'idx')
    for name in ('train_offsets', 'classes'):
        write_archive(tmp_path / 'set.npz', **{name: None})
        text = message(tmp_path / 'set.npz')
        assert f'lacks {name}' in text and 'test_..., classes' in text


@pytest.mark.parametrize('share', [0, 0.3, 0.99])
def test_cut_off_files(tmp_path, share):
    def cut(file):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])

    write_cifar10(tmp_path / 'ten')
    cut(tmp_path / 'ten' / 'data_batch_5')
    write_cifar100(tmp_path / 'hundred')
    cut(tmp_path / 'hundred' / 'train')
    for packed, end in ((False, ''), (True, '.gz')):
        write_idx(tmp_path / f'idx{end}', packed)
        cut(tmp_path / f'idx{end}' / f'train-images-idx3-ubyte{end}')
    write_archive(tmp_path / 'set.npz')
    cut(tmp_path / 'set.npz')
    for root in ('ten', 'hundred', 'idx', 'idx.gz', 'set.npz'):
        text = message(tmp_path / root)
        assert str(tmp_path / root) in text
        assert 'damaged' in text or 'truncated' in text, text


def test_images_and_labels_of_other_numbers(tmp_path):
    write_cifar10(tmp_path / 'ten')
    content = {b'labels': [1, 2], b'data': rgb_images(3).reshape(3, 3072)}
    (tmp_path / 'ten' / 'data_batch_1').write_bytes(python2_pickle(content))
    text = message(tmp_path / 'ten')
    assert '15 images' in text and '14 labels' in text
    write_idx(tmp_path / 'idx')
    (tmp_path / 'idx' / 'train-labels-idx1-ubyte').write_bytes(struct.pack('>BBBBI', 0, 0, 8, 1, 4) + bytes(4))
    text = message(tmp_path / 'idx')
    assert '5 images' in text and '4 labels' in text
    write_archive(tmp_path / 'set.npz', train_labels=np.zeros(4, np.uint8))
    text = message(tmp_path / 'set.npz')
    assert '6 images' in text and '4 labels' in text


def test_idx_of_other_numbers_than_bytes(tmp_path):
    write_idx(tmp_path / 'idx')
    (tmp_path / 'idx' / 'train-labels-idx1-ubyte').write_bytes(struct.pack('>BBBBI', 0, 0, 13, 1, 5) + bytes(5))
    assert 'not an idx file of bytes' in message(tmp_path / 'idx')


def test_images_that_cannot_be_decoded(tmp_path):
    write_archive(tmp_path / 'whole.npz')
    offsets = np.load(tmp_path / 'whole.npz')['train_offsets']
    jpeg = np.load(tmp_path / 'whole.npz')['train_jpeg'].copy()
    jpeg[offsets[2] : offsets[4]] = 7
    write_archive(tmp_path / 'set.npz', train_jpeg=jpeg)
    assert '2 of its 6 images (train) cannot be decoded' in message(tmp_path / 'set.npz')


@pytest.mark.parametrize('wanted', [10, 100])
def test_wrong_number_of_classes(tmp_path, wanted):
    write_archive(tmp_path / 'set.npz')
    text = message(tmp_path / 'set.npz', num_classes=wanted)
    assert f'3 classes (blue ... red), but the config has num_classes={wanted}' in text and str(tmp_path / 'set.npz') in text


def test_numpy_is_not_called_with_arguments_from_a_pickle(tmp_path):
    """ndarray(shape, 'O', bytes) makes objects of the bytes as pointers: the process would crash."""
    write_cifar10(tmp_path / 'set')
    attack = b'\x80\x02}q\x00U\x04datacnumpy\nndarray\n(K\x01\x85U\x01OU\x08AAAAAAAAtRs.'
    (tmp_path / 'set' / 'data_batch_1').write_bytes(attack)
    with pytest.raises(FishNetError, match='cannot read .*set'):
        read_small_images(str(tmp_path / 'set'), 'train')


@pytest.mark.parametrize('claimed', [28, 2**31])
def test_a_gzip_bomb(tmp_path, claimed):
    """64 MB of zeros in 64 kB: no more of it is read than the header says, nor more than small images take."""
    write_idx(tmp_path / 'set', packed=True)
    header = struct.pack('>BBBB3I', 0, 0, 8, 3, 5, 28, claimed)
    (tmp_path / 'set/train-images-idx3-ubyte.gz').write_bytes(gzip.compress(header + bytes(2**26)))
    tracemalloc.start()
    problem = message(tmp_path / 'set')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ('claims 300,647,710,720 bytes' if claimed > 28 else 'is not an idx file of bytes, or is truncated') in problem
    assert peak < 8e6


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(train_labels=np.array([0, 1, np.nan, 0, 1, 2])), 'labels that are no whole numbers'),
        (dict(train_labels=np.array([0, 1, 0.5, 0, 1, 2])), 'labels that are no whole numbers'),
        (dict(train_labels=np.array(list('abcabc'))), 'labels that are no whole numbers'),
        (dict(train_offsets=np.array([0, 5, 3])), 'train_offsets do not increase'),
        (dict(train_offsets=np.array([0, 10**9])), 'train_offsets do not increase'),
        (dict(train_jpeg=np.zeros(10**4, np.uint8)), 'cannot be decoded'),
    ],
)
def test_damaged_archives(tmp_path, changes, words):
    write_archive(tmp_path / 'set.npz', **changes)
    assert words in message(tmp_path / 'set.npz')
