"""The figure of time and memory: against the input size or the batch, or as bars."""

from collections import Counter
from itertools import product
from typing import Callable, Dict, Iterable, List, Tuple

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from .networks import FAMILIES
from .timing import headline

#: Key of the results, title, divisor and unit.
QUANTITIES = (
    ('median_seconds', 'time of a step', 1e-3, 'ms'),
    ('peak_bytes', 'peak memory', 2**20, 'MiB'),
    ('saved_bytes', 'saved for backward', 2**20, 'MiB'),
)
LINES = ('-', '--', ':', '-.')


def draw_timing(results: List[dict], about: dict) -> Figure:
    """Draws time and memory, a row of panels for each step.

    Args:
        results (list[dict]): Results of :func:`.timing.compare`. If sizes or batches differ, each network is a line against
            them; otherwise it is a bar.
        about (dict): The result of :func:`.timing.describe`.
    """
    steps = list(dict.fromkeys(row['step'] for row in results))
    columns = [quantity for quantity in QUANTITIES if any(row[quantity[0]] is not None for row in results)]
    looks = choose_looks({row['title']: row['family'] for row in results}.items())
    several = len({row['images'] for row in results}) > 1
    figure = Figure(figsize=(14, 1 + len(steps) * (4.4 if several else 1 + 0.34 * len(looks))), dpi=95, layout='constrained')
    figure.suptitle('Backbones: time and memory' + ('' if several else f', {results[0]["images"]} pixels'), weight='bold')
    figure.supxlabel(headline(about), x=0.01, ha='left', fontsize=9, color='0.3')
    panels = figure.subplots(len(steps), len(columns), squeeze=False, sharey=not several)
    label, x_of = choose_axis(results)
    for (i, step), (j, (key, name, divisor, unit)) in product(enumerate(steps), enumerate(columns)):
        rows = [
            dict(row, x=x_of(row), y=row[key] / divisor) for row in results if row['step'] == step and row[key] is not None
        ]
        if not rows:
            panels[i, j].remove()
            continue
        if several:
            draw_lines(panels[i, j], rows, looks)
            panels[i, j].set(xlabel=label, ylabel=unit)
        else:
            draw_bars(panels[i, j], rows, looks)
            panels[i, j].set(xlabel=unit)
        panels[i, j].set(title=f'{step}: {name}', axisbelow=True)
        panels[i, j].grid(alpha=0.25)
    if several:
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc='outside right upper', frameon=False)
    return figure


def choose_axis(results: List[dict]) -> Tuple[str, Callable[[dict], float]]:
    """The quantity in which the cases differ: its label, and its value for a result."""
    sizes = {(row['height'], row['width']) for row in results}
    if len(sizes) == 1:
        return 'batch: images of {}x{}'.format(*sizes.pop()), lambda row: row['batch']
    if len({row['batch'] for row in results}) == 1:
        return f'pixels of an image, millions (batch {results[0]["batch"]})', lambda row: row['height'] * row['width'] / 1e6
    return 'pixels of a batch, millions', lambda row: row['height'] * row['width'] * row['batch'] / 1e6


def choose_looks(titles: Iterable[Tuple[str, str]]) -> Dict[str, dict]:
    """How the networks, given as (title, family), are drawn: each next one of a family is paler and hollow."""
    looks, seen = {}, Counter()
    for title, family in titles:
        number = seen[family]
        seen[family] += 1
        colour = tuple(1 - (1 - channel) * 0.7**number for channel in to_rgb(FAMILIES[family].colour))
        marker = FAMILIES[family].marker
        looks[title] = dict(color=colour, marker=marker, mfc='white' if number else colour, ls=LINES[number % len(LINES)])
    return looks


def draw_lines(ax: Axes, rows: List[dict], looks: Dict[str, dict]) -> None:
    """Draws a line for each network, both axes logarithmic."""
    for title, look in looks.items():
        points = sorted((row['x'], row['y']) for row in rows if row['title'] == title)
        ax.plot([x for x, _ in points], [y for _, y in points], **look, ms=7, lw=1.6, label=title)
    ax.set(xscale='log', yscale='log')
    for axis, digits in ((ax.xaxis, (1, 2, 5)), (ax.yaxis, (1, 1.5, 2, 3, 5, 7))):
        axis.set_major_locator(LogLocator(subs=digits))
        axis.set_major_formatter('{x:,g}')
        axis.set_minor_locator(NullLocator())


def draw_bars(ax: Axes, rows: List[dict], looks: Dict[str, dict]) -> None:
    """Draws a bar for each network, the first on top."""
    places = [list(looks).index(row['title']) for row in rows]
    bars = ax.barh(places, [row['y'] for row in rows], color=[looks[row['title']]['color'] for row in rows], height=0.7)
    ax.bar_label(bars, fmt='{:,.1f}', padding=3, fontsize=9)
    ax.margins(x=0.17)
    ax.set(ylim=(len(looks) - 0.5, -0.5))
    ax.set_yticks(range(len(looks)), looks)
