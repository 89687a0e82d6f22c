"""The figure of whole iterations: bars of time, with the part that multiplies, and of memory."""

from pathlib import Path
from typing import List

from matplotlib.figure import Figure

COLORS = dict(float32='tab:blue', amp='tab:orange')


def draw_iterations(results: List[dict], machine: str) -> Figure:
    """Draws a bar for each result of :func:`.turns.compare`.

    Args:
        results (list[dict]): The results.
        machine (str): Written below.
    """
    names = list(map(title_of, results))
    colors = [COLORS['amp' if one['amp'] else 'float32'] for one in results]
    figure = Figure(figsize=(11, 1.4 + 0.42 * len(results)), dpi=95, layout='constrained')
    figure.supxlabel(machine, x=0.01, ha='left', fontsize=9, color='0.3')
    time, memory = figure.subplots(1, 2, sharey=True)
    places = range(len(results))[::-1]
    bars = time.barh(places, [one['median'] for one in results], color=colors, alpha=0.45)
    time.bar_label(bars, [f'{one["median"]:.2f}' for one in results], padding=3)
    time.barh(places, [one['median'] * share_of_products(one) for one in results], color=colors)
    time.set(title=f'{results[0]["step"]}, seconds (dark: products)', yticks=places, yticklabels=names)
    bars = memory.barh(places, [one['peak'] / 2**30 for one in results], color=colors)
    memory.bar_label(bars, [f'{one["peak"] / 2**30:.2f}' for one in results], padding=3)
    memory.set_title('peak memory, GiB')
    for panel in (time, memory):
        panel.margins(x=0.12)
        panel.set_axisbelow(True)
        panel.grid(axis='x', alpha=0.25)
    handles = [memory.barh(0, 0, color=color, label=name) for name, color in COLORS.items()]
    memory.legend(handles=handles, loc='lower right')
    return figure


def title_of(one: dict) -> str:
    """The config of a result, and how it was run."""
    return Path(one['config']).stem + ', as mmdet' * one['as_mmdet'] + ', compiled' * one['compile']


def share_of_products(one: dict) -> float:
    """The part of an iteration in convolutions and matrix products; 0 if it is not known."""
    return one['products'] / one['profiled'] if one['products'] else 0.0
