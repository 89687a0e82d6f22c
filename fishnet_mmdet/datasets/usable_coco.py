"""mmdet's reader of annotation files without the entries that training cannot use.

Not imported by the package: mmdet's data sets take seconds to import.
"""

from typing import Optional

import numpy as np
from mmdet.datasets.api_wrappers import COCO

from .coco_checks import MASKS, check_coco
from .coco_file import read_coco


class UsableCOCO(COCO):
    """Reads an annotation file, and leaves out the entries that ``coco_checks.FAULTS`` skips in training.

    Args:
        annotation_file (str, optional): A local file.
    """

    #: What the file is read for: a key of ``coco_checks.USES``.
    use = MASKS

    def __init__(self, annotation_file: Optional[str] = None) -> None:
        super().__init__()
        file = read_coco(annotation_file)
        usable = check_coco(file, self.use).usable
        self.dataset = dict(
            images=[file.images[at] for at in np.flatnonzero(usable.images)],
            annotations=[file.annotations[at] for at in np.flatnonzero(usable.annotations)],
            categories=file.categories,
        )
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs
