"""The paper's Figure 4: published ImageNet errors against parameters and multiply-adds."""

from textwrap import fill
from typing import List, NamedTuple, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import FishNetError
from .counts import CLASSES, SIDE
from .labels import Label, place_labels
from .networks import FAMILIES, NETWORKS, Family

#: Published top-1 errors in percent, ImageNet-1k val, one crop of 224x224.
ERRORS = dict(
    fishnet99=22.59,
    fishnet150=21.86,
    fishnet201=21.24,
    fishnext150=21.5,
    resnet50=23.78,
    resnet101=22.30,
    resnext50_32x4d=22.2,
)
#: Where the errors of a family were published.
SOURCES = dict(
    FishNet="the released models, README of the authors' repository",
    FishNeXt='the paper, Table 1',
    ResNet="the paper, section 4.2, of the authors' own pre-activation ResNets",
    ResNeXt='the paper, Table 1',
    DenseNet="README of its authors' repository",
)


class Point(NamedTuple):
    """A network in the figure. The counts include the classification head; the error is in percent."""

    title: str
    family: str
    parameters: int
    multiply_adds: float
    error: float


#: DenseNet is not in mmdet. Its counts are those that torchvision publishes with its weights.
DENSENETS = [
    Point('DenseNet-121', 'DenseNet', 7978856, 2.83e9, 25.0),
    Point('DenseNet-169', 'DenseNet', 14149480, 3.36e9, 23.6),
    Point('DenseNet-201', 'DenseNet', 20013928, 4.29e9, 22.5),
    Point('DenseNet-161', 'DenseNet', 28681000, 7.73e9, 22.2),
]
LOOKS = {**FAMILIES, 'DenseNet': Family('0.45', 'v', None)}


def draw_errors(rows: List[dict]) -> Figure:
    """Draws the paper's Figure 4: published errors against parameters (left) and multiply-adds (right).

    Args:
        rows (list[dict]): Results of :func:`.counts.count_costs` for images of 224x224. Networks without a published error
            are left out; DenseNet is added.

    Raises:
        FishNetError: If the images are of another size, or no network has a published error.
    """
    points = [
        Point(
            row['title'],
            NETWORKS[row['network']].backbone['type'],
            row['parameters_with_head'],
            row['multiply_adds_with_head'],
            ERRORS[row['network']],
        )
        for row in rows
        if row['network'] in ERRORS
    ]
    if not points:
        raise FishNetError(f'none of these networks has a published error to draw: choose from {", ".join(ERRORS)}')
    if any(row['size'] != [SIDE, SIDE] for row in rows):
        raise FishNetError(f'the published errors are for {SIDE}x{SIDE} images: draw the figure without --size')
    points += DENSENETS
    figure = Figure(figsize=(14, 6.6), dpi=95, layout='constrained')
    figure.suptitle("ImageNet-1k: published top-1 errors and counted costs (the paper's Figure 4)", weight='bold')
    left, right = figure.subplots(1, 2, sharey=True)
    left.set(xlabel='parameters, M', ylabel=f'top-1 error in percent, one {SIDE}x{SIDE} crop')
    right.set(xlabel=f'multiply-adds at {SIDE}x{SIDE}, G')
    figure.supxlabel(footnote(points), x=0.01, ha='left', fontsize=9, color='0.3')
    panels = (left, [point.parameters / 1e6 for point in points]), (right, [point.multiply_adds / 1e9 for point in points])
    for ax, costs in panels:
        draw_families(ax, points, costs)
    # The labels depend on where the layout puts the panels.
    figure.draw_without_rendering()
    for ax, costs in panels:
        # The other families lie above FishNet's.
        labels = [
            Label(point.title, x, point.error, LOOKS[point.family].colour, below=point.family == 'FishNet')
            for point, x in zip(points, costs)
        ]
        place_labels(ax, labels)
    return figure


def draw_families(ax: Axes, points: Sequence[Point], costs: Sequence[float]) -> None:
    """Draws the errors of each family against the costs as one line."""
    for name in dict.fromkeys(point.family for point in points):
        look = LOOKS[name]
        line = sorted((x, point.error) for point, x in zip(points, costs) if point.family == name)
        fill_colour = 'white' if name == 'DenseNet' else look.colour
        ax.plot(*zip(*line), color=look.colour, marker=look.marker, mfc=fill_colour, ms=7, lw=1.6)
    ax.margins(0.17, 0.08)
    ax.grid(alpha=0.25)


def footnote(points: Sequence[Point]) -> str:
    """Says where errors and counts in the figure are from."""
    families = {}
    for name in dict.fromkeys(point.family for point in points):
        families.setdefault(SOURCES[name], []).append(name)
    errors = '; '.join(f'{", ".join(names)}: {source}' for source, names in families.items())
    return (
        fill(f'Errors. {errors}.', 180) + '\n'
        f'Counts, with the classification head for {CLASSES} classes. Filled markers: counted by get_flops.py, with ResNet '
        'and ResNeXt as in mmdet; hollow markers: published by torchvision.'
    )
