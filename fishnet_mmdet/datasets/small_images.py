"""Sets of small images that fit into memory: CIFAR, Fashion-MNIST, and archives of JPEGs."""

import gzip
import pickle
from pathlib import Path
from typing import BinaryIO, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

import cv2
import numpy as np
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from ..errors import FishNetError
from ..registry import DATASETS, TRANSFORMS

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
EXPECTED = """a set of small images is one of
    CIFAR-10 for Python:  data_batch_1 ... data_batch_5, test_batch, batches.meta
    CIFAR-100 for Python: train, test, meta
    (both from https://www.cs.toronto.edu/~kriz/cifar.html, unpacked, in this folder or in one inside it)
    Fashion-MNIST, MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each with or without .gz
    (from https://github.com/zalandoresearch/fashion-mnist)
    a .npz file with train_jpeg, train_offsets, train_labels, test_..., classes
If it lies elsewhere: --cfg-options data_root=FOLDER_OR_FILE"""
#: Everything that the pickles of CIFAR name, also where they were written anew with numpy 2.
ARRAY_PARTS = {
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
}


class Images(NamedTuple):
    """What a reader returns."""

    images: np.ndarray
    """(n, h, w, 3) uint8, BGR as mmcv has it."""
    labels: np.ndarray
    """(n,) int64."""
    classes: Sequence[str]


@DATASETS.register_module()
class SmallImages(Dataset):
    """Small images in memory, from the files of CIFAR-10, CIFAR-100, (Fashion-)MNIST, or an archive of JPEGs.

    What lies at ``data_root`` is recognised by looking. Nothing in it is run: of CIFAR's pickles only arrays are read.

    Args:
        data_root (str): The folder, or the archive.
        split (str): 'train' or 'test'.
        pipeline (Sequence[dict | Callable]): Transforms of a dict with ``img`` (h, w, 3) and ``gt_label``.
        num_classes (int, optional): How many classes there must be.
        indices (int, optional): Takes so many images only, spread evenly over the set.

    Raises:
        FishNetError: If the files are none of these, are damaged, or have another number of classes.
    """

    def __init__(
        self,
        data_root: str,
        split: str,
        pipeline: Sequence[Union[dict, Callable]],
        num_classes: Optional[int] = None,
        indices: Optional[int] = None,
    ) -> None:
        if split not in ('train', 'test'):
            raise FishNetError(f"split must be 'train' or 'test', not {split!r}")
        self.images, self.labels, classes = read_small_images(data_root, split)
        if num_classes not in (None, len(classes)):
            raise FishNetError(
                f'{data_root} has {len(classes)} classes, and the config expects {num_classes}: it is for another set'
            )
        if indices is not None:
            chosen = np.linspace(0, len(self.labels) - 1, indices).astype(int)
            self.images, self.labels = self.images[chosen], self.labels[chosen]
        self.metainfo = dict(classes=tuple(classes))
        self.pipeline = Compose([TRANSFORMS.build(one) if isinstance(one, dict) else one for one in pipeline])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return self.pipeline(dict(img=self.images[index], gt_label=int(self.labels[index])))


def read_small_images(data_root: str, split: str) -> Images:
    """Reads the images of a split, 'train' or 'test'.

    Raises:
        FishNetError: If what lies at ``data_root`` is no set of small images, or is damaged.
    """
    root = Path(data_root).expanduser()
    if not root.exists():
        raise FishNetError(f'the data is not there: {root}\n{EXPECTED}')
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
    except Exception as error:  # whatever bytes of another kind can lead the readers to
        raise FishNetError(
            f'{root} cannot be read ({type(error).__name__}: {error}): it is damaged, or no such set.\n{EXPECTED}'
        ) from error
    raise FishNetError(f'{root} holds no set of small images that is known: {EXPECTED}')


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of arrays and plain containers; whatever else a pickle names would be code, and is refused."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding='bytes')
        self.file = stream.name

    def find_class(self, module: str, name: str) -> Callable:
        """What a name in the pickle stands for."""
        if (module, name) not in ARRAY_PARTS:
            raise FishNetError(
                f'{self.file} names code that reading would run ({module}.{name}), which CIFAR has not: refused'
            )
        # The function lies elsewhere in each numpy; any array tells where.
        return np.empty(0).__reduce__()[0] if name == '_reconstruct' else super().find_class(module, name)


def _unpickle(file: Path) -> Dict[bytes, object]:
    with file.open('rb') as stream:
        return _ArraysOnly(stream).load()


def _read_cifar(folder: Path, names: List[str], meta: str, label_key: bytes, classes_key: bytes) -> Images:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FishNetError(f'{folder} lacks {", ".join(missing)} of CIFAR: unpack it again')
    batches = [_unpickle(folder / name) for name in names]
    rgb = np.concatenate([batch[b'data'] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch[label_key] for batch in batches]).astype(np.int64)
    if len(rgb) != len(labels):
        raise FishNetError(f'{folder} has {len(rgb)} images and {len(labels)} labels ({", ".join(names)}): unpack it again')
    classes = [name.decode() for name in _unpickle(folder / meta)[classes_key]]
    return Images(np.ascontiguousarray(rgb[:, ::-1].transpose(0, 2, 3, 1)), labels, classes)


def _read_idx(folder: Path, prefix: str) -> Images:
    images, labels = (_read_idx_array(folder, f'{prefix}-{what}-ubyte') for what in ('images-idx3', 'labels-idx1'))
    if len(images) != len(labels):
        raise FishNetError(f'{folder} has {len(images)} images and {len(labels)} labels ({prefix}): download both again')
    return Images(np.repeat(images[..., None], 3, axis=3), labels.astype(np.int64), FASHION_MNIST_CLASSES)


def _read_idx_array(folder: Path, name: str) -> np.ndarray:
    file = next((folder / (name + end) for end in ('', '.gz') if (folder / (name + end)).is_file()), None)
    if file is None:
        raise FishNetError(f'{folder} lacks {name}, or {name}.gz')
    data = file.read_bytes()
    if data[:2] == b'\x1f\x8b':
        data = gzip.decompress(data)
    # Two zeros, the type (8: unsigned bytes), the number of dimensions, and each dimension as a big-endian integer.
    dimensions = data[3]
    shape = np.frombuffer(data, '>i4', dimensions, offset=4)
    array = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if data[:3] != b'\0\0\x08' or array.size != shape.prod():
        raise FishNetError(f'{file} is no idx file of bytes, or was cut off: download it again')
    return array.reshape(shape)


def _read_archive(file: Path, split: str) -> Images:
    with np.load(file, allow_pickle=False) as archive:
        names = [f'{split}_jpeg', f'{split}_offsets', f'{split}_labels', 'classes']
        missing = [name for name in names if name not in archive]
        if missing:
            raise FishNetError(f'{file} lacks {", ".join(missing)}: {EXPECTED}')
        jpeg, offsets, labels, classes = (archive[name] for name in names)
    images = [cv2.imdecode(jpeg[start:end], cv2.IMREAD_COLOR) for start, end in zip(offsets[:-1], offsets[1:])]
    broken = [index for index, image in enumerate(images) if image is None]
    if broken or len(images) != len(labels):
        raise FishNetError(
            f'{file} is damaged: {len(broken)} of its {len(images)} images ({split}) cannot be decoded, '
            f'and there are {len(labels)} labels'
        )
    return Images(np.stack(images), labels.astype(np.int64), [str(name) for name in classes])
