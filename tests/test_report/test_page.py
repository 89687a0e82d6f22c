"""The page in a real browser: what is shown at a threshold, the orders, names that look like code; and its files."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from made_results import evaluated, facts

from fishnet_mmdet.datasets.shapes import make_shapes
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.report import Site, detection
from fishnet_mmdet.report.classification import ClassifiedImage, write_classes
from fishnet_mmdet.report.coco import FALSE, TRUE
from fishnet_mmdet.report.detection import write_detections
from fishnet_mmdet.report.site import to_script

EVIL = '<script>document.title = "run"</script>'
CLASSES = ['disc', EVIL, 'triangle & "co"', "star'", 'ring']
#: What a test asks the page for, after it moved the slider.
READ = """
const visible = one => getComputedStyle(one).display !== 'none'
const texts = (selector, root = document) => [...root.querySelectorAll(selector)].map(one => one.textContent)
const seen = () => ({
  total: document.getElementById('total').textContent,
  counts: [...document.querySelectorAll('.card')].map(card => texts('.name, .counts', card)),
  boxes: [...document.querySelectorAll('.predicted .object:not(.label)')].filter(visible).length,
  missed: document.querySelectorAll('.true .object.missed:not(.label)').length
})
const slide = async value => {
  const slider = document.getElementById('threshold')
  slider.value = value
  slider.dispatchEvent(new Event('input'))
  const during = seen()
  slider.dispatchEvent(new Event('change'))
  await wait(1000)
  return {during, after: seen()}
}
const choose = async (name, value) => {
  const label = [...document.querySelectorAll('#gallery label')].find(one => one.textContent.startsWith(name))
  const select = label.querySelector('select')
  select.value = value
  select.dispatchEvent(new Event('change'))
  await wait(1000)
  return seen()
}
await wait(1500)
"""


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=1, num_val=12)
    return evaluated(root, 'annotations/instances_val.json', 'val')


@pytest.fixture
def page(made, tmp_path):
    results, truth, _ = made
    return write_detections(Site(tmp_path / 'page'), results, CLASSES, facts(EVIL), truth)


def plain_counts(made, threshold, label=None):
    """Found, missed and false by image, counted in plain loops."""
    results, truth, _ = made
    evaluation = truth.evaluations['segm']
    states, rows = iter(evaluation.states.tolist()), {}
    for result in results:
        found = missed = false = 0
        for one in truth.annotations.imgToAnns[result.image_id]:
            if label in (None, one['category_id'] - 1):
                if evaluation.found.get(one['id'], -1) >= threshold:
                    found += 1
                else:
                    missed += 1
        for of, score in zip(result.labels.tolist(), result.scores.tolist()):
            state = next(states)
            false += state == FALSE and score >= threshold and label in (None, of)
        rows[result.path.rsplit('/', 1)[1]] = (found, missed, false)
    return rows


def written(counts):
    return '{} found, {} missed, {} false'.format(*counts)


def test_slider_orders_and_names(made, page, browse):
    seen = browse(
        page,
        READ + """
        const start = seen()
        const half = await slide(0.5)
        const none = await slide(1)
        const back = await slide(0.3)
        const missed = await choose('Order', 'missed')
        const ring = await choose('Class', '4')
        await choose('Class', '-1')
        document.querySelector('.open').click()
        await wait(500)
        const large = document.querySelector('dialog[open] .overlay') !== null
        document.getElementById('large').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))
        await wait(500)
        const second = document.querySelector('dialog[open] strong').textContent
        document.getElementById('large').close()
        const table = document.querySelector('#results .table:last-child')
        table.querySelectorAll('thead button')[2].click()
        const column = texts('tbody td:nth-child(3)', table)
        return {start, half, none, back, missed, ring, large, second, column, title: document.title,
          scripts: document.querySelectorAll('#main script').length, alts: [...document.images].map(one => one.alt),
          names: texts('tbody th', table),
          config: document.querySelector('pre').textContent, text: document.querySelector('#gallery .note').textContent}
        """,
    )  # fmt: skip
    results, truth, _ = made
    for state, threshold in (
        (seen['start'], 0.3),
        (seen['half']['after'], 0.5),
        (seen['none']['after'], 1),
        (seen['back']['after'], 0.3),
    ):
        counts = plain_counts(made, threshold)
        assert dict(state['counts']) == {name: written(one) for name, one in counts.items()}
        assert state['boxes'] == sum((result.scores >= threshold).sum() for result in results)
        assert state['missed'] == sum(one[1] for one in counts.values())
        assert state['total'].startswith(f'12 images: {written(np.sum(list(counts.values()), axis=0))}')
    # While the slider moves, boxes vanish and counts change; the order stays.
    assert seen['half']['during']['boxes'] == seen['half']['after']['boxes'] < seen['start']['boxes']
    assert [name for name, _ in seen['half']['during']['counts']] == [name for name, _ in seen['start']['counts']]
    assert seen['none']['after']['boxes'] == 0

    counts = plain_counts(made, 0.3)
    f1 = {name: 2 * found / max(1, 2 * found + missed + false) for name, (found, missed, false) in counts.items()}
    worst_first = [f1[name] for name, _ in seen['start']['counts']]
    assert worst_first == sorted(worst_first) and worst_first[0] < worst_first[-1]
    by_misses = [counts[name][1] for name, _ in seen['missed']['counts']]
    assert by_misses == sorted(by_misses, reverse=True) and by_misses[0] > by_misses[-1]
    rings = plain_counts(made, 0.3, label=4)
    assert dict(seen['ring']['counts']) == {
        name: written(one) for name, one in rings.items() if name in dict(seen['ring']['counts'])
    }
    assert {name for name, one in rings.items() if any(one)} == {name for name, _ in seen['ring']['counts']}

    assert seen['large'] and seen['second'] == seen['missed']['counts'][1][0]
    values = [float(value) for value in seen['column'][1:]]
    assert len(values) == 5 and values == sorted(values, reverse=True)
    # Names that look like code are shown as they are, and do nothing.
    assert set(seen['names']) == {'all classes', *CLASSES}
    assert seen['title'] == 'tiny: report' and seen['scripts'] == 0 and seen['config'] == EVIL
    assert all(seen['alts'])
    assert 'a mask that overlaps' in seen['text'] and '0.50' in seen['text']


def test_narrow_and_dark_without_truth(made, tmp_path, browse):
    page = write_detections(Site(tmp_path / 'page'), made[0], CLASSES, facts())
    seen = browse(
        page,
        READ + """
        return {half: (await slide(0.5)).after, wide: document.documentElement.scrollWidth, window: window.innerWidth,
          back: getComputedStyle(document.body).backgroundColor, sections: texts('h2'),
          rows: [texts('dt').length, texts('dd').length], run: document.getElementById('run').textContent}
        """,
        size=(420, 900),
        dark=True,
    )  # fmt: skip
    assert seen['half']['boxes'] == sum((result.scores >= 0.5).sum() for result in made[0])
    # Nothing is wider than the window.
    assert seen['wide'] <= seen['window']
    assert max(map(int, re.findall(r'\d+', seen['back']))) < 64
    assert seen['sections'] == ['Images', 'Training', 'Run']
    # The rows of the run are elements, not their names.
    assert seen['rows'][0] == seen['rows'][1] > 0 and '[object' not in seen['run']


def classified():
    """12 images: 5 wrong ones among them."""
    labels = [0, 1, 2] * 4
    found = [0, 1, 2, 1, 1, 0, 0, 2, 2, 2, 0, 2]
    sure = np.linspace(0.5, 0.95, 12)
    picture = np.full((8, 8, 3), 200, np.uint8)
    return [
        ClassifiedImage(
            f'{i}.jpg', lambda: picture, np.array([found[i], (found[i] + 1) % 3]), np.array([sure[i], 1 - sure[i]]), labels[i]
        )
        for i in range(12)
    ]


def test_classes_wrong_ones_first(tmp_path, browse):
    images = classified()
    page = write_classes(Site(tmp_path / 'page'), images, CLASSES[:3], facts())
    seen = browse(
        page,
        """
        await wait(500)
        const card = one => [one.querySelector('.name').textContent, one.classList.contains('wrong')]
        return {cards: [...document.querySelectorAll('.card')].map(card),
          total: document.getElementById('total').textContent,
          rows: [...document.querySelectorAll('tbody tr')].map(row => [...row.children].map(cell => cell.textContent))}
        """,
    )
    wrong = [image.name for image in images if image.best[0] != image.label]
    assert len(wrong) == 5 and seen['total'] == '12 images, 5 wrong'
    assert [name for name, _ in seen['cards'][:5]] == wrong[::-1]
    assert [mistake for _, mistake in seen['cards']] == [True] * 5 + [False] * 7
    assert ['all classes', '12', '58.33'] in seen['rows']
    assert [CLASSES[0], CLASSES[1], '1'] in seen['rows'] and [CLASSES[2], CLASSES[0], '1'] in seen['rows']


def content(page):
    text = (page.parent / 'data/summary.js').read_text()
    return json.loads(text.split(' = ', 1)[1])


def test_drawn_shapes_are_those_of_the_data(made, page):
    """Boxes and masks of the first image, from the page's files: thousandths of the longer side."""
    results, truth, _ = made
    data = json.loads(re.fullmatch(r'fishnetReport\.image\(0, (.*)\)\n', (page.parent / 'data/000000.js').read_text())[1])
    first = results[0]
    objects = truth.annotations.imgToAnns[first.image_id]
    assert len(data['truths']) == len(objects) and len(data['predictions']) == len(first.labels)
    side = max(truth.annotations.imgs[first.image_id][key] for key in ('height', 'width'))
    for one, (label, box, contours) in zip(objects, data['truths']):
        assert label == one['category_id'] - 1
        np.testing.assert_allclose(np.array(box) * side / 1000, one['bbox'], atol=0.26)
        areas = [cv2.contourArea(np.array(numbers, np.float32).reshape(-1, 2) * side / 1000) for numbers in contours]
        # Of the ring the second contour is its hole.
        assert areas[0] - sum(areas[1:]) == pytest.approx(truth.annotations.annToMask(one).sum(), rel=0.12)
    order = np.argsort(-first.scores)
    np.testing.assert_allclose([one[1] for one in data['predictions']], first.scores[order], atol=6e-4)
    states = truth.evaluations['segm'].states[: len(order)]
    assert [one[2] for one in data['predictions']] == states[order].tolist() and TRUE in states
    saved = cv2.imread(str(page.parent / 'images/000000.jpg'))
    assert np.abs(saved.astype(int) - cv2.imread(first.path)).mean() < 8


