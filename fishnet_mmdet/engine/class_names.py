"""The class names of data sets, compared with annotation files, checkpoints and models.

mmdet numbers the labels in the order of the annotation file's categories, and shows the names of the data set's ``metainfo``.
Where the two differ, it drops objects or shifts all labels, and says nothing.
"""

import difflib
from collections import Counter
from typing import List, Optional, Sequence, Tuple

from mmcv.cnn import VGG
from mmdet.datasets import CocoDataset
from mmdet.models.roi_heads.mask_heads import FusedSemanticHead
from mmengine.config import Config
from torch import nn

from ..checkpoints import read_checkpoint
from ..datasets.coco_summary import Summary
from ..errors import FishNetError
from ..registry import DATASETS
from .config_tree import datasets_in

SHOWN = 8
#: Parts of a model whose num_classes is not that of the data set, as a backbone's from its pretraining.
NO_HEADS = ('backbone', 'neck', 'language_model', 'teacher')
#: How a data set is told its classes.
SET = 'set metainfo=dict(classes=({names})) of the data set, and num_classes of the heads to {count}'


def dataset_classes(dataset: dict) -> Optional[Tuple[str, ...]]:
    """The class names of a data set in a config: those of ``metainfo``, or else of its type; None without any.

    Raises:
        FishNetError: If they are not a sequence of different texts.
    """
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not hasattr(kind, '_load_metainfo'):
        return None
    classes = kind._load_metainfo(dataset.get('metainfo')).get('classes')
    if classes is None:
        return None
    if isinstance(classes, str):
        raise FishNetError(
            f"the classes of {kind.__name__} are the text {classes!r}: write a tuple, as in classes=('{classes}',)"
        )
    double = [name for name, count in Counter(classes).items() if count > 1]
    if double:
        raise FishNetError(f'the classes of {kind.__name__} have {double[0]!r} twice: name every class once')
    return tuple(classes)


def compare_with_file(kind: type, wanted: Optional[Sequence[str]], summary: Summary, where: str) -> Optional[str]:
    """Compares a data set's classes with the categories of its file.

    Args:
        kind (type): The type of the data set.
        wanted (Sequence[str], optional): Its classes.
        summary (Summary): What the file has.
        where (str): What to name in messages.

    Returns:
        str | None: A note on categories that the data set does not use.

    Raises:
        FishNetError: If a class is not in the file, or the order differs.
    """
    names = summary.names
    if wanted is None or list(wanted) == names:
        return None
    advice = SET.format(names=listed(names, len(names) if len(names) <= 20 else SHOWN), count=len(names))
    if missing := [name for name in wanted if name not in names]:
        pairs = [_beside(name, [other for other in names if other not in wanted]) for name in missing]
        raise FishNetError(
            f'{where} has no category for {len(missing)} of the {len(wanted)} classes: {"; ".join(pairs[:SHOWN])}'
            f'{" ..." if len(pairs) > SHOWN else ""}. mmdet would drop these objects and shift the labels of the others. '
            f'The file has {len(names)} categories: {listed(names)}. To use them, {advice}'
        )
    used = [name for name in names if name in wanted]
    # Subclasses of CocoDataset that read the file themselves may sort the categories.
    if used != list(wanted) and kind.load_data_list is CocoDataset.load_data_list:
        at = next(at for at, (one, other) in enumerate(zip(wanted, used)) if one != other)
        raise FishNetError(
            f'{where} has the categories in another order than the classes: class {at} is {wanted[at]!r} in the config, and '
            f'{used[at]!r} in the file. mmdet numbers the labels in the order of the file, so the names would be wrong. '
            f'Write the classes in the order of the file: ({listed(used, len(used))})'
        )
    if not (unused := [name for name in names if name not in wanted]):
        return None
    count = sum(number for name, number in zip(names, summary.usable) if name in unused)
    return f'{where} has {len(unused)} categories beside the classes ({listed(unused)}): {count:,} objects are not used'


