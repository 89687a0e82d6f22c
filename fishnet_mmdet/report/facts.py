"""What a page says of the run behind it: command, checkpoint, config, versions, and the curves of the training."""

import platform
import shlex
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Dict, List

import mmcv
import mmdet
import mmengine
import numpy
import torch
from mmengine.config import Config

from ..analysis.curves import last_value, score_curves
from ..analysis.runs import SCALARS, Run, read_run, score_name
from ..checkpoints.hashes import digest
from ..errors import FishNetError
from ..version import __version__

#: Points of a curve on the page.
POINTS = 400
#: The metadata of a model file that say where it comes from, and their names on the page.
ORIGIN = dict(config='Config', checkpoint='Checkpoint', precision='Precision', created='Exported by', versions='Exported with')


def facts_of_run(cfg: Config, checkpoint: str) -> Dict[str, object]:
    """What a page says of a config and its checkpoint.

    Returns:
        dict: 'facts' as of :func:`facts_of`, 'curves' as of :func:`training_curves`.
    """
    return dict(facts=facts_of(cfg, checkpoint), curves=training_curves(checkpoint))


def facts_of_exported_run(file: Path, properties: Dict[str, str]) -> Dict[str, object]:
    """What a page says of a model file: as :func:`facts_of_run`, without curves."""
    note = 'An exported model has no training log.'
    return dict(facts=facts_of_exported(file, properties), curves=dict(losses=[], scores=[], note=note))


def facts_of(cfg: Config, checkpoint: str) -> Dict[str, object]:
    """Command, checkpoint, versions, device and config of this process.

    Args:
        cfg (Config): The config that runs.
        checkpoint (str): A file, or a URL.
    """
    modules = dict(torch=torch, numpy=numpy, mmengine=mmengine, mmcv=mmcv, mmdet=mmdet)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU, {torch.get_num_threads()} threads'
    rows = dict(Command=command(), Config=str(cfg.filename or ''), Checkpoint=checkpoint, **process(modules, device))
    file = Path(checkpoint)
    if file.is_file():
        rows['SHA-256 of the checkpoint'] = sha256(file)
    return dict(rows=list(rows.items()), config=cfg.pretty_text)


def facts_of_exported(file: Path, properties: Dict[str, str]) -> Dict[str, object]:
    """Command, model file, what it says of its origin, versions and device of this process.

    Args:
        file (Path): The model file.
        properties (dict): Its metadata, texts by their names.
    """
    import onnxruntime

    origin = {label: properties.get(name, '') for name, label in ORIGIN.items()}
    here = process(dict(onnxruntime=onnxruntime, numpy=numpy), f'CPU, {torch.get_num_threads()} threads')
    rows = {'Command': command(), 'Model': str(file), **origin, **here, 'SHA-256 of the model': sha256(file)}
    return dict(rows=list(rows.items()), config='')


def command() -> str:
    """The command line of this process."""
    # python -m fishnet_mmdet COMMAND puts all of this into the first argument, and leaves COMMAND in the second one too.
    program = 'python -m fishnet_mmdet' if sys.argv[0].startswith('python ') else f'python {sys.argv[0]}'
    return f'{program} {shlex.join(sys.argv[1:])}'


def process(modules: Dict[str, ModuleType], device: str) -> Dict[str, str]:
    """Versions, device and date."""
    versions = [f'fishnet_mmdet {__version__}', f'Python {platform.python_version()}']
    return dict(
        Versions=', '.join(versions + [f'{name} {module.__version__}' for name, module in modules.items()]),
        Device=device,
        Date=datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z'),
    )


def sha256(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open('rb') as opened:
        return digest(opened, 'sha256')


def training_curves(checkpoint: str) -> Dict[str, object]:
    """The curves of the training that wrote a checkpoint, from the log in its folder.

    Returns:
        dict: 'losses' and 'scores', lists of curves with a name, a last value and points (x, y); 'note', what to say if
        there is no log.
    """
    folder = Path(checkpoint).parent
    if not any(folder.glob(SCALARS)):
        return dict(losses=[], scores=[], note=f'There is no training log beside the checkpoint, in {folder}.')
    try:
        run = read_run(folder)
    except FishNetError as error:
        return dict(losses=[], scores=[], note=str(error))
    return dict(losses=loss_curves(run), scores=validation_curves(run), note='')


def loss_curves(run: Run) -> List[dict]:
    """The total loss first, then its parts."""
    names = sorted({key for record in run.training for key in record if key.startswith('loss')})
    curves = []
    for name in sorted(names, key=lambda name: name != 'loss'):
        points = [(record['step'], record[name]) for record in run.training if name in record]
        curves.append(dict(name='total loss' if name == 'loss' else name, points=thinned(points)))
    return curves


def validation_curves(run: Run) -> List[dict]:
    """AP and AP50, or accuracies, by epoch."""
    return [
        dict(name=score_name(key), points=points, last=last_value(key, points))
        for key, points in score_curves(run.validation).items()
    ]


def thinned(points: List[tuple]) -> List[tuple]:
    """At most ``POINTS`` points: each is the mean of its neighbours. Values that are not finite are left out."""
    values = numpy.array(points, float)
    values = values[numpy.isfinite(values).all(axis=1)]
    parts = numpy.array_split(values, min(len(values), POINTS)) if len(values) else []
    return [(round(float(x), 1), float(f'{y:.5g}')) for x, y in (part.mean(axis=0) for part in parts)]
