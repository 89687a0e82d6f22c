"""mmdet's RPN head for images that are smaller than every anchor.

The package does not import this file, because mmdet's heads take seconds to import: the registry does when a config names one.
"""

from mmdet.models.dense_heads import RPNHead
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class BorderRPNHead(RPNHead):
    """An RPN head that trains on every image with ``allowed_border=0``, Detectron's setting (``RPN_STRADDLE_THRESH``).

    With this setting mmdet stops where no anchor lies inside an image, as in one of 50 x 300 pixels that is resized to a
    height of 16. Here all anchors are used for such an image, as with ``allowed_border=-1``. All other images are trained on
    as in mmdet.
    """

    def _get_targets_single(self, flat_anchors: Tensor, valid_flags: Tensor, gt_instances, img_meta: dict, *args, **kwargs):
        """As in ``RPNHead``; the arguments are its own."""
        usual = self.train_cfg
        inside = anchor_inside_flags(flat_anchors, valid_flags, img_meta['img_shape'][:2], usual['allowed_border'])
        if not inside.any():
            self.train_cfg = dict(usual, allowed_border=-1)
        try:
            return super()._get_targets_single(flat_anchors, valid_flags, gt_instances, img_meta, *args, **kwargs)
        finally:
            self.train_cfg = usual
