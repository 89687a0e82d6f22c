"""The classifier of the first stage, which pretrains the backbone for detection."""

from typing import Dict, List, Optional, Union

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from ...registry import MODELS
from ..released import as_classifier_weights


@MODELS.register_module()
class Classifier(BaseModel):
    """A backbone, a classification head on its last feature, and the cross-entropy loss.

    It loads its own checkpoints and those of the released models.

    Args:
        backbone (dict): Config of a network that returns a tuple of features.
        cls_head (dict): Config of the head that computes logits from the last feature; ``in_channels`` is filled in
            where the backbone knows its ``out_channels``.
        label_smoothing (float): Fraction of the target that is spread over all classes (Szegedy et al. 2016).
        data_preprocessor (dict, optional): Config of the normalisation of images, mmengine's ``ImgDataPreprocessor``.
        init_cfg (dict, optional): Initialisation of the classifier, in addition to that of its parts.
    """

    def __init__(
        self,
        backbone: dict,
        cls_head: dict,
        label_smoothing: float = 0.0,
        data_preprocessor: Optional[dict] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if 'in_channels' not in cls_head:
            cls_head = dict(cls_head, in_channels=self.backbone.out_channels[-1])
        self.cls_head = MODELS.build(cls_head)
        self.label_smoothing = label_smoothing

    def forward(
        self, inputs: Tensor, data_samples: Optional[Tensor] = None, mode: str = 'tensor'
    ) -> Union[Tensor, Dict[str, Tensor], List[dict]]:
        """The logits, the loss or the predictions.

        Args:
            inputs (Tensor): (n, 3, h, w), normalised.
            data_samples (Tensor, optional): (n,), the labels: indices of the classes. The name is mmengine's.
            mode (str): 'tensor', 'loss' or 'predict', as the Runner asks for it.

        Returns:
            Tensor | dict[str, Tensor] | list[dict]: 'tensor': logits (n, num_classes). 'loss': the loss, and the accuracy of
            the batch in percent. 'predict': for each image its label and the probability of each class.
        """
        logits = self.cls_head(self.backbone(inputs)[-1])
        if mode == 'loss':
            # Named without 'loss', so that mmengine logs it and does not add it to the loss.
            accuracy = 100 * (logits.argmax(1) == data_samples).float().mean()
            return dict(loss=F.cross_entropy(logits, data_samples, label_smoothing=self.label_smoothing), accuracy=accuracy)
        if mode == 'predict':
            labels = [None] * len(logits) if data_samples is None else data_samples.tolist()
            return [dict(label=label, scores=scores) for label, scores in zip(labels, logits.softmax(1))]
        return logits

    # torch before 2.5 has no public hook that runs before weights are loaded.
    def _load_from_state_dict(self, state_dict: Dict[str, Tensor], prefix: str, *args) -> None:
        if prefix == '':
            renamed = as_classifier_weights(state_dict)
            state_dict.clear()
            state_dict.update(renamed)
        super()._load_from_state_dict(state_dict, prefix, *args)
