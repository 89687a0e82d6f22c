"""Models trained one after another with several seeds, and what their logs say."""

import hashlib
import json
import statistics
from pathlib import Path
from typing import Dict, Iterable, List

from mmengine.config import Config

from ..engine.building import build_runner
from ..engine.checks import check_data, check_initialisation
from ..engine.config_checks import check_config
from .counts import count_parameters
from .runs import Run, read_run

#: The scores of a validation, by their names in the logs, and what makes percent of them: of detectors and of classifiers.
SCORES = {
    **{f'coco/{kind}_mAP{at}': 100 for kind in ('bbox', 'segm') for at in ('', '_50', '_75')},
    'accuracy/top1': 1,
}


def train(cfg: Config, work_dir: Path) -> int:
    """Trains a model. A run that was interrupted goes on from its last checkpoint, and a finished one is only counted.

    Args:
        cfg (Config): The config.
        work_dir (Path): The folder of the run.

    Returns:
        int: The parameters of the model.

    Raises:
        FishNetError: If the config is wrong, or the data or pretrained weights are missing.
    """
    check_config(cfg, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'))
    check_data(cfg, ['train_dataloader', 'val_dataloader'])
    check_initialisation(cfg)
    cfg.work_dir = str(work_dir)
    cfg.resume = True
    # mmengine has one visualizer of a name in a process, and that one logs into the work dir of the first run.
    cfg.get('visualizer', {}).pop('name', None)
    runner = build_runner(cfg)
    if not is_finished(cfg, work_dir):
        runner.train()
    return count_parameters(runner.model)


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
        dict: ``curve``: of each validation the epoch and the ``SCORES``, in percent; ``seconds_per_iteration`` and
        ``seconds_per_batch_of_validation``: the medians of the logged times.
    """
    names = {name for record in run.validation for name in record if name in SCORES}
    curve = [
        # A detector that finds nothing has no scores.
        dict(epoch=record['step'], **{name: scale * record.get(name, 0.0) for name, scale in SCORES.items() if name in names})
        for record in run.validation
    ]
    return dict(
        curve=curve,
        seconds_per_iteration=statistics.median(record['time'] for record in run.training),
        seconds_per_batch_of_validation=statistics.median(record['time'] for record in run.validation),
    )


def table(rows: Iterable[dict]) -> str:
    """A Markdown table of the last validations: for each config and score the mean of the seeds, and the smallest and largest.

    Args:
        rows (Iterable[dict]): Of each run its ``config``, ``parameters``, and the results of :func:`summary_of`.
    """
    of_config: Dict[str, List[dict]] = {}
    for row in rows:
        of_config.setdefault(row['config'], []).append(row)
    names = [name for name in SCORES if any(name in runs[0]['curve'][-1] for runs in of_config.values())]
    titles = ['config', 'seeds', 'parameters', 's per iteration', *(name.partition('/')[2] for name in names)]
    lines = [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|']
    for config, runs in of_config.items():
        seconds = statistics.mean(run['seconds_per_iteration'] for run in runs)
        cells = [config, str(len(runs)), f'{runs[0]["parameters"]:,}', f'{seconds:.3g}']
        for name in names:
            values = [run['curve'][-1].get(name, 0.0) for run in runs]
            cells.append(f'{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})')
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)
