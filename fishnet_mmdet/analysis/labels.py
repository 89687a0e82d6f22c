"""Labels beside the points of a figure.

We tried adjustText 1.4.0 in its place. It moves labels freely, and left one on the marker of another point and one nearer to
another point than to its own. Here a label only has nine places around its point.
"""

from typing import List, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke


class Label(NamedTuple):
    """A text and the point that it names."""

    text: str
    x: float
    y: float
    colour: str
    #: Whether it would better stand below its point than above.
    below: bool = False


#: Offset in points, horizontal and vertical alignment, from the right over above to below.
PLACES = (
    (8, 0, 'left', 'center'),
    (6, 5, 'left', 'bottom'),
    (0, 8, 'center', 'bottom'),
    (-6, 5, 'right', 'bottom'),
    (-8, 0, 'right', 'center'),
    (6, -5, 'left', 'top'),
    (10, -8, 'center', 'top'),
    (0, -8, 'center', 'top'),
    (-6, -5, 'right', 'top'),
)


def place_labels(ax: Axes, labels: List[Label]) -> None:
    """Writes each label where it covers the fewest other labels, points and lines of the panel, in this order.

    Args:
        ax (Axes): The panel, with its lines drawn and the layout of the figure done.
        labels (list[Label]): The labels; earlier ones are placed first.
    """
    lines = np.concatenate([pixels_along(line) for line in ax.lines])
    points = ax.transData.transform([(label.x, label.y) for label in labels])
    halo = [withStroke(linewidth=3, foreground='white')]
    placed = []
    for label in labels:
        text = ax.annotate(
            label.text,
            (label.x, label.y),
            (0, 0),
            textcoords='offset points',
            color=label.colour,
            fontsize=10,
            in_layout=False,
            path_effects=halo,
        )

        def put(place, text=text):
            text.xyann = place[:2]
            text.set(ha=place[2], va=place[3])
            return text.get_window_extent()

        def cost(place, put=put):
            box = put(place)
            outside = ax.bbox.count_contains(box.corners()) < 4
            near_points = box.padded(6).count_contains(points)
            return outside, box.padded(2).count_overlaps(placed), near_points, box.count_contains(lines)

        placed.append(put(min(PLACES[::-1] if label.below else PLACES, key=cost)))


def pixels_along(line: Line2D) -> np.ndarray:
    """Points along a line, about one a pixel, (1000, 2) in pixels."""
    corners = line.get_transform().transform(line.get_xydata())
    steps = np.linspace(0, len(corners) - 1, 1000)
    return np.stack([np.interp(steps, range(len(corners)), column) for column in corners.T], axis=1)
