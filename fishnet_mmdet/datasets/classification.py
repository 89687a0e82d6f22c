"""The base of the classification data sets: mmengine's ``BaseDataset`` with one label per image."""

import os
from collections.abc import Sequence
from typing import Callable, List, Optional, Union

import numpy as np
from mmengine.dataset import BaseDataset

from ..errors import FishNetError
from ..registry import SCOPE, TRANSFORMS


class SampleTable(Sequence):
    """The samples of a data set, stored as one array per key instead of one dict per sample.

    ``BaseDataset`` stores a list of dicts. Each access to a Python object changes its reference count, so every worker
    process ends up with its own copy of the list. ``BaseDataset`` pickles the samples into one array to prevent that
    (``serialize_data``). The arrays of a table are shared by forked workers as they are, so a table needs no pickling.

    Args:
        **columns (np.ndarray): Arrays of equal length; element ``i`` belongs to sample ``i``.
    """

    def __init__(self, **columns: np.ndarray) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return min(map(len, self.columns.values()), default=0)

    def __getitem__(self, index: Union[int, slice, List[int]]) -> Union[dict, 'SampleTable']:
        """One sample as a dict (index: int), or a table of several (index: slice or list)."""
        chosen = {key: column[index] for key, column in self.columns.items()}
        if not isinstance(index, (int, np.integer)):
            return SampleTable(**chosen)
        return {key: value if isinstance(value, np.ndarray) else value.item() for key, value in chosen.items()}

    def clear(self) -> None:
        """Drops all samples; ``BaseDataset`` calls this after it has serialized them."""
        self.columns = {key: column[:0].copy() for key, column in self.columns.items()}


class ClassificationDataset(BaseDataset):
    """Images with one label each.

    A subclass defines ``load_data_list``. It returns a list of dicts, or a :class:`SampleTable` (then pass
    ``serialize_data=False``). Every sample has ``gt_label``, the index of its class. It also has what the pipeline reads
    first: ``img_path`` for ``LoadImageFromFile``, or ``img``, an array (height, width, 3) uint8 in BGR.

    The class names are ``METAINFO['classes']`` or ``metainfo['classes']``, or the subclass reads them from its files. In the
    last case ``metainfo`` has no classes before ``full_init()`` if ``lazy_init`` is set.

    Args:
        data_root (str | Path): Folder of the data set. A leading ``~`` is the home folder.
        pipeline (Sequence[dict | Callable]): Transforms, or their configs.
        num_classes (int, optional): Expected number of classes; it should be the ``num_classes`` of the model.
        filter_cfg (dict, optional): For subclasses that define ``filter_data``.
        **kwargs: Other arguments of mmengine's ``BaseDataset``.

    Raises:
        FishNetError: If the data set has no samples, another number of classes, or a label without a class.
    """

    def __init__(
        self,
        data_root: Union[str, os.PathLike] = '',
        pipeline: Sequence[Union[dict, Callable]] = (),
        num_classes: Optional[int] = None,
        filter_cfg: Optional[dict] = None,
        **kwargs,
    ) -> None:
        name = type(self).__name__
        if filter_cfg and type(self).filter_data is ClassificationDataset.filter_data:
            raise FishNetError(f'{name} cannot filter samples, but filter_cfg={filter_cfg}: remove it, or set indices')
        self.num_classes = num_classes
        # Our scope also has the transforms of mmdet and mmcv, whatever default_scope a config sets.
        pipeline = [TRANSFORMS.build(dict(one, _scope_=SCOPE)) if isinstance(one, dict) else one for one in pipeline]
        root = os.path.expanduser(os.fspath(data_root))
        super().__init__(data_root=root, pipeline=pipeline, filter_cfg=filter_cfg, **kwargs)

    def filter_data(self) -> Sequence[dict]:
        """Checks the samples and returns all of them; a subclass that filters calls this method first.

        Raises:
            FishNetError: If there are no samples, or the classes are not as expected.
        """
        source = self._source()
        classes = self._metainfo.get('classes')
        if not classes:
            raise FishNetError(f'{type(self).__name__} has no class names: set metainfo=dict(classes=(...)) in the config')
        if self.num_classes not in (None, len(classes)):
            raise FishNetError(
                f'{source} has {len(classes)} classes ({_ends(classes)}), but the config has num_classes={self.num_classes}: '
                'a class folder is missing or unexpected, data_root is another data set, or num_classes must be changed '
                'in the data sets and the model'
            )
        samples = self.data_list
        if not len(samples):
            raise FishNetError(f'{source} has no samples')
        labels = samples.columns['gt_label'] if isinstance(samples, SampleTable) else [one['gt_label'] for one in samples]
        labels = np.asarray(labels)
        # NaN differs from itself.
        if labels.dtype.kind not in 'iufb' or np.any(labels != np.floor(labels)):
            raise FishNetError(f'{source} has labels that are no whole numbers: labels must be 0 to {len(classes) - 1}')
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(classes):
            raise FishNetError(
                f'{source} has labels from {low} to {high}, but {len(classes)} classes ({_ends(classes)}): '
                f'labels must be 0 to {len(classes) - 1}'
            )
        return samples

    def get_cat_ids(self, idx: int) -> List[int]:
        """The label of a sample, in a list: mmengine's ``ClassBalancedDataset`` asks for it."""
        return [int(self.get_data_info(idx)['gt_label'])]

    def _name_classes(self, found: Sequence[str]) -> None:
        """Sets the class names read from files, unless ``metainfo`` gives other names for them.

        Raises:
            FishNetError: If ``metainfo`` names another number of classes.
        """
        named = self._metainfo.setdefault('classes', tuple(found))
        if len(named) != len(found):
            raise FishNetError(
                f'{self._source()} has {len(found)} classes ({_ends(found)}), but metainfo names {len(named)} '
                f'({_ends(named)}): name every class once, in the order of the labels'
            )

    def _source(self) -> str:
        """The file or folder to name in messages."""
        return self.ann_file or self.data_prefix.get('img') or self.data_root or type(self).__name__


def _ends(names: Sequence[str]) -> str:
    return f'{names[0]} ... {names[-1]}'
