"""The ``--eval`` of testing, as mmdet 2 had it: metrics chosen by name."""

from typing import Iterator, Optional, Sequence

from mmengine.config import Config

from ..errors import FishNetError

COCO_METRICS = ('bbox', 'segm', 'proposal', 'proposal_fast')
#: Evaluators of panoptic segmentation, which have one metric, PQ.
PANOPTIC_EVALUATORS = ('CocoPanopticMetric', 'fishnet_mmdet.PanopticQuality')
#: Parts of a model that predict masks.
MASK_PARTS = ('mask_head', 'panoptic_head', 'panoptic_fusion_head', 'segm_head')


def choose_metrics(cfg: Config, metrics: Optional[Sequence[str]], tta: bool = False) -> None:
    """Sets the metrics of a config's COCO evaluators.

    Args:
        cfg (Config): The config, changed in place.
        metrics (Sequence[str], optional): Names out of ``COCO_METRICS``, or PQ alone where an evaluator has it; None keeps
            those of the config that can be had.
        tta (bool): Whether testing is with test-time augmentation, which merges boxes and drops masks.

    Raises:
        FishNetError: If a name is unknown, or the model does not predict what it needs.
    """
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, (list, tuple)) else [cfg.test_evaluator]
    if metrics == ['PQ'] and any(evaluator.get('type') in PANOPTIC_EVALUATORS for evaluator in evaluators):
        return
    evaluators = [evaluator for evaluator in evaluators if evaluator.get('type') in ('CocoMetric', 'LVISMetric')]
    if metrics is None:
        for evaluator in evaluators:
            names = [evaluator.metric] if isinstance(evaluator.metric, str) else evaluator.metric
            evaluator.metric = [name for name in names if name != 'segm']
        return
    if not evaluators:
        raise FishNetError(
            '--eval chooses among the metrics of a CocoMetric, and test_evaluator of this config is none: leave '
            '--eval out to evaluate as the config says'
        )
    unknown = [name for name in metrics if name not in COCO_METRICS]
    if unknown:
        raise FishNetError(f'--eval does not know {", ".join(unknown)}: choose from {", ".join(COCO_METRICS)}')
    if 'segm' in metrics and tta:
        raise FishNetError('--eval segm does not go with --tta: the augmented predictions are merged as boxes, without masks')
    if 'segm' in metrics and not predicts_masks(cfg):
        raise FishNetError(f'--eval segm needs masks, which a {cfg.model.type} does not predict: choose --eval bbox')
    for evaluator in evaluators:
        evaluator.metric = list(metrics)


def predicts_masks(cfg: Config) -> bool:
    """Whether the model of a config has a part that predicts masks."""
    return any(name in MASK_PARTS and part or name == 'type' and 'Ins' in str(part) for name, part in _items(cfg.model))


def _items(value) -> Iterator[tuple]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield name, part
            yield from _items(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _items(part)
