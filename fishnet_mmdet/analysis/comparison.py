"""Detectors trained one after another with several seeds, and what their logs say."""

import hashlib
import json
import statistics
from pathlib import Path
from typing import Dict, Iterable, List

from mmengine.config import Config

from ..engine.building import build_runner
from ..engine.checks import check_data, check_initialisation
from ..engine.config_checks import check_config
from .runs import Run, read_run

SCORES = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'segm_mAP', 'segm_mAP_50', 'segm_mAP_75')


def train(cfg: Config, work_dir: Path) -> None:
    """Trains a detector. A run that was interrupted goes on from its last checkpoint.

    Args:
        cfg (Config): The config.
        work_dir (Path): The folder of the run.

    Raises:
        FishNetError: If the config is wrong, or the data or pretrained weights are missing.
    """
    check_config(cfg, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'))
    check_data(cfg, ['train_dataloader', 'val_dataloader'])
    check_initialisation(cfg)
    cfg.work_dir = str(work_dir)
    cfg.resume = True
    build_runner(cfg).train()


def is_finished(cfg: Config, work_dir: Path) -> bool:
    """Whether the run in a folder has been validated after its last epoch."""
    if not any(work_dir.glob('*/vis_data/scalars.json')):
        return False
    return any(record['step'] == cfg.train_cfg.max_epochs for record in read_run(work_dir).validation)


def hash_of(cfg: Config) -> str:
    """The beginning of a hash of all settings of a config: equal for the same training on another machine."""
    return hashlib.sha256(json.dumps(cfg.to_dict(), sort_keys=True, default=str).encode()).hexdigest()[:12]


def summary_of(run: Run) -> Dict[str, object]:
    """What a run's logs say.

    Returns:
        dict: ``curve``: of each validation the epoch and the scores of COCO, from 0 to 1; ``seconds_per_iteration`` and
        ``seconds_per_image``: the medians of the logged times, in training and in validation.
    """
    curve = [
        dict(epoch=record['step'], **{name: record.get(f'coco/{name}', 0.0) for name in SCORES}) for record in run.validation
    ]
    return dict(
        curve=curve,
        seconds_per_iteration=statistics.median(record['time'] for record in run.training),
        seconds_per_image=statistics.median(record['time'] for record in run.validation),
    )


def table(rows: Iterable[dict]) -> str:
    """A Markdown table of the last validations: for each config and score the mean of the seeds, and the smallest and largest.

    Args:
        rows (Iterable[dict]): Of each run its ``config``, and ``curve`` of :func:`summary_of`.
    """
    of_config: Dict[str, List[dict]] = {}
    for row in rows:
        of_config.setdefault(row['config'], []).append(row['curve'][-1])
    lines = [f'| config | seeds | {" | ".join(SCORES)} |', f'|---|---|{"---|" * len(SCORES)}']
    for config, lasts in of_config.items():
        cells = []
        for name in SCORES:
            values = [100 * last[name] for last in lasts]
            cells.append(f'{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})')
        lines.append(f'| {config} | {len(lasts)} | {" | ".join(cells)} |')
    return '\n'.join(lines)
