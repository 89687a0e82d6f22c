"""Draws the losses and scores of training runs: python tools/plot_curves.py WORK_DIR [WORK_DIR ...] [--out FILE]"""

import argparse
import json
import math
from pathlib import Path
from typing import Dict, List, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.errors import FishNetError

SCALARS = '*/vis_data/scalars.json'
AP_NAMES = {'_mAP': ' AP', '_mAP_50': ' AP50'}
ACCURACY_NAMES = {'accuracy/top1': 'top-1 accuracy', 'accuracy/top5': 'top-5 accuracy'}
GREY, RED = '0.45', '#c0392b'


def read_run(work_dir: Path) -> Tuple[List[dict], List[dict]]:
    """Reads what mmengine logged in a work dir.

    A later start of the same run (resumed, or begun again) replaces what earlier ones logged from its first step on.

    Args:
        work_dir (Path): The folder with a folder for each start, named by its time.

    Returns:
        tuple[list[dict], list[dict]]: What was logged in training, by 'step' (the iteration), and in validation, by
        'step' (the epoch), both counted from 1.

    Raises:
        FishNetError: If nothing was logged there, or a file is damaged.
    """
    training, validation = [], []
    for file in sorted(work_dir.glob(SCALARS)):
        records = read_lines(file)
        steps = [record for record in records if 'loss' in record]
        scores = [record for record in records if any(map(score_name, record))]
        first_step = min((record['step'] for record in steps), default=math.inf)
        first_epoch = min(
            [record['step'] for record in scores] + [record.get('epoch', math.inf) for record in steps],
            default=math.inf,
        )
        training = [record for record in training if record['step'] < first_step] + steps
        validation = [record for record in validation if record['step'] < first_epoch] + scores
    if not training and not validation:
        raise FishNetError(
            f'nothing to draw in {work_dir}: there is no {SCALARS} with losses, AP or accuracy in it. Give the '
            '--work-dir of a training run of tools/train.py, after its first logged iteration'
        )
    return training, validation


def read_lines(file: Path) -> List[dict]:
    """The records of a file of JSON lines, the last of which may still be being written."""
    lines = file.read_text().splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append({'step': 0, **json.loads(line)})
        except (ValueError, TypeError) as error:
            if number < len(lines):
                message = f'{file}, line {number} is not what mmengine logs ({error}): remove the line'
                raise FishNetError(message) from error
    return records


def score_name(key: str) -> str:
    """What the legend calls a logged value: 'bbox AP50' for 'coco/bbox_mAP_50', '' if it is neither AP nor accuracy."""
    if key in ACCURACY_NAMES:
        return ACCURACY_NAMES[key]
    name = key.split('/', 1)[-1]
    return next((name[: -len(end)] + short for end, short in AP_NAMES.items() if name.endswith(end)), '')


def draw_curves(training: List[dict], validation: List[dict], title: str = '') -> Figure:
    """Draws the curves of a run, as :func:`read_run` returns it.

    Args:
        training (list[dict]): Values by iteration.
        validation (list[dict]): Values by epoch.
        title (str): The picture's title.

    Returns:
        Figure: Losses and learning rate to the left, AP and AP50 (0 ... 1) or accuracies (percent) to the right.
    """
    figure = Figure(figsize=(14, 5.6), dpi=110, layout='constrained')
    figure.suptitle(title, weight='bold')
    losses, scores = figure.subplots(1, 2)
    draw_losses(losses, training)
    draw_scores(scores, validation)
    return figure


def draw_losses(ax: Axes, training: List[dict]) -> None:
    """Total loss and its parts, the learning rate on a second axis; where the total is no number, it says so."""
    names = sorted({key for record in training for key in record if key.startswith('loss')})
    for name in names:
        points = [(record['step'], record[name]) for record in training if name in record]
        style = dict(color='black', lw=2.2, zorder=3) if name == 'loss' else dict(lw=1.3)
        ax.plot(*zip(*points), label='total loss' if name == 'loss' else name, **style)
    rates = ax.twinx()
    # What is on the first axis, the legend too, lies above the learning rate.
    ax.set(zorder=rates.get_zorder() + 1, facecolor='none')
    points = [(record['step'], record['lr']) for record in training if 'lr' in record]
    ax.plot([], [], '--', color=GREY, lw=1.2, label='learning rate')
    rates.plot(*zip(*points or [(0, math.nan)]), '--', color=GREY, lw=1.2)
    rates.set(ylabel='learning rate', ylim=(0, None))
    rates.yaxis.label.set_color(GREY)
    broken = [record['step'] for record in training if not math.isfinite(record['loss'])]
    if broken:
        ax.axvline(broken[0], color=RED, lw=1.2)
        ax.annotate(
            f'loss is not finite\nat iteration {broken[0]}',
            (broken[0], 0.5),
            (6, 0),
            color=RED,
            va='center',
            xycoords=('data', 'axes fraction'),
            textcoords='offset points',
        )
    ax.set(title='Losses', xlabel='iteration', ylabel='loss')
    # matplotlib refuses a logarithmic axis for nothing, or for NaN alone.
    if any(0 < record['loss'] < math.inf for record in training):
        ax.set(yscale='log', ylabel='loss (log scale)')
    decorate(ax, legend_columns=4)


