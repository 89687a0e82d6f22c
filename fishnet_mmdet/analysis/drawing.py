"""The drawing of a fish from tail to head: the picture of the README."""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path as Curve
from scipy.interpolate import PchipInterpolator

from ..models import Fish
from ..models.variants import name_of

COLOURS = dict(tail='#2b7bba', bridge='#8a5fb0', body='#e58a1f', head='#2a9d6f')
TINTS = dict(tail='#e3eff8', bridge='#efe7f6', body='#fcefdc', head='#e0f3ea')
DARK, GREY = '#2d3440', '#6b7480'
DPI = 95
# Lengths in hundredths of an inch. LOW: half the height of the lowest box; STEP: added by a doubled resolution; SKIN: margin.
LOW, STEP, SKIN = 68, 51, 60
WIDE, NARROW, UNITS_GAP, BRIDGE_GAP, POOL_GAP = 58, 42, 58, 96, 32
INSET, ROW, TURN = 15, 46, 12
LEGEND = (
    'box: a feature, with its channels and /stride',
    'two colours: [refined, transferred], concatenated',
    'R×n: n residual units,  T×n: n transfer units',
    'next box lower: 2×2 max-pooling, higher: up-sampling',
)


@dataclass
class Box:
    """A feature, drawn as a box.

    Attributes:
        parts (Sequence[tuple[int, str]]): Channels and part of the fish of what is concatenated, the refined one first.
    """

    name: str
    stride: int
    half: float
    parts: Sequence[Tuple[int, str]]
    x: float
    width: float

    @property
    def right(self) -> float:
        """float: Its right edge."""
        return self.x + self.width

    @property
    def centre(self) -> float:
        """float: The middle between its edges."""
        return self.x + self.width / 2


def lay_out(fish: Fish) -> Tuple[List[Box], List[Box]]:
    """Places the boxes of the features F0, F1 ... and of the head's refined features R(F7), R(F8) ... from left to right."""
    n, features, refined = fish.num_stages, [], []

    def add(name, level, gap, *parts, boxes=features, width=WIDE):
        edge = max((box.right for box in features + refined), default=-gap)
        boxes.append(Box(name, fish.strides[level], LOW + STEP * (n - level), parts, edge + gap, width))

    for level, channels in enumerate(fish.tail_features):
        add(f'F{level}', level, UNITS_GAP, (channels, 'tail'))
    add(f'F{n + 1}', n, BRIDGE_GAP, (fish.bridge_channels, 'bridge'))
    for level, channels in zip(reversed(range(n)), fish.body_channels):
        add(f'F{2 * n + 1 - level}', level, UNITS_GAP, (channels, 'body'), (fish.tail_features[level], 'tail'))
    for level, (channels, skip) in enumerate(zip(fish.head_channels, reversed(fish.body_features[:-1]))):
        add(f'R({features[-1].name})', level, UNITS_GAP, (channels, 'head'), boxes=refined, width=NARROW)
        source = features[2 * n - level].parts[0][1]
        add(f'F{2 * n + 2 + level}', level + 1, POOL_GAP, (channels, 'head'), (skip, source))
    return features, refined


def draw_fish(fish: Fish) -> Figure:
    """Draws a fish: its features, its units R and T (Figure 2 of the paper), and the levels that a detector's FPN takes.

    Args:
        fish (Fish): The fish, of any number of stages.

    Returns:
        Figure: The picture. With 3 stages it is about 1600 pixels wide.
    """
    n = fish.num_stages
    features, refined = lay_out(fish)
    left, right, skin = -104, features[-1].right + 108, features[0].half + SKIN
    top, bottom = skin + 165, -skin - max(164, (n + 0.3) * ROW)
    figure = Figure(figsize=((right - left) / 100, (top - bottom) / 100), dpi=DPI)
    ax = figure.add_axes([0, 0, 1, 1], xlim=(left, right), ylim=(bottom, top))
    ax.axis('off')
    draw_skin(ax, features, refined)
    for box in features + refined:
        draw_box(ax, box)

    arrow(ax, [(left + 6, 0), (features[0].x, 0)])
    add_text(ax, left + 6, 18, 'image', 19, ha='left')
    bridge = (features[n].right + features[n + 1].x) / 2
    add_text(ax, bridge, -17, 'attention', 17, color=GREY)
    units = [*fish.tail_units, fish.bridge_units, *fish.body_units, *fish.head_units]
    for source, target, count in zip(features, features[1 : 2 * n + 2] + refined, units):
        arrow(ax, [(source.right, 0), (target.x, 0)])
        add_text(ax, (source.right + target.x) / 2, 17, f'R×{count}', 17.5, weight='bold')
    for source, target in zip(refined, features[2 * n + 2 :]):
        arrow(ax, [(source.right, 0), (target.x, 0)])

    for stage, count in enumerate(fish.body_transfers):
        source, target = features[n - 1 - stage], features[n + 2 + stage]
        y = source.half - INSET
        draw_transfer(ax, [(source.right, y), (target.x, y)], source, count, (bridge, y))
    for stage, count in enumerate(fish.head_transfers):
        source, target = features[2 * n - stage], features[2 * n + 2 + stage]
        down, up, y = source.right + POOL_GAP / 2, target.x - POOL_GAP / 2, -skin - (stage + 0.6) * ROW
        begin, end = INSET - source.half, INSET - target.half
        corners = [(source.right, begin), (down, begin), (down, y), (up, y), (up, end), (target.x, end)]
        draw_transfer(ax, corners, source, count, (features[2 * n + 1].centre, y))

    draw_outputs(ax, [*refined, features[-1]], top)
    add_text(ax, left + 20, top - 40, name_of(fish), 44, ha='left', weight='bold')
    for row, line in enumerate(LEGEND):
        add_text(ax, left + 20, -skin - 47 - 28 * row, line, 20, ha='left', color=GREY)
    return figure


