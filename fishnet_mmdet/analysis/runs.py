"""What mmengine logged of a training run."""

import json
import math
from pathlib import Path
from typing import List, NamedTuple

from ..errors import FishNetError

SCALARS = '*/vis_data/scalars.json'
AP_NAMES = {'_mAP': ' AP', '_mAP_50': ' AP50'}
ACCURACY_NAMES = {'accuracy/top1': 'top-1 accuracy', 'accuracy/top5': 'top-5 accuracy'}


class Run(NamedTuple):
    """The records of a run; 'step' counts from 1."""

    #: By iteration ('step'), with 'loss'.
    training: List[dict]
    #: By epoch ('step'). A validation that found no object has no scores.
    validation: List[dict]


def read_run(work_dir: Path) -> Run:
    """Reads what mmengine logged in a work dir.

    A later start (resumed, or begun again) replaces the records of earlier starts from its own first step on.

    Args:
        work_dir (Path): The work dir. It has one folder for each start, named by its time.

    Raises:
        FishNetError: If no losses or scores were logged there, or a file is damaged.
    """
    training, validation = [], []
    for file in sorted(work_dir.glob(SCALARS)):
        records = read_lines(file)
        steps = [record for record in records if 'loss' in record]
        epochs = [record for record in records if is_validation(record)]
        first_step = min((record['step'] for record in steps), default=math.inf)
        first_epoch = min(
            [record['step'] for record in epochs] + [record.get('epoch', math.inf) for record in steps], default=math.inf
        )
        training = [record for record in training if record['step'] < first_step] + steps
        validation = [record for record in validation if record['step'] < first_epoch] + epochs
    if not training and not any(map(has_scores, validation)):
        raise FishNetError(
            f'{work_dir} has no {SCALARS} with losses, AP or accuracy: give the --work-dir of a training run, after its '
            'first logged iteration'
        )
    return Run(training, validation)


def read_lines(file: Path) -> List[dict]:
    """Reads a file of JSON lines. An incomplete last line is skipped: it is still being written.

    Raises:
        FishNetError: If another line is damaged.
    """
    lines = file.read_text().splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append({'step': 0, **json.loads(line)})
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise FishNetError(f'{file}, line {number} is no JSON of mmengine ({error}): remove the line') from error
    return records


def is_validation(record: dict) -> bool:
    """Whether a record is from a validation.

    mmengine logs 'data_time' there even if mmdet's CocoMetric returns no scores because no object was found.
    """
    return has_scores(record) or 'data_time' in record and 'loss' not in record


def has_scores(record: dict) -> bool:
    """Whether a record has an AP or an accuracy."""
    return any(map(score_name, record))


def score_name(key: str) -> str:
    """The name of a logged score: 'bbox AP50' for 'coco/bbox_mAP_50'; '' for a key that is neither AP nor accuracy."""
    if key in ACCURACY_NAMES:
        return ACCURACY_NAMES[key]
    name = key.split('/', 1)[-1]
    return next((name[: -len(end)] + short for end, short in AP_NAMES.items() if name.endswith(end)), '')
