"""Data sets and transforms for classification, panoptic maps, and generated data. Nothing here depends on a model."""

from .classification import ClassificationDataset, SampleTable
from .enlarge import Enlarge
from .image_folder import ImageFolder
from .object_crops import ObjectCrops
from .panoptic import LoadPanopticSegments
from .small_images import SmallImages
from .transforms import PackInputs, PCALighting, RandomPadCrop, RandomResizedCrop

__all__ = [
    'ClassificationDataset',
    'Enlarge',
    'ImageFolder',
    'LoadPanopticSegments',
    'ObjectCrops',
    'PCALighting',
    'PackInputs',
    'RandomPadCrop',
    'RandomResizedCrop',
    'SampleTable',
    'SmallImages',
]