def draw_skin(ax: Axes, features: Sequence[Box], refined: Sequence[Box]) -> None:
    """Draws the fish around the features: a tint and a name for each part, an eye and a mouth."""
    n, tip = len(refined), features[-1].right + 98
    fin, skin = -62, features[0].half + SKIN
    knots = features[: 2 * n + 2]
    upper = PchipInterpolator(
        [fin, *(box.centre for box in knots), refined[0].centre], [skin + 14, *(box.half + SKIN for box in knots), skin]
    )
    borders = [fin, features[n].right + 12, *(features[i].right + UNITS_GAP / 2 for i in (n + 1, 2 * n + 1)), tip]
    angles = np.linspace(np.pi / 2, 0, 100)
    names = [*np.add(borders[:-2], borders[1:-1]) / 2, np.mean([box.centre for box in [*refined, features[-1]][:2]])]
    for part, begin, end, middle in zip(COLOURS, borders, borders[1:], names):
        x = np.linspace(begin, min(end, refined[0].centre), 100)
        y = upper(x)
        if part == 'head':
            x, y = np.r_[x, x[-1] + (tip - x[-1]) * np.cos(angles)], np.r_[y, skin * np.sin(angles)]
        notch = [(-24, 0)] if part == 'tail' else []
        ax.add_patch(Polygon([*zip(x, y), *zip(x[::-1], -y[::-1]), *notch], color=TINTS[part], lw=0, zorder=0))
        add_text(ax, middle, skin + 28, part, 28, weight='bold', color=COLOURS[part])
    ax.add_patch(Circle((tip - 62, 44), 17, fc='white', ec=DARK, lw=2))
    ax.add_patch(Circle((tip - 58, 45), 8, color=DARK))
    mouth = Curve([(tip - 8, -48), (tip - 30, -54), (tip - 48, -38)], [Curve.MOVETO, Curve.CURVE3, Curve.CURVE3])
    ax.add_patch(FancyArrowPatch(path=mouth, arrowstyle='-', color=DARK, lw=2.2, capstyle='round'))


def draw_box(ax: Axes, box: Box) -> None:
    """Draws a feature. Its transferred channels lie where they arrive: at the top in the body, at the bottom in the head."""
    channels = [count for count, _ in box.parts]
    # The smaller part stays high enough for the number in it.
    shares = [1] if len(channels) == 1 else np.clip(np.divide(channels, sum(channels)), 0.25, 0.75)
    direction = -1 if box.parts[0][1] == 'head' else 1
    y = -box.half * direction
    for (count, part), share in zip(box.parts, shares):
        height = 2 * box.half * share * direction
        ax.add_patch(Rectangle((box.x, y), box.width, height, fc=COLOURS[part], ec='white', lw=1.5, zorder=2))
        if len(channels) > 1:
            add_text(ax, box.centre, y + height / 2, f'{count}', 18, color='white', weight='bold')
        y += height
    add_text(ax, box.centre, box.half + 16, box.name, 21, weight='bold')
    add_text(ax, box.centre, -box.half - 15, f'{sum(channels)}', 20)
    add_text(ax, box.centre, -box.half - 37, f'/{box.stride}', 19, color=GREY)


def draw_outputs(ax: Axes, outputs: Sequence[Box], top: float) -> None:
    """Draws the FPN above the head, and the arrows to it with channels and strides."""
    y, left, right = top - 66, outputs[0].x - 70, outputs[-1].right + 70
    ax.add_patch(FancyBboxPatch((left, y), right - left, 52, fc=DARK, lw=0, boxstyle='round,pad=0,rounding_size=12'))
    add_text(ax, (left + right) / 2, y + 25, 'FPN', 28, color='white', weight='bold')
    for box in outputs:
        arrow(ax, [(box.centre, box.half + 32), (box.centre, y)])
        x, side = (box.centre + 10, 'left') if box is outputs[-1] else (box.centre - 10, 'right')
        add_text(ax, x, y - 19, f'{sum(count for count, _ in box.parts)}', 21, ha=side, weight='bold')
        add_text(ax, x, y - 44, f'stride {box.stride}', 19, ha=side, color=GREY)


def draw_transfer(ax: Axes, corners: Sequence, source: Box, count: int, place: Tuple[float, float]) -> None:
    """Draws a horizontal connection, and its T at ``place``."""
    colour = COLOURS[source.parts[0][1]]
    arrow(ax, corners, colour)
    frame = dict(boxstyle='round,pad=0.25', fc='white', ec=colour, lw=1.5)
    add_text(ax, *place, f'T×{count}', 18, color=colour, weight='bold', bbox=frame)


def arrow(ax: Axes, corners: Sequence, colour: str = DARK) -> None:
    """Draws an arrow along horizontal and vertical lines with round corners."""
    points, codes = [corners[0]], [Curve.MOVETO]
    for before, corner, after in zip(*(np.array(corners[i:], float) for i in range(3))):
        points += [corner + TURN * np.sign(before - corner), corner, corner + TURN * np.sign(after - corner)]
        codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
    path = Curve([*points, corners[-1]], [*codes, Curve.LINETO])
    style = dict(arrowstyle='-|>', mutation_scale=16, lw=2)
    ax.add_patch(FancyArrowPatch(path=path, color=colour, zorder=1, **style))


def add_text(ax: Axes, x: float, y: float, text: str, size: float, **kwargs) -> None:
    """Writes text; its size is in hundredths of an inch."""
    ax.text(x, y, text, **{**dict(size=size * 0.72, ha='center', va='center_baseline', color=DARK, zorder=4), **kwargs})
