"""One training step of any model of mmdet on random images: do all parts fit together, and does FishNet learn?"""

import re
from typing import Any, Dict, Mapping

import numpy as np
import torch
from mmdet.models.utils.misc import samplelist_boxtype2tensor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData, PixelData
from torch import nn

from ..engine.from_scratch import BATCH_NORMS
from ..errors import FishNetError
from ..models import FishNet

#: Models without a loss of their own: mmdet trains their detector and their other parts separately.
TRAINED_IN_PARTS = ('DeepSORT',)


def training_step(cfg: Config, size: int = 128) -> Dict[str, float]:
    """Builds the model of a config with random weights, and computes loss and gradients of two random images.

    BN is trained everywhere, since the activations of frozen BN on random weights grow without bounds.

    Args:
        cfg (Config): The config.
        size (int): Height and width of the images, in pixels.

    Returns:
        dict[str, float]: The losses.

    Raises:
        FishNetError: If the loss or a gradient is not finite, or a trained parameter of a FishNet gets no gradient.
    """
    register_all_modules()
    torch.manual_seed(0)
    model_cfg = cfg.model.to_dict()
    if model_cfg['type'] in TRAINED_IN_PARTS:
        detector = model_cfg['detector']
        detector.setdefault('data_preprocessor', dict(model_cfg['data_preprocessor'], type='DetDataPreprocessor'))
        model_cfg = detector
    model = MODELS.build(ConfigDict(_for_a_step(model_cfg)))
    model.init_weights()
    model.train()
    for count in ('epoch', 'iter'):  # The Runner sets these; TOOD and BoxInst read them.
        MessageHub.get_current_instance().update_info(count, 0)
    data = model.data_preprocessor(_random_batch(model_cfg, size), True)
    losses, log = model.parse_losses(model(**data, mode='loss'))
    if not losses.isfinite():
        raise FishNetError(f'the loss is {losses.item()}: {log}')
    losses.backward()
    for name, module in model.named_modules():
        if isinstance(module, FishNet) and not name.startswith('teacher'):
            check_gradients(name, module)
    return {key: float(value.detach()) for key, value in log.items()}


def check_gradients(name: str, net: nn.Module) -> None:
    """Checks that each trained parameter of a network has a finite gradient, and that not all gradients are zero.

    Raises:
        FishNetError: If not.
    """
    parameters = [(key, parameter) for key, parameter in net.named_parameters() if parameter.requires_grad]
    without = [key for key, parameter in parameters if parameter.grad is None]
    if without:
        raise FishNetError(f'{len(without)} parameters of {name} get no gradient: {without[0]} ...')
    broken = [key for key, parameter in parameters if not parameter.grad.isfinite().all()]
    if broken:
        raise FishNetError(f'{len(broken)} gradients of {name} are not finite: {broken[0]} ...')
    if not any(parameter.grad.any() for _, parameter in parameters):
        raise FishNetError(f'all gradients of {name} are zero')


def _for_a_step(value: Any) -> Any:
    """A model without checkpoints, with trained BN on one CPU, few samples, and images that are not padded to a fixed size."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_for_a_step, value))
    if not isinstance(value, dict):
        return value
    value = {key: _for_a_step(item) for key, item in value.items() if key not in ('teacher_ckpt', 'batch_augments')}
    if isinstance(value.get('init_cfg'), dict) and 'Pretrained' in value['init_cfg'].get('type', ''):
        del value['init_cfg']
    if 'pos_fraction' in value:
        value['num'] = min(value['num'], 32)
    if value.get('type') in BATCH_NORMS:
        value.update(type='BN', requires_grad=True)
    if value.get('type') in ('FishNet', 'ResNet', 'ResNeXt'):
        value.update(norm_eval=False, frozen_stages=-1)
        value.setdefault('norm_cfg', dict(type='BN'))
    return value


def _random_batch(model_cfg: Mapping, size: int) -> dict:
    """A batch of random images, as the model's ``data_preprocessor`` takes it."""
    rng = np.random.RandomState(0)
    classes = _number_of_classes(model_cfg)
    kind = model_cfg['data_preprocessor']['type']
    if kind == 'MultiBranchDataPreprocessor':
        branches = {branch: _two_images(rng, size, classes) for branch in ('sup', 'unsup_teacher', 'unsup_student')}
        return {key: {branch: content[key] for branch, content in branches.items()} for key in ('inputs', 'data_samples')}
    if kind == 'TrackDataPreprocessor' and not model_cfg['data_preprocessor'].get('use_det_processor'):
        videos = [_two_images(rng, size, classes) for _ in range(2)]
        for video in videos:
            samplelist_boxtype2tensor(video['data_samples'])
        samples = [
            TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]), video_data_samples=video['data_samples'])
            for video in videos
        ]
        return dict(inputs=[torch.stack(video['inputs']) for video in videos], data_samples=samples)
    return _two_images(rng, size, classes)


def _number_of_classes(model_cfg: Mapping) -> int:
    """The smallest number of classes of the model's heads, so that all heads know each label."""
    counts = re.findall(r"'num_(?:things_)?classes': (\d+)", str(model_cfg))
    return min(map(int, counts), default=1)


def _two_images(rng: np.random.RandomState, size: int, classes: int) -> dict:
    """Two random images with three objects each, as a dataloader returns them."""
    inputs = [torch.from_numpy(rng.randint(0, 256, (3, size, size), dtype=np.uint8)) for _ in range(2)]
    return dict(inputs=inputs, data_samples=[_annotations(rng, size, classes, number) for number in range(2)])


def _annotations(rng: np.random.RandomState, size: int, classes: int, number: int) -> DetDataSample:
    """Boxes, masks, segmentation and proposals of an image."""
    boxes = _random_boxes(rng, 3, size)
    masks = np.zeros((len(boxes), size, size), dtype=np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
        mask[top:bottom, left:right] = 1
    labels = torch.from_numpy(rng.randint(0, classes, len(boxes)))
    sem_seg = rng.randint(0, classes, (1, size, size))
    proposals = _random_boxes(rng, 20, size)
    metainfo = dict(
        img_id=number,
        frame_id=number,
        img_path='',
        img_shape=(size, size),
        ori_shape=(size, size),
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
        homography_matrix=np.eye(3, dtype=np.float32),
    )
    return DetDataSample(
        metainfo=metainfo,
        gt_instances=InstanceData(
            bboxes=HorizontalBoxes(boxes, dtype=torch.float32),
            labels=labels,
            masks=BitmapMasks(masks, size, size),
            instances_ids=torch.arange(len(boxes)),
        ),
        ignored_instances=InstanceData(
            bboxes=HorizontalBoxes(boxes[:0], dtype=torch.float32),
            labels=labels[:0],
            masks=BitmapMasks(masks[:0], size, size),
            instances_ids=torch.arange(0),
        ),
        gt_sem_seg=PixelData(sem_seg=torch.from_numpy(sem_seg)),
        proposals=InstanceData(bboxes=torch.from_numpy(proposals), scores=torch.ones(len(proposals))),
    )


def _random_boxes(rng: np.random.RandomState, count: int, size: int) -> np.ndarray:
    """Boxes (left, top, right, bottom) with sides of a quarter to three quarters of the image."""
    sides = rng.uniform(size / 4, size * 3 / 4, (count, 2))
    corner = rng.uniform(0, 1, (count, 2)) * (size - sides)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
