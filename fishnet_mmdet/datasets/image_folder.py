"""Images in one folder per class, as ImageNet comes, with an index on disk so that only the first start lists the files."""

import hashlib
import logging
import os
import uuid
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import barrier, is_distributed
from mmengine.logging import print_log
from torch.utils.data import Dataset
from tqdm import tqdm

from ..errors import FishNetError
from ..registry import DATASETS, TRANSFORMS

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
INDEX_NAME = '.fishnet_index.npz'
LAYOUT = """Expected is a folder for each class:
    {folder}/CLASS/IMAGE.JPEG      for example n01440764/n01440764_10026.JPEG
If the data lies elsewhere: --cfg-options data_root=DIR."""
FLAT = """{folder} holds {count} images and no folders of classes, as ImageNet's validation archive unpacks: move every image \
into the folder of its class, {folder}/n01440764/ and so on. Which class that is, says LOC_val_solution.csv of the release at \
kaggle.com/c/imagenet-object-localization-challenge, or ILSVRC2012_validation_ground_truth.txt of the development kit."""
ARCHIVES = """{folder} holds {count} archives and no folders of classes, as ImageNet's training archive unpacks: unpack each \
into a folder of its name, for example
    cd {folder} && for t in *.tar; do mkdir "${{t%.tar}}" && tar -xf "$t" -C "${{t%.tar}}" && rm "$t"; done"""


class Index(NamedTuple):
    """What is known of a folder without listing its images again; names are bytes, as the file system has them."""

    classes: np.ndarray  # (C,) names of the class folders, sorted
    mtimes: np.ndarray  # (C,) int64, their times of modification in nanoseconds
    counts: np.ndarray  # (C,) int64, their numbers of images
    names: np.ndarray  # (N,) names of the image files, class by class and sorted


@DATASETS.register_module()
class ImageFolder(Dataset):
    """Images by class folder: ``DATA_ROOT/train/CLASS/*.JPEG``. The labels number the folders' names in sorted order.

    The first start lists all files and writes an index: into the folder of images, or where that is read-only into the
    user's cache. Later starts take it as long as the class folders' names and times of modification are those of then. In a
    distributed run one process a node lists, the others wait. The names lie in one array, which worker processes share.

    Args:
        data_root (str): Folder of the data set.
        data_prefix (dict): ``img``: where in it the class folders lie.
        pipeline (Sequence[dict]): Configs of the transforms; they get ``img_path`` and ``gt_label``.
        num_classes (int, optional): How many class folders there must be.
        same_classes_as (str, optional): Another folder in ``data_root``, whose class folders must be the same if it is there:
            were one missing, all labels after it would mean other classes than in training.
        index_dir (str, optional): Where the index is kept instead.

    Raises:
        FishNetError: If the folder is not laid out like that; the message says what is there instead. On reading an image:
            if its file cannot be decoded.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: Dict[str, str] = dict(img='train/'),
        pipeline: Sequence[dict] = (),
        num_classes: Optional[int] = None,
        same_classes_as: Optional[str] = None,
        index_dir: Optional[str] = None,
    ) -> None:
        root = Path(data_root).expanduser()
        self.folder = root / data_prefix['img']
        places = [Path(index_dir).expanduser() / _name_of(self.folder)] if index_dir else _usual_places(self.folder)
        first = not is_distributed() or os.environ.get('LOCAL_RANK', '0') == '0'
        if not first:
            barrier()
        try:
            index = _read_or_list(self.folder, places)
        finally:
            # Also if something is wrong, which the others then meet themselves.
            if first:
                barrier()
        self._names = index.names
        self._ends = np.cumsum(index.counts)
        classes = tuple(os.fsdecode(name) for name in index.classes.tolist())
        self.metainfo = dict(classes=classes)
        if num_classes is not None and len(classes) != num_classes:
            raise FishNetError(
                f'{self.folder} has {len(classes)} folders of classes ({classes[0]} ... {classes[-1]}), the config says '
                f'num_classes={num_classes}: a class is missing or too many, or num_classes of data and model are to be set'
            )
        if same_classes_as is not None and (root / same_classes_as).is_dir():
            _check_same(self.folder, classes, root / same_classes_as)
        self.pipeline = Compose([TRANSFORMS.build(transform) for transform in pipeline])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> dict:
        """What the pipeline makes of an image.

        Raises:
            FishNetError: If the image cannot be decoded.
        """
        index = range(len(self))[index]
        label = int(np.searchsorted(self._ends, index, side='right'))
        path = f'{self.folder}/{self.metainfo["classes"][label]}/{os.fsdecode(self._names[index])}'
        try:
            return self.pipeline(dict(img_path=path, gt_label=label))
        except Exception as error:
            if cv2.imread(path) is None:
                raise FishNetError(f'the image {path} cannot be read: replace it or delete it') from error
            raise


def _usual_places(folder: Path) -> List[Path]:
    """Where the index of a folder may lie, the best place first."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return [folder / INDEX_NAME, cache / 'fishnet_mmdet' / _name_of(folder)]


