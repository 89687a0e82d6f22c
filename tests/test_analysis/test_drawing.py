"""The drawing of a fish: its numbers, and that no text covers another."""

import pytest
from matplotlib.patches import Rectangle

from fishnet_mmdet.analysis.drawing import draw_fish, lay_out
from fishnet_mmdet.models import get_fish


@pytest.fixture
def drawn():
    """Draws a fish, looks that no text overlaps another, crosses an edge or lies outside, and returns them by place."""

    def draw(fish):
        figure = draw_fish(fish)
        texts = sorted(figure.axes[0].texts, key=lambda text: text.get_position()[0])
        boxes = [text.get_window_extent() for text in texts]
        edges = [patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
        assert edges
        for i, box in enumerate(boxes):
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, texts[i]
            for j in range(i):
                assert not box.overlaps(boxes[j]), (texts[i], texts[j])
            for edge in edges:
                within = edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1
                assert within or not box.overlaps(edge), texts[i]
        return [text.get_text() for text in texts]

    return draw


def numbers(texts, mark):
    """The numbers after a mark, from left to right."""
    return [int(text[len(mark) :]) for text in texts if text.startswith(mark) and text[len(mark) :].isdigit()]


@pytest.mark.parametrize(
    'depth, units, transfers',
    [
        (99, [2, 2, 6, 2, 1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 4]),
        (150, [2, 4, 8, 4, 2, 2, 2, 2, 2, 4], [2, 2, 2, 2, 2, 4]),
        (201, [3, 4, 12, 4, 2, 2, 2, 2, 3, 10], [2, 2, 2, 2, 2, 9]),
    ],
)
def test_released_depths(drawn, depth, units, transfers):
    texts = drawn(get_fish(depth))
    assert f'FishNet-{depth}' in texts
    assert numbers(texts, 'R×') == units
    assert sorted(numbers(texts, 'T×')) == sorted(transfers)
    assert numbers(texts, 'F') == list(range(11))
    assert [text for text in texts if text.startswith('R(')] == ['R(F7)', 'R(F8)', 'R(F9)']
    assert sorted(numbers(texts, 'stride ')) == [4, 8, 16, 32]
    assert numbers(texts, '/') == [4, 8, 16, 32, 32, 16, 8, 4, 4, 8, 8, 16, 16, 32]
    for channels, count in {'320': 4, '832': 4, '1600': 4, '2112': 2}.items():
        assert texts.count(channels) == count, channels


@pytest.mark.parametrize('num_stages', [2, 4])
def test_other_number_of_stages(drawn, small_fish, num_stages):
    fish = get_fish(None, small_fish(num_stages))
    texts = drawn(fish)
    units = [*fish.tail_units, fish.bridge_units, *fish.body_units, *fish.head_units]
    assert numbers(texts, 'R×') == units
    assert len(numbers(texts, 'T×')) == 2 * num_stages
    assert numbers(texts, 'F') == list(range(3 * num_stages + 2))
    assert sorted(numbers(texts, 'stride ')) == list(fish.strides)


def test_boxes_say_what_comes_from_where(small_fish):
    features, refined = lay_out(get_fish(None, small_fish(2)))
    assert [(box.name, box.stride, box.parts) for box in features] == [
        ('F0', 4, ((8, 'tail'),)),
        ('F1', 8, ((16, 'tail'),)),
        ('F2', 16, ((32, 'tail'),)),
        ('F3', 16, ((32, 'bridge'),)),
        ('F4', 8, ((32, 'body'), (16, 'tail'))),
        ('F5', 4, ((24, 'body'), (8, 'tail'))),
        ('F6', 8, ((32, 'head'), (48, 'body'))),
        ('F7', 16, ((80, 'head'), (32, 'bridge'))),
    ]
    assert [(box.name, box.stride, box.parts) for box in refined] == [
        ('R(F5)', 4, ((32, 'head'),)),
        ('R(F6)', 8, ((80, 'head'),)),
    ]
    boxes = sorted(features + refined, key=lambda box: box.x)
    assert all(left.right < right.x for left, right in zip(boxes, boxes[1:]))
    assert all((a.half > b.half) == (a.stride < b.stride) for a in boxes for b in boxes)
