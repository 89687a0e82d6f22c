"""A process of its own that runs one model, so that its start and its memory can be measured.

``python -c`` with ``PROGRAM`` starts it. It reads the job and then a line for each run from its input, and answers each with a
line of JSON.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Optional

import cv2
import numpy as np

#: Exported models run where torch and mmdet are not installed: there, the package does not import them.
STACK = ('torch', 'mmengine', 'mmcv', 'mmdet')
#: Starts the process of a model, with the stack or without it.
PROGRAM = (
    'import sys; sys.modules.update(dict.fromkeys({hidden!r})); from fishnet_mmdet.analysis.model_process import main; main()'
)

Predict = Callable[[np.ndarray], object]


def main() -> None:
    """Loads a model and runs it as often as it is asked to."""
    # What libraries print goes with the errors.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    predict = LOADERS[job['kind']](job)
    image = cv2.imread(job['image'])

    def answer(**values) -> None:
        print(json.dumps(values), file=answers, flush=True)

    answer(found=count(predict(image)))
    for _ in sys.stdin:
        begin = time.perf_counter()
        predict(image)
        answer(seconds=time.perf_counter() - begin, peak_bytes=peak())


def load_pytorch(job: dict) -> Predict:
    """The model of a config and a checkpoint, as the command ``infer`` runs it."""
    import torch
    from mmengine.config import Config

    from ..checkpoints import read_files_in_mmengine
    from ..engine.compiling import compile_parts
    from ..engine.memory import keep_freed_memory
    from ..inference import Predictor

    read_files_in_mmengine()
    keep_freed_memory()
    torch.set_num_threads(job['threads'])
    predictor = Predictor(Config.fromfile(job['config']), job['checkpoint'], 'cpu')
    if job['compile']:
        compile_parts(predictor.model)
    return predictor


def load_exported(job: dict) -> Predict:
    """A model file."""
    from ..deploy import Detector

    return Detector(job['file'], threads=job['threads'], runtime=job['runtime'])


LOADERS: Dict[str, Callable[[dict], Predict]] = dict(pytorch=load_pytorch, exported=load_exported)


def count(found) -> Optional[int]:
    """The number of objects, if the model finds objects."""
    found = getattr(found, 'pred_instances', found)
    return len(found.scores) if hasattr(found, 'boxes') or hasattr(found, 'bboxes') else None


def peak() -> Optional[int]:
    """The most bytes that this process had in memory; None if the system does not tell."""
    status = Path('/proc/self/status')
    return 1024 * int(re.search(r'VmHWM:\s+(\d+) kB', status.read_text())[1]) if status.is_file() else None
