"""The annotation files of evaluators, compared with those of the data sets that they evaluate."""

import os
from typing import Sequence

from mmengine.config import Config

from ..errors import FishNetError
from .config_tree import datasets_in


def check_evaluator_files(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Checks that each evaluator reads the annotation file of its data set.

    A config names the file twice, and the results of one data set are wrong by the truth of another.

    Args:
        cfg (Config): The config.
        dataloaders (Sequence[str]): Their keys in the config; the evaluators' keys follow from them.

    Raises:
        FishNetError: If an evaluator reads another file.
    """
    for key in dataloaders:
        datasets = list(datasets_in((cfg.get(key) or {}).get('dataset')))
        evaluator_key = key.replace('dataloader', 'evaluator')
        evaluators = cfg.get(evaluator_key) or []
        # Panoptic data has a second file, with the instances alone.
        if len(datasets) != 1 or not datasets[0].get('ann_file') or 'Panoptic' in str(datasets[0].get('type')):
            continue
        path = os.path.join(datasets[0].get('data_root') or '', datasets[0]['ann_file'])
        for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
            file = evaluator.get('ann_file')
            # Paths of a remote storage are not compared.
            if file and '://' not in path + file and os.path.realpath(file) != os.path.realpath(path):
                raise FishNetError(
                    f'{evaluator_key}.ann_file is {file}, but the data set of {key} reads {path}: set both to the same file'
                )