def _name_of(folder: Path) -> str:
    """The name of a folder's index among others."""
    folder = folder.resolve()
    return f'{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.npz'


def _class_folders(folder: Path) -> Dict[bytes, int]:
    """The names of the class folders, sorted, with their times of modification in nanoseconds.

    Raises:
        FishNetError: If there are none.
    """
    if not folder.is_dir():
        raise FishNetError(f'there is no folder of images {folder}\n{LAYOUT.format(folder=folder)}')
    found, files = {}, []
    with os.scandir(os.fsencode(folder)) as entries:
        for entry in entries:
            if entry.name.startswith(b'.'):
                continue
            if entry.is_dir():
                found[entry.name] = entry.stat().st_mtime_ns
            else:
                files.append(os.fsdecode(entry.name).lower())
    if found:
        return dict(sorted(found.items()))
    for text, suffixes in ((FLAT, IMAGE_SUFFIXES), (ARCHIVES, ('.tar',))):
        count = sum(name.endswith(suffixes) for name in files)
        if count:
            raise FishNetError(text.format(folder=folder, count=count))
    raise FishNetError(f'the folder {folder} holds no folders of classes\n{LAYOUT.format(folder=folder)}')


def _read_or_list(folder: Path, places: Sequence[Path]) -> Index:
    """The index of a folder: the first up-to-date one of some places, else a new one, written to the first that takes it."""
    found = _class_folders(folder)
    for place in places:
        index = _read(place)
        if index is not None and dict(zip(index.classes.tolist(), index.mtimes.tolist())) == found:
            return index
    index = _list(folder, found)
    for place in places:
        try:
            _write(place, index)
            return index
        except OSError as error:
            problem = error
    if places:
        message = f'The index of {folder} cannot be written, so that every start lists all files ({problem}): set index_dir'
        print_log(message, logger='current', level=logging.WARNING)
    return index


def _read(file: Path) -> Optional[Index]:
    """An index, or None where no whole one can be read."""
    try:
        with np.load(file, allow_pickle=False) as content:
            index = Index(**content)
        whole = len(index.classes) == len(index.counts) and len(index.names) == index.counts.sum()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        return None
    return index if whole else None


def _write(file: Path, index: Index) -> None:
    """Writes an index so that others see all of it or nothing.

    Raises:
        OSError: If it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # Of its own on every machine, as the folder may be shared; and its name must end with .npz, or numpy appends it.
    scratch = file.with_name(f'.{uuid.uuid4().hex}.npz')
    try:
        np.savez(scratch, **index._asdict())
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def _list(folder: Path, found: Dict[bytes, int]) -> Index:
    """Lists the images of all classes.

    Raises:
        FishNetError: If a class has none.
    """
    suffixes = tuple(suffix.encode() for suffix in IMAGE_SUFFIXES)
    names = []
    for name in tqdm(found, desc=f'Listing {folder}', unit='class', delay=2, disable=None):
        files = os.listdir(os.path.join(os.fsencode(folder), name))
        # An array of each class at once: a million bytes objects would take several times the memory.
        names.append(np.array(sorted(file for file in files if file.lower().endswith(suffixes)), dtype=bytes))
    empty = [os.fsdecode(name) for name, files in zip(found, names) if not len(files)]
    if empty:
        more = ' ...' if len(empty) > 5 else ''
        raise FishNetError(
            f'{len(empty)} of the {len(found)} folders of classes in {folder} hold no images: {", ".join(empty[:5])}{more}\n'
            f'{LAYOUT.format(folder=folder)}'
        )
    return Index(
        classes=np.array(list(found), dtype=bytes),
        mtimes=np.array(list(found.values()), dtype=np.int64),
        counts=np.array([len(files) for files in names], dtype=np.int64),
        names=np.concatenate(names),
    )


def _check_same(folder: Path, classes: Sequence[str], other: Path) -> None:
    """Checks that another folder has the same classes.

    Raises:
        FishNetError: If not.
    """
    others = {os.fsdecode(name) for name in _class_folders(other)}
    for one, names in ((folder, sorted(set(classes) - others)), (other, sorted(others - set(classes)))):
        if names:
            more = ' ...' if len(names) > 5 else ''
            raise FishNetError(
                f'{folder} and {other} must hold folders of the same classes; only in {one}: {", ".join(names[:5])}{more}'
            )
