"""Data sets, and transforms for classification."""

from .image_folder import ImageFolder
from .object_crops import ObjectCrops
from .panoptic import LoadPanopticSegments
from .small_images import SmallImages
from .transforms import PackInputs, PCALighting, RandomPadCrop, RandomResizedCrop

__all__ = [
    'ImageFolder',
    'LoadPanopticSegments',
    'ObjectCrops',
    'PCALighting',
    'PackInputs',
    'RandomPadCrop',
    'RandomResizedCrop',
    'SmallImages',
]
