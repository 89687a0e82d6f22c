"""The files of CIFAR-10, CIFAR-100, MNIST and Fashion-MNIST, and archives of JPEGs.

Files are data: reading them runs no code. Of CIFAR's pickles only arrays and plain containers are read.
"""

import gzip
import math
import pickle
from pathlib import Path
from typing import BinaryIO, Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np
from mmengine.logging import print_log

from ..errors import FishNetError
from .reading import decode

DIGITS = tuple('0123456789')
FASHION_MNIST_CLASSES = (
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
)
#: The files of MNIST and Fashion-MNIST have the same names and shapes. Their first labels differ.
FIRST_LABELS = {
    ('train', (5, 0, 4, 1, 9, 2, 1, 3, 1, 4)): DIGITS,
    ('t10k', (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)): DIGITS,
    ('train', (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)): FASHION_MNIST_CLASSES,
    ('t10k', (9, 2, 1, 1, 6, 1, 4, 6, 5, 7)): FASHION_MNIST_CLASSES,
}
#: Bytes that a split may unpack to: 40 times CIFAR's 154 MB.
MOST_BYTES = 6 * 2**30
EXPECTED = """A data set of small images is one of
    CIFAR-10 for Python:  data_batch_1 ... data_batch_5, test_batch, batches.meta
    CIFAR-100 for Python: train, test, meta
    (both from https://www.cs.toronto.edu/~kriz/cifar.html, unpacked, in this folder or in one folder inside it)
    Fashion-MNIST, MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each with or without .gz
    (from https://github.com/zalandoresearch/fashion-mnist)
    a .npz file with train_jpeg, train_offsets, train_labels, test_..., classes
If it is elsewhere: --cfg-options data_root=FOLDER_OR_FILE"""


class Images(NamedTuple):
    """The images of one split."""

    images: np.ndarray
    """(n, h, w, 3) uint8, BGR as in mmcv."""
    labels: np.ndarray
    """(n,) int64."""
    classes: Sequence[str]


def read_small_images(data_root: str, split: str) -> Images:
    """Reads the images of a split, 'train' or 'test'. The format is recognised from the names of the files.

    Raises:
        FishNetError: If ``data_root`` has none of the formats, or is damaged.
    """
    root = Path(data_root).expanduser()
    if not root.exists():
        raise FishNetError(f'no such file or folder: {root}\n{EXPECTED}')
    try:
        if root.is_file():
            return _read_archive(root, split)
        for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
            if (folder / 'batches.meta').is_file():
                names = [f'data_batch_{n}' for n in range(1, 6)] if split == 'train' else ['test_batch']
                return _read_cifar(folder, names, 'batches.meta', b'labels', b'label_names')
            if (folder / 'meta').is_file() and (folder / 'train').is_file():
                return _read_cifar(folder, [split], 'meta', b'fine_labels', b'fine_label_names')
            if any(folder.glob('*-labels-idx1-ubyte*')):
                return _read_idx(folder, 'train' if split == 'train' else 't10k')
    except FishNetError:
        raise
    except Exception as error:  # damaged files can raise errors of any type
        raise FishNetError(
            f'cannot read {root} ({type(error).__name__}: {error}): it is damaged, or has another format.\n{EXPECTED}'
        ) from error
    raise FishNetError(f'{root} has no data set of small images.\n{EXPECTED}')


class _Dtype:
    """Stands in for a numpy dtype in a pickle: CIFAR's arrays are bytes."""

    def __init__(self, name: Union[str, bytes], *_: object) -> None:
        if name not in ('u1', b'u1'):
            raise FishNetError(f"an array of {name!r} is in the pickle, and CIFAR's arrays are bytes")

    def __setstate__(self, state: tuple) -> None:
        """Byte order and fields, which bytes do not have."""


class _Array:
    """Stands in for a numpy array in a pickle. numpy's own code is not called with arguments from a file."""

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple) -> None:
        """Takes what ``ndarray.__reduce__`` saved: version, shape, dtype, order, bytes."""
        _, shape, dtype, fortran, data = state
        if not (isinstance(dtype, _Dtype) and isinstance(data, bytes)):
            raise FishNetError("an array in the pickle has no bytes, as CIFAR's have")
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order='F' if fortran else 'C')


#: All names in CIFAR's pickles, also in pickles that numpy 2 wrote, and what stands in for them. None cannot be called.
ARRAY_PARTS = {
    ('numpy.core.multiarray', '_reconstruct'): _Array,
    ('numpy._core.multiarray', '_reconstruct'): _Array,
    ('numpy', 'ndarray'): None,
    ('numpy', 'dtype'): _Dtype,
}


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of arrays and plain containers. Other names in a pickle are code to run, and are refused."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding='bytes')
        self.file = stream.name

    def find_class(self, module: str, name: str) -> Optional[type]:
        """What stands in for an object that a name in the pickle refers to."""
        if (module, name) not in ARRAY_PARTS:
            raise FishNetError(f"{self.file} contains code ({module}.{name}) that CIFAR's files do not have: refused")
        return ARRAY_PARTS[module, name]


def _unpickle(file: Path) -> Dict[bytes, object]:
    with file.open('rb') as stream:
        content = _ArraysOnly(stream).load()
    if not isinstance(content, dict):
        raise FishNetError(f'{file} holds a {type(content).__name__}, and not the dict of a CIFAR file')
    return content