def test_the_page_names_no_other_place(page):
    """No server and no network: the only files are those beside the page."""
    text = page.read_text()
    assert set(re.findall(r'(?:src|href)=[\'"`]?([^\'"`> ]+)', text)) <= {'data/summary.js'}
    assert set(re.findall(r'https?://[^\s\'"`]+', text)) == {'http://www.w3.org/2000/svg'}
    assert 'innerHTML =' not in text and 'fetch(' not in text
    assert '</script' not in to_script({'name': EVIL}) and json.loads(to_script({'name': EVIL})) == {'name': EVIL}


def test_only_an_earlier_page_is_replaced(made, page, tmp_path):
    results, truth, _ = made
    folder = page.parent
    assert len(list((folder / 'images').iterdir())) == 12
    write_detections(Site(folder), results[:2], CLASSES, facts())
    assert len(list((folder / 'images').iterdir())) == 2
    (folder / 'notes.txt').write_text('mine')
    with pytest.raises(FishNetError, match='notes.txt'):
        Site(folder)
    with pytest.raises(FishNetError, match='cannot be made'):
        Site(folder / 'notes.txt')


def test_more_images_than_a_page_can_have(made, tmp_path, monkeypatch):
    monkeypatch.setattr(detection, 'MOST_IMAGES', 4)
    results, truth, _ = made
    summary = content(write_detections(Site(tmp_path / 'page'), results, CLASSES, facts(), truth))
    mistakes = {name: one[1] + one[2] for name, one in plain_counts(made, 0.3).items()}
    shown = [image['name'] for image in summary['images']]
    assert summary['left_out'] == 8 and shown == [name for name in mistakes if name in shown]
    assert sorted(mistakes[name] for name in shown) == sorted(mistakes.values())[-4:]


def test_no_predictions(made, tmp_path):
    """CocoMetric evaluates nothing then: all objects are missed, and there is no table."""
    results, truth, _ = made
    none = [one._replace(labels=one.labels[:0], scores=one.scores[:0], boxes=one.boxes[:0], masks=[]) for one in results]
    summary = content(write_detections(Site(tmp_path / 'page'), none, CLASSES, facts(), truth._replace(evaluations={})))
    assert summary['tables'] == [] and all(set(image['truths'][1::2]) == {-1} for image in summary['images'])


def test_an_image_that_cannot_be_read(made, tmp_path):
    results, _, _ = made
    lost = results[0]._replace(path=str(tmp_path / 'lost.jpg'))
    with pytest.raises(FishNetError, match='lost.jpg'):
        write_detections(Site(tmp_path / 'page'), [lost], CLASSES, facts())
    shutil.copy(__file__, tmp_path / 'lost.jpg')
    with pytest.raises(FishNetError, match='not an image'):
        write_detections(Site(tmp_path / 'page'), [lost], CLASSES, facts())
