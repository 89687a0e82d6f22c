"""A model file, ready for images."""

import os
from pathlib import Path
from typing import Dict, Optional, Union

import cv2
import numpy as np

from ..errors import FishNetError
from .images import Image, as_image
from .metadata import read_metadata
from .pasting import paste_masks
from .preprocessing import prepare
from .results import TASKS, ClassScores, Objects, PanopticMap
from .session import first_line, open_session

#: The type of the input ``image``: of files with the preprocessing inside, and beside.
INPUTS = dict(inside=np.uint8, beside=np.float32)


class Detector:
    """A model that ``python -m fishnet_mmdet export_onnx`` has exported: a detector, a panoptic model or a classifier.

    >>> detector = Detector('model.onnx')
    >>> boxes, labels, scores, masks = detector('image.jpg')
    >>> detector.classes[labels[0]]

    Args:
        file (str | PathLike): The model file.
        threads (int, optional): CPU threads; default: one for each core.
        runtime (str): The package that computes: 'onnxruntime' or 'openvino'.

    Attributes:
        task (str): 'detection', 'instance segmentation', 'panoptic segmentation' or 'classification'.
        classes (tuple[str, ...]): Names of the classes.
        metadata (Metadata): All that the file says of itself.

    Raises:
        FishNetError: If the file is not such a model, is damaged, or the runtime is missing or cannot compute its precision.
    """

    def __init__(
        self, file: Union[str, 'os.PathLike[str]'], threads: Optional[int] = None, runtime: str = 'onnxruntime'
    ) -> None:
        self.file = Path(file)
        self.metadata = read_metadata(self.file)
        self.task = self.metadata.task
        self.classes = self.metadata.classes
        if runtime == 'openvino' and self.metadata.properties.get('precision') == 'int8':
            # Of one of our int8 files OpenVINO 2026.4 finds a third of the AP, without an error.
            raise FishNetError(f"{file} is in int8, which OpenVINO computes wrongly: use runtime='onnxruntime', or float32")
        self._session = open_session(self.file, runtime, threads)
        self._check_signature()

    def __call__(self, image: Image, score_threshold: float = 0) -> Union[Objects, PanopticMap, ClassScores]:
        """Finds the objects of an image.

        Args:
            image (np.ndarray | str | PathLike): A file; or an array (height, width, 3), uint8, BGR as OpenCV reads it. Grey
                arrays (height, width) are taken too, and the alpha channel of (height, width, 4) is ignored.
            score_threshold (float): Objects with lower scores are left out. The file has a threshold too,
                ``metadata.score_threshold``: there are no objects below it.

        Returns:
            Objects | PanopticMap | ClassScores: What the task of the model finds.

        Raises:
            FishNetError: If it is not such an image, or the model cannot process it.
        """
        image = as_image(image)
        outputs = self._inside(image) if self.metadata.steps.where == 'inside' else self._beside(image)
        kind, names = TASKS[self.task]
        result = kind(*(outputs[name] for name in names))
        return result.above(score_threshold) if score_threshold > 0 and isinstance(result, Objects) else result

    def _inside(self, image: np.ndarray) -> Dict[str, np.ndarray]:
        """The outputs of a file that takes images as they are."""
        outputs = self._run(image, dict(image=image))
        if 'masks' in outputs:
            outputs['masks'] = outputs['masks'].astype(bool, copy=False)
        return outputs

    def _beside(self, image: np.ndarray) -> Dict[str, np.ndarray]:
        """The outputs of a file that takes prepared images, in pixels of the image."""
        height, width = image.shape[:2]
        prepared = prepare(image, self.metadata.steps)
        outputs = self._run(image, dict(image=prepared.image, image_size=prepared.size))
        if 'boxes' in outputs:
            outputs['boxes'] = outputs['boxes'] / np.tile(prepared.scale, 2)
        if 'masks' in outputs:
            outputs['masks'] = paste_masks(outputs['masks'], outputs['boxes'], height, width, self.metadata.mask_threshold)
        if 'panoptic' in outputs:
            # Numbers of segments fit into 32 bits, and OpenCV resizes no 64.
            small = outputs['panoptic'].astype(np.int32)
            outputs['panoptic'] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int64)
        return outputs

    def _run(self, image: np.ndarray, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """The outputs by name. ``image`` is what the caller gave, for the message."""
        names = TASKS[self.task][1]
        try:
            values = self._session.run(names, {name: inputs[name] for name in self._session.inputs})
        # The errors of the runtimes have no type in common but this one.
        except Exception as error:
            height, width = image.shape[:2]
            raise FishNetError(
                f'{self.file} cannot process an image of {height}x{width} pixels: {first_line(error)}'
            ) from error
        return dict(zip(names, values))

    def _check_signature(self) -> None:
        """Checks that the graph has the inputs and outputs that the metadata promises."""
        steps = self.metadata.steps
        inputs, outputs = self._session.inputs, self._session.outputs
        fits = (
            inputs.get('image') == INPUTS[steps.where]
            and set(inputs) <= ({'image'} if steps.where == 'inside' else {'image', 'image_size'})
            and set(TASKS[self.task][1]) <= set(outputs)
        )
        if not fits:
            raise FishNetError(
                f'the inputs ({", ".join(inputs)}) and outputs ({", ".join(outputs)}) of {self.file} are not those of its '
                f'metadata ({self.task}, preprocessing {steps.where}): export it again'
            )
