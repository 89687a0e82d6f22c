"""Images in one folder per class, the layout of ImageNet."""

import os
from pathlib import Path
from typing import Dict, Optional, Sequence

import cv2
import numpy as np
from mmengine.dist import barrier, is_distributed

from ..errors import FishNetError
from ..registry import DATASETS
from .classification import ClassificationDataset, SampleTable
from .folder_index import Index, class_folders, folder_index


@DATASETS.register_module()
class ImageFolder(ClassificationDataset):
    """Images in class folders: ``DATA_ROOT/train/CLASS/*.JPEG``. Labels are the positions of the sorted folder names.

    The first start lists all files and saves an index, in the folder itself or, if that is read-only, in the user's cache.
    Later starts read the index while the names and modification times of the class folders are the same. In a distributed
    run one process per machine lists the files, and the others wait for it.

    The data set reads local files. For remote storage, mount it or copy the files.

    Args:
        data_root (str | Path): Folder of the data set.
        data_prefix (dict): ``img``: the folder in ``data_root`` that has the class folders.
        same_classes_as (str, optional): Another folder in ``data_root``. If it exists, it must have the same class folders:
            with one class missing, all later labels would mean other classes than in training.
        index_dir (str, optional): Another folder for the index.
        serialize_data (bool): Whether to pickle every sample. It is off, because the names are stored as one array.
        **kwargs: Other arguments of :class:`ClassificationDataset`. Classes in ``metainfo`` replace the folder names.

    Raises:
        FishNetError: If the folder has another layout; the message says what was found instead. While reading an image: if
            its file cannot be decoded.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: Dict[str, str] = dict(img='train/'),
        same_classes_as: Optional[str] = None,
        index_dir: Optional[str] = None,
        serialize_data: bool = False,
        **kwargs,
    ) -> None:
        self.same_classes_as = same_classes_as
        self.index_dir = index_dir
        super().__init__(data_root, data_prefix=data_prefix, serialize_data=serialize_data, **kwargs)

    @property
    def folder(self) -> Path:
        """The folder that has the class folders."""
        return Path(self.data_prefix['img'])

    def load_data_list(self) -> SampleTable:
        """Reads or makes the index.

        Raises:
            FishNetError: If the folder has another layout, or other classes than expected.
        """
        if '://' in self.data_prefix['img']:
            raise FishNetError(f'ImageFolder cannot read {self.data_prefix["img"]}: mount the storage, or copy the files')
        index = self._index()
        self._class_folders = tuple(os.fsdecode(name) for name in index.classes.tolist())
        self._name_classes(self._class_folders)
        if self.same_classes_as is not None:
            _check_same(self.folder, self._class_folders, Path(self.data_root) / self.same_classes_as)
        labels = np.repeat(np.arange(len(index.counts), dtype=np.int32), index.counts)
        return SampleTable(name=index.names, gt_label=labels)

    def get_data_info(self, idx: int) -> dict:
        """``img_path`` and ``gt_label`` of an image."""
        info = super().get_data_info(idx)
        name = os.fsdecode(info.pop('name'))
        info['img_path'] = f'{self.folder}/{self._class_folders[info["gt_label"]]}/{name}'
        return info

    def prepare_data(self, idx: int) -> Optional[dict]:
        """Runs the pipeline on an image.

        Raises:
            FishNetError: If the image cannot be decoded.
        """
        info = self.get_data_info(idx)
        path = info['img_path']
        try:
            return self.pipeline(info)
        except Exception as error:
            if cv2.imread(path) is None:
                raise FishNetError(f'cannot read the image {path}: replace it or delete it') from error
            raise

    def _index(self) -> Index:
        """The index of the folder; in a distributed run the first process of each machine makes it before the others read."""
        first = not is_distributed() or os.environ.get('LOCAL_RANK', '0') == '0'
        if not first:
            barrier()
        try:
            return folder_index(self.folder, self.index_dir)
        finally:
            # Also after an error, or the other processes would wait for ever. They then find the same error.
            if first:
                barrier()


def _check_same(folder: Path, classes: Sequence[str], other: Path) -> None:
    """Checks that another folder, if it exists, has the same classes.

    Raises:
        FishNetError: If it has not.
    """
    if not other.is_dir():
        return
    others = {os.fsdecode(name) for name in class_folders(other)}
    for one, names in ((folder, sorted(set(classes) - others)), (other, sorted(others - set(classes)))):
        if names:
            more = ' ...' if len(names) > 5 else ''
            raise FishNetError(
                f'{folder} and {other} must have the same class folders, but only {one} has {", ".join(names[:5])}{more}: '
                'add or remove class folders'
            )