def draw_scores(ax: Axes, validation: List[dict]) -> None:
    """AP or accuracy (solid), AP50 and top-5 accuracy (dashed, hollow), with their last values in the legend."""
    keys = sorted({key for record in validation for key in record if score_name(key)})
    metrics = sorted({metric_of(key) for key in keys})
    for key in keys:
        points = [(record['step'], record[key]) for record in validation if key in record]
        colour = f'C{metrics.index(metric_of(key))}'
        look = dict(ls='--', mfc='white') if score_name(key).endswith(('AP50', 'top-5 accuracy')) else dict(ls='-')
        ax.plot(*zip(*points), color=colour, marker='o', ms=5, label=f'{score_name(key)}: {last_value(key, points)}', **look)
    if keys:
        ax.set_xlim(0, validation[-1]['step'] + 0.5)
    else:
        ax.text(0.5, 0.5, 'no validation yet', color=GREY, ha='center', va='center', transform=ax.transAxes)
    ax.set(title='Validation (legend: the last value)', xlabel='epoch', ylabel=unit_of(keys), ylim=(0, None))
    decorate(ax, legend_columns=2)


def metric_of(key: str) -> str:
    """What AP and AP50 of the same predictions share."""
    return 'accuracy' if key in ACCURACY_NAMES else score_name(key).rsplit(' ', 1)[0]


def last_value(key: str, points: List[tuple]) -> str:
    """The last value for the legend: AP from 0 to 1, accuracy in percent."""
    return f'{points[-1][1]:.2f} %' if key in ACCURACY_NAMES else f'{points[-1][1]:.3f}'


def unit_of(keys: List[str]) -> str:
    """The label of the axis."""
    return 'accuracy in percent' if set(keys) & set(ACCURACY_NAMES) else 'AP'


def draw_comparison(runs: Dict[str, Tuple[List[dict], List[dict]]]) -> Figure:
    """Draws several runs in one picture: the total losses to the left, AP50 or top-1 accuracy to the right.

    Args:
        runs (dict[str, tuple[list[dict], list[dict]]]): What :func:`read_run` returns, by the name of the run.

    Returns:
        Figure: The picture.
    """
    figure = Figure(figsize=(14, 5.6), dpi=110, layout='constrained')
    losses, scores = figure.subplots(1, 2)
    shown = []
    for number, (name, (training, validation)) in enumerate(runs.items()):
        losses.plot([r['step'] for r in training], [r['loss'] for r in training], color=f'C{number}', lw=1.6, label=name)
        keys = sorted({key for record in validation for key in record if score_name(key).endswith(('AP50', 'top-1 accuracy'))})
        for key, style in zip(keys, ('-', '--', ':')):
            points = [(record['step'], record[key]) for record in validation if key in record]
            label = f'{name}, {score_name(key)}: {last_value(key, points)}'
            scores.plot(*zip(*points), style, color=f'C{number}', marker='o', ms=5, label=label)
        shown += keys
    losses.set(title='Total loss', xlabel='iteration', ylabel='loss (log scale)', yscale='log')
    scores.set(title='Validation (legend: the last value)', xlabel='epoch', ylabel=unit_of(shown))
    # From the origin, also where a run was validated once.
    scores.plot(0, 0, alpha=0)
    scores.set(xlim=(0, None), ylim=(0, None))
    decorate(losses, legend_columns=2)
    decorate(scores, legend_columns=2)
    return figure


def decorate(ax: Axes, legend_columns: int) -> None:
    """What both panels have."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    if ax.lines:
        ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.11), ncols=legend_columns, frameon=False)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description='Draws the losses and scores of a training run, or compares several.')
    parser.add_argument('work_dirs', type=Path, nargs='+', metavar='WORK_DIR', help='the work dir of a run')
    parser.add_argument('--out', type=Path, metavar='FILE', help='the picture to write (default: WORK_DIR/curves.png)')
    args = parser.parse_args()
    out = args.out or args.work_dirs[0] / 'curves.png'
    runs = {work_dir.resolve().name: read_run(work_dir) for work_dir in args.work_dirs}
    if len(runs) < len(args.work_dirs):
        raise FishNetError('runs are compared by the names of their work dirs, which must differ')
    figure = draw_comparison(runs) if len(runs) > 1 else draw_curves(*read_run(args.work_dirs[0]), title=next(iter(runs)))
    try:
        figure.savefig(out)
    except (OSError, ValueError) as error:
        raise FishNetError(
            f'the picture cannot be written to {out} ({error}): give --out a file name that ends with .png, in a '
            'folder that is there'
        ) from error
    print(out)


if __name__ == '__main__':
    launch.run(main)
