"""The option ``--eval`` of the test command, as in mmdet 2: it selects metrics by name."""

from typing import Iterator, Optional, Sequence

from mmengine.config import Config

from ..errors import FishNetError

COCO_METRICS = ('bbox', 'segm', 'proposal', 'proposal_fast')
#: Evaluators of panoptic segmentation. They have one metric, PQ.
PANOPTIC_EVALUATORS = ('CocoPanopticMetric', 'fishnet_mmdet.PanopticQuality')
#: Parts of a model that predict masks.
MASK_PARTS = ('mask_head', 'panoptic_head', 'panoptic_fusion_head', 'segm_head')


def choose_metrics(cfg: Config, metrics: Optional[Sequence[str]], tta: bool = False) -> None:
    """Sets the metrics of a config's COCO evaluators.

    Args:
        cfg (Config): The config; it is changed in place.
        metrics (Sequence[str], optional): Names from ``COCO_METRICS``, or PQ alone for a panoptic evaluator. None keeps the
            metrics of the config, without those that need masks.
        tta (bool): Whether the test uses test-time augmentation. It merges boxes and drops masks.

    Raises:
        FishNetError: If a name is unknown, or the model does not predict the masks that a metric needs.
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
            '--eval sets the metrics of a CocoMetric, but test_evaluator of this config has none: remove --eval to use the '
            'evaluator of the config'
        )
    unknown = [name for name in metrics if name not in COCO_METRICS]
    if unknown:
        raise FishNetError(f'--eval does not know {", ".join(unknown)}: use one or more of {", ".join(COCO_METRICS)}')
    if 'segm' in metrics and tta:
        raise FishNetError(
            '--eval segm does not work with --tta, which merges boxes and drops masks: use --eval bbox, or remove --tta'
        )
    if 'segm' in metrics and not predicts_masks(cfg):
        raise FishNetError(f'--eval segm needs masks, but {cfg.model.type} does not predict them: use --eval bbox')
    for evaluator in evaluators:
        evaluator.metric = list(metrics)


def predicts_masks(cfg: Config) -> bool:
    """Whether the model of a config predicts instance masks."""
    return any(name in MASK_PARTS and part or name == 'type' and 'Ins' in str(part) for name, part in _items(cfg.model))


def _items(value) -> Iterator[tuple]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield name, part
            yield from _items(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _items(part)