def _read_cifar(folder: Path, names: List[str], meta: str, label_key: bytes, classes_key: bytes) -> Images:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FishNetError(f'{folder} lacks {", ".join(missing)} of CIFAR: unpack the archive again')
    batches = [_unpickle(folder / name) for name in names]
    rgb = np.concatenate([batch[b'data'].values for batch in batches]).reshape(-1, 3, 32, 32)
    labels = whole_labels(folder, np.concatenate([batch[label_key] for batch in batches]))
    if len(rgb) != len(labels):
        raise FishNetError(
            f'{folder} has {len(rgb)} images and {len(labels)} labels ({", ".join(names)}): unpack the archive again'
        )
    classes = [name.decode() for name in _unpickle(folder / meta)[classes_key]]
    return Images(np.ascontiguousarray(rgb[:, ::-1].transpose(0, 2, 3, 1)), labels, classes)


def _read_idx(folder: Path, prefix: str) -> Images:
    images, labels = (_read_idx_array(folder, f'{prefix}-{kind}-ubyte') for kind in ('images-idx3', 'labels-idx1'))
    if len(images) != len(labels):
        raise FishNetError(f'{folder} has {len(images)} images and {len(labels)} labels ({prefix}): download both files again')
    classes = _idx_classes(folder, prefix, labels)
    return Images(np.repeat(images[..., None], 3, axis=3), labels.astype(np.int64), classes)


def _idx_classes(folder: Path, prefix: str, labels: np.ndarray) -> Sequence[str]:
    """The class names. The files do not have them, so they are known for MNIST and Fashion-MNIST only."""
    known = FIRST_LABELS.get((prefix, tuple(labels[:10].tolist())))
    if known is None:
        print_log(
            f'The labels in {folder} are not in the order of MNIST or Fashion-MNIST, so the classes are named by their '
            f'numbers: set metainfo=dict(classes=(...)) in the data set to name them',
            logger='current',
        )
        # All data sets of this family have ten classes. A split may lack some of them.
        return tuple(map(str, range(max(10, labels.max(initial=0) + 1))))
    return known


def _read_idx_array(folder: Path, name: str) -> np.ndarray:
    file = next((folder / (name + end) for end in ('', '.gz') if (folder / (name + end)).is_file()), None)
    if file is None:
        raise FishNetError(f'{folder} lacks {name}, or {name}.gz')
    with file.open('rb') as raw:
        packed = raw.read(2) == b'\x1f\x8b'
    with gzip.open(file) if packed else file.open('rb') as stream:
        # Two zeros, the type (8: unsigned bytes), the number of dimensions, and each dimension as a big-endian integer.
        head = stream.read(4)
        dimensions = head[3] if head[:3] == b'\0\0\x08' else 0
        shape = [int(size) for size in np.frombuffer(stream.read(4 * dimensions), '>u4')]
        size = math.prod(shape)
        if size > MOST_BYTES:
            raise FishNetError(f'{file} claims {size:,} bytes, more than {MOST_BYTES:,}: it is damaged; download it again')
        # One byte more than expected: a gzip file can unpack to a thousand times its size.
        data = stream.read(size + 1)
    if not 1 <= len(shape) == dimensions or len(data) != size:
        raise FishNetError(f'{file} is not an idx file of bytes, or is truncated: download it again')
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_archive(file: Path, split: str) -> Images:
    with np.load(file, allow_pickle=False) as archive:
        names = [f'{split}_jpeg', f'{split}_offsets', f'{split}_labels', 'classes']
        missing = [name for name in names if name not in archive]
        if missing:
            raise FishNetError(f'{file} lacks {", ".join(missing)}.\n{EXPECTED}')
        size = sum(archive.zip.getinfo(f'{name}.npy').file_size for name in names)
        if size > MOST_BYTES:
            raise FishNetError(
                f'{file} unpacks to {size:,} bytes, more than {MOST_BYTES:,}: it is damaged, or no small images'
            )
        jpeg, offsets, labels, classes = (archive[name] for name in names)
    if len(offsets) < 1 or np.any(np.diff(offsets) <= 0) or offsets[0] < 0 or offsets[-1] > len(jpeg):
        raise FishNetError(f'{file} is damaged: {split}_offsets do not increase from 0 to the end of {split}_jpeg')
    images = [decode(jpeg[start:end].tobytes()) for start, end in zip(offsets[:-1], offsets[1:])]
    broken = sum(image is None for image in images)
    if broken or len(images) != len(labels):
        raise FishNetError(
            f'{file} is damaged: {broken} of its {len(images)} images ({split}) cannot be decoded, '
            f'and it has {len(labels)} labels'
        )
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise FishNetError(f'{file} has images of different sizes ({split}): {sorted(shapes)[:3]}; make them equal')
    return Images(np.stack(images), whole_labels(file, labels), [str(name) for name in classes])


def whole_labels(source: Path, labels: np.ndarray) -> np.ndarray:
    """Labels as int64.

    Raises:
        FishNetError: If one is not a whole number.
    """
    if labels.dtype.kind not in 'iufb' or (labels.dtype.kind == 'f' and not np.array_equal(labels, np.floor(labels))):
        raise FishNetError(f'{source} has labels that are no whole numbers (NaN, fractions or texts): correct them')
    return labels.astype(np.int64)
