"""The figure of time and memory."""

import numpy as np
import pytest

from fishnet_mmdet.analysis.candidates import ENTRIES
from fishnet_mmdet.analysis.timing_figure import draw_timing


@pytest.fixture
def results():
    def row(name, step, side, value):
        title, family = ENTRIES[name][:2]
        memory = dict(saved_bytes=value * 2**20 if step == 'train' else None, peak_bytes=2 * value * 2**20)
        if name.startswith('convolutions'):
            memory = dict(saved_bytes=None, peak_bytes=None)
        return dict(
            title=title,
            family=family,
            step=step,
            images=f'1 x {side}x{side}',
            height=side,
            width=side,
            batch=1,
            median_seconds=value / 1e3,
            **memory,
        )

    names = ['fishnet150', 'reference_fishnet150', 'hrnet_w32', 'convolutions_fishnet150']
    return [
        row(name, step, side, (i + 1) * (side / 100) ** 2)
        for side in (300, 200)
        for step in ('forward', 'train')
        for i, name in enumerate(names)
    ]


ABOUT = dict(machine='a machine', setting='detection', dtype='float32', versions='torch 9')


def panels(figure):
    figure.draw_without_rendering()
    assert 'a machine; detection, float32; torch 9' in [text.get_text() for text in figure.texts]
    return {ax.get_title(): ax for ax in figure.axes}


def test_figure_of_several_sizes(results):
    figure = draw_timing(results, ABOUT)
    axes = panels(figure)
    assert list(axes) == [
        'forward: time of a step',
        'forward: peak memory',
        'train: time of a step',
        'train: peak memory',
        'train: saved for backward',
    ]
    time, saved = axes['train: time of a step'], axes['train: saved for backward']
    assert time.get_xscale() == time.get_yscale() == 'log' and time.get_ylabel() == 'ms' and saved.get_ylabel() == 'MiB'
    lines = {line.get_label(): line.get_xydata() for line in time.lines}
    assert lines['HRNet-W32'] == pytest.approx(np.array([[0.04, 12], [0.09, 27]]))
    assert [len(line.get_xydata()) for line in saved.lines] == [2, 2, 2, 0]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == list(lines) and len(lines) == 4
    assert len({(tuple(line.get_color()), line.get_linestyle()) for line in time.lines}) == 4
    assert not any(legend.get_window_extent().overlaps(ax.get_tightbbox()) for ax in figure.axes)


def test_figure_of_one_size(results):
    axes = panels(draw_timing([row for row in results if row['height'] == 200 and row['step'] == 'train'], ABOUT))
    time, peak, saved = axes.values()
    assert [label.get_text() for label in time.get_yticklabels()][:2] == [
        'FishNet-150',
        'FishNet-150, reference implementation',
    ]
    assert [bar.get_width() for bar in time.patches] == pytest.approx([4, 8, 12, 16])
    assert [bar.get_width() for bar in peak.patches] == pytest.approx([8, 16, 24])
    assert [text.get_text() for text in saved.texts] == ['4.0', '8.0', '12.0']


def test_figure_of_several_batches(results):
    rows = [dict(row, height=200, width=200, batch=row['height'] // 100) for row in results if row['step'] == 'train']
    time = panels(draw_timing(rows, ABOUT))['train: time of a step']
    assert time.get_xlabel() == 'batch: images of 200x200'
    assert {line.get_label(): line.get_xdata().tolist() for line in time.lines}['HRNet-W32'] == [2, 3]
