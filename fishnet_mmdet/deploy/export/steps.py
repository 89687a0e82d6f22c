"""Reads from a config what its test pipeline does to an image."""

from typing import Callable, Dict, Tuple

from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from torch import nn

from ...errors import FishNetError
from .conditions import require

#: Transforms that do not change the pixels of an image that is already read.
WITHOUT_EFFECT = (
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'LoadAnnotations',
    'LoadPanopticAnnotations',
    'LoadPanopticSegments',
    'PackDetInputs',
    'PackInputs',
)


def read_steps(cfg: Config, preprocessor: nn.Module) -> dict:
    """The steps as the metadata of a file describe them.

    Args:
        cfg (Config): Its test pipeline.
        preprocessor (ImgDataPreprocessor): That of the model.

    Raises:
        FishNetError: If a transform has no counterpart in an exported file.
    """
    steps: dict = dict(resize=None, crop=None, pad_to=None, pad_to_value=0)
    done = 0
    for transform in get_test_pipeline_cfg(cfg):
        name = transform['type'].rpartition('.')[2] if isinstance(transform['type'], str) else transform['type'].__name__
        if name in WITHOUT_EFFECT:
            continue
        if name not in READERS:
            raise FishNetError(f'the test pipeline has {name}, which cannot be exported; can be: {", ".join(READERS)}')
        stage, read = READERS[name]
        if stage <= done:
            raise FishNetError(f'the test pipeline has {name} in this place: exported can be one resize, then crop, then pad')
        done = stage
        arguments = {key: value for key, value in transform.items() if key != 'type'}
        step = read(arguments)
        if step.get('resize'):
            step['resize']['backend'] = arguments.get('backend', 'cv2')
        steps.update(step)
    return dict(steps, **read_preprocessor(preprocessor))


def read_preprocessor(preprocessor: nn.Module) -> dict:
    """What the data preprocessor does to the pixels.

    Raises:
        FishNetError: If it is of another kind.
    """
    require(isinstance(preprocessor, ImgDataPreprocessor), preprocessor, 'is no ImgDataPreprocessor')
    normalises = preprocessor._enable_normalize
    return dict(
        bgr_to_rgb=bool(preprocessor._channel_conversion),
        mean=preprocessor.mean.flatten().tolist() if normalises else [0.0] * 3,
        std=preprocessor.std.flatten().tolist() if normalises else [1.0] * 3,
        pad_divisor=preprocessor.pad_size_divisor,
        pad_value=preprocessor.pad_value,
    )


def _resize(arguments: dict) -> dict:
    scale = _only(arguments, 'Resize', 'scale', 'keep_ratio', 'backend', 'interpolation')['scale']
    if scale is None or isinstance(scale, (int, float)):
        raise FishNetError(f'Resize has scale={scale} in the test pipeline: an exported file needs (width, height)')
    return dict(resize=dict(kind='Resize', scale=list(scale), keep_ratio=arguments.get('keep_ratio', False)))


def _fixed(arguments: dict) -> dict:
    _only(arguments, 'FixShapeResize', 'width', 'height', 'keep_ratio', 'backend', 'interpolation')
    size = [arguments['width'], arguments['height']]
    return dict(resize=dict(kind='Resize', scale=size, keep_ratio=arguments.get('keep_ratio', True)))


def _enlarge(arguments: dict) -> dict:
    from ...datasets.enlarge import LONGER

    _only(arguments, 'Enlarge', 'shorter', 'longer')
    return dict(resize=dict(kind='Enlarge', shorter=arguments['shorter'], longer=arguments.get('longer', LONGER)))


def _shortest_edge(arguments: dict) -> dict:
    _only(arguments, 'ResizeShortestEdge', 'scale', 'max_size', 'backend', 'interpolation')
    scale = arguments['scale']
    resize = dict(kind='ShortSide', scale=scale if isinstance(scale, int) else min(scale))
    return dict(resize=dict(resize, max_size=arguments.get('max_size')))


def _crop(arguments: dict) -> dict:
    size = _only(arguments, 'CenterCrop', 'crop_size')['crop_size']
    # mmcv has (width, height).
    return dict(crop=[size, size] if isinstance(size, int) else [size[1], size[0]])


def _pad(arguments: dict) -> dict:
    size = _only(arguments, 'Pad', 'size', 'pad_val').get('size')
    if size is None:
        raise FishNetError('Pad has no size in the test pipeline: set it, or use pad_size_divisor of the data_preprocessor')
    value = arguments.get('pad_val', 0)
    value = value.get('img', 0) if isinstance(value, dict) else value
    values = {value} if isinstance(value, (int, float)) else set(value)
    if len(values) > 1:
        raise FishNetError(f'Pad has pad_val={arguments["pad_val"]}: an exported file can pad with one value for all channels')
    return dict(pad_to=[size[1], size[0]], pad_to_value=values.pop())


def _only(arguments: dict, name: str, *known: str) -> dict:
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise FishNetError(f'{name} of the test pipeline has {", ".join(unknown)}, which cannot be exported')
    if arguments.get('interpolation', 'bilinear') != 'bilinear':
        raise FishNetError(f'{name} of the test pipeline has interpolation={arguments["interpolation"]}: only bilinear can be')
    return arguments


#: The place in the order of steps, and the function that reads it, by the name of a transform.
READERS: Dict[str, Tuple[int, Callable[[dict], dict]]] = dict(
    Resize=(1, _resize),
    FixShapeResize=(1, _fixed),
    Enlarge=(1, _enlarge),
    ResizeShortestEdge=(1, _shortest_edge),
    CenterCrop=(2, _crop),
    Pad=(3, _pad),
)
