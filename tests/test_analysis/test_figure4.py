"""The paper's Figure 4: points where they belong, labels that cover nothing."""

import pytest
import torch

from fishnet_mmdet.analysis.counts import count_costs
from fishnet_mmdet.analysis.figure4 import ERRORS, draw_errors

pytestmark = pytest.mark.skipif(torch.__version__ < (2, 1), reason='torch counts operations from 2.1 on')


def test_figure():
    rows = [count_costs(name) for name in ERRORS]
    figure = draw_errors(rows)
    figure.draw_without_rendering()
    parameters, operations = figure.axes
    row = rows[list(ERRORS).index('fishnet99')]
    for ax, x in ((parameters, 16.628904), (operations, row['multiply_adds_with_head'] / 1e9)):
        assert any(line.get_xydata()[0] == pytest.approx([x, 22.59]) for line in ax.lines)
        assert {text.get_text() for text in ax.texts} >= {'FishNet-150', 'FishNeXt-150', 'ResNet-101', 'DenseNet-161'}
        boxes = [text.get_window_extent() for text in ax.texts]
        assert len(boxes) == len(rows) + 4
        for i, box in enumerate(boxes):
            assert ax.bbox.count_contains(box.corners()) == 4, ax.texts[i]
            assert box.count_overlaps(boxes) == 1, ax.texts[i]
    title, footnote = figure.texts
    for text in (title, footnote):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(ax.get_tightbbox()) for ax in figure.axes)
    for source in ('released', 'Table 1', 'section 4.2', 'torchvision'):
        assert source in footnote.get_text()