def check_same_classes(cfg: Config, dataloaders: Sequence[str]) -> Optional[Tuple[str, ...]]:
    """Checks that the data sets of dataloaders have the same classes in the same order.

    Returns:
        tuple[str, ...] | None: The classes; None if no data set has any in the config.

    Raises:
        FishNetError: If they differ.
    """
    first, first_key = None, ''
    for key in dataloaders:
        for dataset in datasets_in((cfg.get(key) or {}).get('dataset')):
            classes = dataset_classes(dataset)
            if classes is None:
                continue
            if first is None:
                first, first_key = classes, key
            elif classes != first:
                raise FishNetError(
                    f'the data sets of {first_key} and {key} have different classes: {difference(first, classes)}; '
                    'set the same metainfo in both'
                )
    return first


def check_checkpoint_classes(classes: Optional[Sequence[str]], checkpoint: str) -> None:
    """Checks that a checkpoint was trained on the same classes in the same order, if it says so.

    Differences in case, spaces and punctuation do not count: labels are numbers.

    Args:
        classes (Sequence[str], optional): The classes of the data set.
        checkpoint (str): The file.

    Raises:
        FishNetError: If the classes differ.
    """
    meta = read_checkpoint(checkpoint).get('meta') if '://' not in checkpoint else None
    meta = meta if isinstance(meta, dict) else {}
    # mmdet 2 has 'CLASSES' in 'meta', mmdet 3 has 'classes' in its 'dataset_meta', and early releases of 3 'CLASSES'.
    parts = [part for part in (meta.get('dataset_meta'), meta) if isinstance(part, dict)]
    found = next((part[key] for part in parts for key in ('classes', 'CLASSES') if part.get(key)), None)
    if classes is None or not isinstance(found, (list, tuple)):
        return
    if [*map(_plain, map(str, found))] != [*map(_plain, classes)]:
        raise FishNetError(
            f'{checkpoint} was trained on other classes than the data set has: {difference(tuple(map(str, found)), classes)}. '
            'Its labels would get wrong names and results: test it with the config and the data set of its training'
        )


def check_num_classes(model: nn.Module, classes: Optional[Sequence[str]]) -> None:
    """Checks ``num_classes`` of all heads, by the rule of mmdet's ``NumClassCheckHook``.

    Args:
        model (nn.Module): The model.
        classes (Sequence[str], optional): The classes of its data set.

    Raises:
        FishNetError: If a head has another number of classes.
    """
    # Panoptic heads count things and stuff apart, and models with a language model take any classes.
    if classes is None or hasattr(model, 'panoptic_fusion_head') or hasattr(model, 'language_model'):
        return
    wrong = [
        f'{name} has {module.num_classes}'
        for name, module in model.named_modules()
        if isinstance(getattr(module, 'num_classes', None), int)
        and not name.endswith('rpn_head')
        and not name.startswith(NO_HEADS)
        and not isinstance(module, (VGG, FusedSemanticHead))
        and module.num_classes != len(classes)
    ]
    if wrong:
        raise FishNetError(
            f'the data set has {len(classes)} classes ({listed(classes)}), but num_classes of {", ".join(wrong)}: '
            f'set num_classes={len(classes)} in the heads of the model, or correct the classes of the data set'
        )


def difference(one: Sequence[str], other: Sequence[str]) -> str:
    """In what two lists of class names differ."""
    if len(one) != len(other):
        return f'{len(one)} ({listed(one)}) and {len(other)} ({listed(other)})'
    pairs = [f'class {at} is {a!r} and {b!r}' for at, (a, b) in enumerate(zip(one, other)) if a != b]
    return '; '.join(pairs[:SHOWN]) + (f'; and {len(pairs) - SHOWN} more' if len(pairs) > SHOWN else '')


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Names for a message."""
    return ', '.join(repr(name) for name in list(names)[:most]) + (' ...' if len(names) > most else '')


def _beside(name: str, others: List[str]) -> str:
    """A name, with the one that it may be in the file."""
    plain = {_plain(other): other for other in others}
    near = difflib.get_close_matches(_plain(name), plain, n=1)
    return f'{name!r} (the file has {plain[near[0]]!r})' if near else repr(name)


def _plain(name: str) -> str:
    return ''.join(letter for letter in name.casefold() if letter.isalnum())
