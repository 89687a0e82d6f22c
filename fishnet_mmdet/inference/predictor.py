"""Model and checkpoint, ready for single images."""

from copy import deepcopy
from typing import Optional, Union

import numpy as np
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose

from ..checkpoints import check_fits
from ..engine.channels_last import compute_channels_last
from ..models import Classifier
from .classification import Classification
from .instances import Instances
from .panoptic import PanopticSegmentation

Prediction = Union[DetDataSample, dict]


class Predictor:
    """The model of a config with the weights of a checkpoint.

    Args:
        cfg (Config): Config of a detector, a panoptic model or a classifier.
        checkpoint (str): Its checkpoint.
        device (str, optional): 'cpu', 'cuda:0' and so on; default: a GPU if there is one.

    Attributes:
        classes (tuple[str]): Names of the classes.
        results (Instances | PanopticSegmentation | Classification): Draws predictions and collects them.

    Raises:
        FishNetError: If the checkpoint does not fit the model exactly.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: Optional[str] = None) -> None:
        device = device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
        self.model = compute_channels_last(init_detector(cfg, checkpoint, palette='random', device=device))
        # init_detector loads what fits and passes over the rest.
        check_fits(self.model, checkpoint)
        meta = self.model.dataset_meta
        self.classes = tuple(meta['classes'])
        if isinstance(self.model, Classifier):
            self.results = Classification(self.classes)
            pipeline = [step for step in deepcopy(cfg.test_dataloader.dataset.pipeline) if step.type != 'LoadImageFromFile']
            self.pipeline = Compose(pipeline)
        elif getattr(self.model, 'panoptic_fusion_head', None) is not None:
            self.results = PanopticSegmentation(meta)
        else:
            self.results = Instances(meta)

    def __call__(self, image: np.ndarray) -> Prediction:
        """Predicts on one image.

        Args:
            image (np.ndarray): (h, w, 3), BGR, uint8.

        Returns:
            DetDataSample | dict: mmdet's sample of a detector or panoptic model; of a classifier the label and the
            probability of each class.
        """
        if not isinstance(self.model, Classifier):
            return inference_detector(self.model, image)
        packed = self.pipeline(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2], gt_label=0))
        with torch.no_grad():
            return self.model.test_step(dict(inputs=[packed['inputs']], data_samples=None))[0]
