"""Small images in memory: CIFAR-10, CIFAR-100, MNIST, Fashion-MNIST, and archives of JPEGs."""

from ..errors import FishNetError
from ..registry import DATASETS
from .classification import ClassificationDataset, SampleTable
from .small_image_files import read_small_images


@DATASETS.register_module()
class SmallImages(ClassificationDataset):
    """Small images in memory. The format of the files is recognised, and no code in them runs.

    The images are one array, which forked workers share with the main process. A pipeline gets a copy of each image.

    MNIST and Fashion-MNIST have files of the same names and shapes. They are told apart by their first ten labels. In other
    files of this format the classes are named 0, 1, 2 and so on, unless ``metainfo`` gives the names.

    Args:
        data_root (str | Path): The folder, or the archive; both local.
        split (str): 'train' or 'test'.
        serialize_data (bool): Whether to pickle every sample. It is off, because the images are stored as one array.
        **kwargs: Other arguments of :class:`ClassificationDataset`. The pipeline starts with ``img`` (h, w, 3).

    Raises:
        FishNetError: If the files have none of the formats, are damaged, or have another number of classes.
    """

    def __init__(self, data_root: str, split: str, serialize_data: bool = False, **kwargs) -> None:
        if split not in ('train', 'test'):
            raise FishNetError(f"split must be 'train' or 'test', not {split!r}")
        self.split = split
        super().__init__(data_root, data_prefix={}, serialize_data=serialize_data, **kwargs)

    def load_data_list(self) -> SampleTable:
        """Reads the files.

        Raises:
            FishNetError: If they have none of the formats, are damaged, or have another number of classes.
        """
        if '://' in self.data_root:
            raise FishNetError(f'SmallImages cannot read {self.data_root}: copy the files to a local folder')
        images, labels, classes = read_small_images(self.data_root, self.split)
        self._name_classes(classes)
        return SampleTable(img=images, gt_label=labels)
