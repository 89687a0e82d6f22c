"""The curves of training runs: losses and learning rate, AP or accuracy."""

import math
from typing import Dict, List, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .runs import ACCURACY_NAMES, Run, score_name

GREY, RED = '0.45', '#c0392b'
#: Characters in a line of a legend that is as wide as its panel.
LINE = 80


def draw_curves(run: Run, title: str = '') -> Figure:
    """Draws the curves of a run.

    Args:
        run (Run): The run, as :func:`.runs.read_run` returns it.
        title (str): The title of the picture.

    Returns:
        Figure: Losses and learning rate to the left, AP and AP50 (0 ... 1) or accuracies (percent) to the right.
    """
    figure = Figure(figsize=(14, 5.6), dpi=110, layout='constrained')
    figure.suptitle(title, weight='bold')
    losses, scores = figure.subplots(1, 2)
    draw_losses(losses, run.training)
    draw_scores(scores, run.validation)
    return figure


def draw_losses(ax: Axes, training: List[dict]) -> None:
    """Draws the total loss and its parts, the learning rate on a second axis, and where the loss stops being finite."""
    for name in sorted({key for record in training for key in record if key.startswith('loss')}):
        points = [(record['step'], record[name]) for record in training if name in record]
        style = dict(color='black', lw=2.2, zorder=3) if name == 'loss' else dict(lw=1.3)
        ax.plot(*zip(*points), label='total loss' if name == 'loss' else name, **style)
    draw_learning_rate(ax, training)
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
    set_log_scale(ax, training)
    add_grid_and_legend(ax, legend_columns=4)


def draw_learning_rate(ax: Axes, training: List[dict]) -> None:
    """Draws the learning rate on a second axis, behind the losses and their legend."""
    rates = ax.twinx()
    ax.set(zorder=rates.get_zorder() + 1, facecolor='none')
    points = [(record['step'], record['lr']) for record in training if 'lr' in record]
    ax.plot([], [], '--', color=GREY, lw=1.2, label='learning rate')
    rates.plot(*zip(*points or [(0, math.nan)]), '--', color=GREY, lw=1.2)
    rates.set(ylabel='learning rate', ylim=(0, None))
    rates.yaxis.label.set_color(GREY)


def draw_scores(ax: Axes, validation: List[dict]) -> None:
    """Draws AP or accuracy (solid), AP50 and top-5 accuracy (dashed, hollow), with the last values in the legend."""
    curves = score_curves(validation)
    colours = {name: f'C{number}' for number, name in enumerate(sorted(set(map(metric_of, curves))))}
    for key, points in curves.items():
        look = dict(ls='--', mfc='white') if score_name(key).endswith(('AP50', 'top-5 accuracy')) else dict(ls='-')
        label = f'{score_name(key)}: {last_value(key, points)}'
        ax.plot(*zip(*points), color=colours[metric_of(key)], marker='o', ms=5, label=label, **look)
    scored = {epoch for points in curves.values() for epoch, _ in points}
    empty = [record['step'] for record in validation if record['step'] not in scored]
    if empty:
        text = f'no object found in the validation of epoch {", ".join(map(str, empty))}'
        ax.text(0.5, 0.96, text, color=RED, ha='center', va='top', transform=ax.transAxes, wrap=True)
    if validation:
        ax.set_xlim(0, validation[-1]['step'] + 0.5)
    else:
        ax.text(0.5, 0.5, 'no validation yet', color=GREY, ha='center', va='center', transform=ax.transAxes)
    ax.set(title='Validation (legend: the last value)', xlabel='epoch', ylabel=unit_of(curves), ylim=(0, None))
    add_grid_and_legend(ax, legend_columns=2)


def draw_comparison(runs: Dict[str, Run]) -> Figure:
    """Draws several runs in one picture: the total losses to the left, AP or top-1 accuracy to the right.

    Args:
        runs (dict[str, Run]): The runs by name.
    """
    # The legend has two lines a run, boxes and masks, if their names are long.
    figure = Figure(figsize=(14, 4.8 + 0.4 * len(runs)), dpi=110, layout='constrained')
    losses, scores = figure.subplots(1, 2)
    shown = []
    for number, (name, run) in enumerate(runs.items()):
        colour = f'C{number}'
        losses.plot([r['step'] for r in run.training], [r['loss'] for r in run.training], color=colour, lw=1.6, label=name)
        curves = {
            key: points
            for key, points in score_curves(run.validation).items()
            if score_name(key).endswith((' AP', 'top-1 accuracy'))
        }
        # Boxes and masks differ in line and marker, so that equal values can be told apart.
        for (key, points), style, marker in zip(curves.items(), ('-', '--', ':'), 'osD'):
            label = f'{name}, {score_name(key)}: {last_value(key, points)}'
            scores.plot(*zip(*points), style, color=colour, marker=marker, ms=6, mfc='none', label=label)
        if not curves:
            scores.plot([], [], color=colour, label=f'{name}: no scores')
        shown += curves
    losses.set(title='Total loss', xlabel='iteration', ylabel='loss')
    set_log_scale(losses, [record for run in runs.values() for record in run.training])
    scores.set(title='Validation (legend: the last value)', xlabel='epoch', ylabel=unit_of(shown))
    # The invisible point starts both axes at 0 even if a run has one validation.
    scores.plot(0, 0, alpha=0)
    scores.set(xlim=(0, None), ylim=(0, None))
    add_grid_and_legend(losses, legend_columns=2)
    add_grid_and_legend(scores, legend_columns=2)
    return figure


def score_curves(validation: List[dict]) -> Dict[str, List[Tuple[int, float]]]:
    """The scores by logged key, each as points (epoch, value). COCO's -1, for a class without objects, is left out."""
    curves = {}
    for key in sorted({key for record in validation for key in record if score_name(key)}):
        points = [(record['step'], record[key]) for record in validation if record.get(key, -1) >= 0]
        if points:
            curves[key] = points
    return curves


def metric_of(key: str) -> str:
    """The name that AP and AP50 of the same predictions share."""
    return 'accuracy' if key in ACCURACY_NAMES else score_name(key).rsplit(' ', 1)[0]


def last_value(key: str, points: List[Tuple[int, float]]) -> str:
    """The last value for the legend: AP from 0 to 1, accuracy in percent."""
    return f'{points[-1][1]:.2f} %' if key in ACCURACY_NAMES else f'{points[-1][1]:.3f}'


def unit_of(keys) -> str:
    """The label of the axis."""
    return 'accuracy in percent' if set(keys) & set(ACCURACY_NAMES) else 'AP'


def set_log_scale(ax: Axes, training: List[dict]) -> None:
    """Makes the loss axis logarithmic, which matplotlib refuses if there is no positive finite value."""
    if any(0 < record['loss'] < math.inf for record in training):
        ax.set(yscale='log', ylabel='loss (log scale)')


def add_grid_and_legend(ax: Axes, legend_columns: int) -> None:
    """Adds the grid, whole numbers below, and the legend under the panel, with fewer columns if its texts are long."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    if ax.lines:
        longest = max(len(text) for text in ax.get_legend_handles_labels()[1])
        columns = min(legend_columns, max(1, LINE // (longest + len('-o-   '))))
        ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.11), ncols=columns, frameon=False)
