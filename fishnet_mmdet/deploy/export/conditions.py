"""Whether a part of a model computes what its counterpart here computes. If not, the message names the part."""

from typing import Any

from ...errors import FishNetError

#: Models that were exported and compared, for messages.
COMPARED = (
    'Faster, Mask and Cascade R-CNN, RetinaNet, FCOS, ATSS, RTMDet, Panoptic FPN and the classifiers of this package can be '
    'exported'
)


def require(condition: bool, part: Any, reason: str) -> None:
    """Checks a condition of the export.

    Args:
        condition (bool): Whether it holds.
        part (Any): The part of the model, or its name.
        reason (str): What cannot be exported about it.

    Raises:
        FishNetError: If it does not.
    """
    if not condition:
        name = part if isinstance(part, str) else type(part).__name__
        raise FishNetError(f'this model cannot be exported: {name} {reason}. {COMPARED}')


def require_methods(part: Any, kind: type, *methods: str) -> None:
    """Checks that a part is of a kind, and has its methods: a class that overrides one computes something else.

    Raises:
        FishNetError: If not.
    """
    require(isinstance(part, kind), part, f'is no {kind.__name__}')
    for method in methods:
        same = getattr(type(part), method) is getattr(kind, method)
        require(same, part, f'is a {kind.__name__} with another {method}')


def require_nms(cfg: dict, part: Any) -> None:
    """Checks that overlapping boxes are removed, and not given other scores.

    Raises:
        FishNetError: If not.
    """
    nms = cfg.get('nms') or {}
    require(nms.get('type', 'nms') == 'nms' and 'iou_threshold' in nms, part, f'has nms={dict(nms)} in test_cfg, not type=nms')
