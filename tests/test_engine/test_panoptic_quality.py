"""Panoptic quality, by hand, and beside the matching of COCO's evaluation that mmdet carries."""

from collections import defaultdict
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from fishnet_mmdet.engine import PanopticQuality
from fishnet_mmdet.engine.panoptic_quality import OFFSET, count_segments
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import METRICS

CLASSES = ('cat', 'dog', 'grass')
META = dict(classes=CLASSES, thing_classes=('cat', 'dog'), stuff_classes=('grass',))
THINGS = np.array([True, True, False])
#: Letters of the maps below: two cats, a crowd of cats, two dogs, grass; a dot is void.
LETTERS = dict(a='cat', b='cat', C='cat', d='dog', e='dog', g='grass')


def truth_of(text):
    """A map of one row, and its segments as mmdet's data set has them."""
    segments = [
        dict(id=ord(letter), category=CLASSES.index(LETTERS[letter]), is_thing=letter not in 'Cg')
        for letter in sorted(set(text) - {'.'})
    ]
    return np.array([[0 if letter == '.' else ord(letter) for letter in text]]), segments


def found_of(text):
    return np.array(
        [[len(CLASSES) if letter == '.' else CLASSES.index(LETTERS[letter]) + OFFSET * ord(letter) for letter in text]]
    )


def count(truth, found):
    return count_segments(*truth_of(truth), found_of(found), THINGS)


@pytest.mark.parametrize(
    'truth, found, expected',
    [
        ('aaaabbgggg', 'aaaabbgggg', dict(cat=(2, 2, 0, 0), grass=(1, 1, 0, 0))),
        # Which number a segment has does not matter, only its class.
        ('aaaabbgggg', 'bbbbaagggg', dict(cat=(2, 2, 0, 0), grass=(1, 1, 0, 0))),
        ('aaaadd', 'ddddaa', dict(cat=(0, 0, 1, 1), dog=(0, 0, 1, 1))),
        ('aaaagg', 'aaaggg', dict(cat=(3 / 4, 1, 0, 0), grass=(2 / 3, 1, 0, 0))),
        # One half is no match.
        ('aaaa..', 'aa....', dict(cat=(0, 0, 1, 1))),
        ('aaaaggg', 'aabbggg', dict(cat=(0, 0, 2, 1), grass=(1, 1, 0, 0))),
        ('aabb', 'aaaa', dict(cat=(0, 0, 1, 2))),
        ('aaab', 'aaaa', dict(cat=(3 / 4, 1, 0, 1))),
        # Void does not enter the IoU.
        ('aaa..', 'aaaaa', dict(cat=(1, 1, 0, 0))),
        ('aaa..g', 'aaaaaa', dict(cat=(3 / 4, 1, 0, 0), grass=(0, 0, 0, 1))),
        # Of a segment found where nothing like it is, half in void is too little to be excused, more is enough.
        ('ggg...', 'aaaaaa', dict(cat=(0, 0, 1, 0), grass=(0, 0, 0, 1))),
        ('gg....', 'aaaaaa', dict(grass=(0, 0, 0, 1))),
        ('......', 'aabb..', dict()),
        # Crowds: neither missed nor matched; they excuse what is found in them, of their own class.
        ('CCCCgg', 'CC..gg', dict(grass=(1, 1, 0, 0))),
        ('CCCCgg', 'aabbgg', dict(grass=(1, 1, 0, 0))),
        ('CCCCgg', 'ddddgg', dict(dog=(0, 0, 1, 0), grass=(1, 1, 0, 0))),
        ('CCggg', 'aaaag', dict(cat=(0, 0, 1, 0), grass=(0, 0, 1, 1))),
        ('CC.ddgg', 'aaaaagg', dict(dog=(0, 0, 0, 1), grass=(1, 1, 0, 0))),
        # A crowd is no void: it enters the IoU.
        ('aaCCC', 'aaaa.', dict(cat=(0, 0, 1, 1))),
    ],
)
def test_counts_by_hand(truth, found, expected):
    """Sum of IoU, matches, false, missed, of each class."""
    expected = [expected.get(name, (0, 0, 0, 0)) for name in CLASSES]
    np.testing.assert_allclose(count(truth, found), expected, rtol=1e-12)


class Counts(defaultdict):
    """What the evaluation of COCO counts into: a stand-in for panopticapi's PQStat."""

    def __init__(self):
        super().__init__(lambda: SimpleNamespace(iou=0.0, tp=0, fp=0, fn=0))


def rgb2id(colour):
    colour = colour.astype(np.int64)
    return colour[..., 0] + 256 * colour[..., 1] + 256 * 256 * colour[..., 2]


def write_png(file, ids):
    cv2.imwrite(str(file), np.stack([ids // 256**2, ids // 256 % 256, ids % 256], -1).astype(np.uint8))


def is_crowd(segment):
    return bool(THINGS[segment['category']]) and not segment['is_thing']


def random_pair(random, side=48, segments=12):
    """A map of patches with void and crowds, and another that agrees with it more or less, patch by patch."""
    patches = random.integers(1, segments + 1, (8, 8)) * (random.random((8, 8)) < 0.7)
    patches = np.kron(patches, np.ones((side // 8, side // 8), int))
    labels = random.integers(0, len(CLASSES), segments + 1)
    # COCO's evaluation looks at one crowd a class.
    crowds = {random.integers(1, segments + 1) for _ in range(2)}
    crowds = {int(np.flatnonzero(labels == labels[number])[-1]) for number in crowds if number and THINGS[labels[number]]} - {
        0
    }
    ids = np.concatenate([[0], random.choice(256**3 - 1, segments, replace=False) + 1])
    truth = [
        dict(id=int(ids[number]), category=int(labels[number]), is_thing=bool(THINGS[labels[number]]) and number not in crowds)
        for number in range(1, segments + 1)
        if (patches == number).any()
    ]
    moved = np.roll(patches, random.integers(0, 4, 2), (0, 1))
    noise = np.kron(random.integers(0, segments + 1, (16, 16)), np.ones((side // 16, side // 16), int))
    guess = np.where(random.random(segments + 1)[moved] < 0.8, moved, noise)
    guessed = np.where(random.random(segments + 1) < 0.8, labels, random.integers(0, len(CLASSES), segments + 1))
    guessed[0] = len(CLASSES)
    # Void is one number, all others are of segments of their own.
    found = guessed[guess] + OFFSET * (guess + 1) * (guess > 0)
    return ids[patches], truth, found


@pytest.mark.parametrize('seed', range(20))
def test_equal_to_cocos_matching(seed, tmp_path, monkeypatch):
    """mmdet carries the function of panopticapi that matches the segments; what it imports for it is stood in for."""
    from mmdet.evaluation.functional import panoptic_utils

    monkeypatch.setattr(panoptic_utils, 'PQStat', Counts)
    monkeypatch.setattr(panoptic_utils, 'rgb2id', rgb2id)
    truth, segments, found = random_pair(np.random.default_rng(seed))
    write_png(tmp_path / 'truth.png', truth)
    void = found % OFFSET == len(CLASSES)
    write_png(tmp_path / 'found.png', np.where(void, 0, found))

    areas = dict(zip(*np.unique(truth, return_counts=True)))
    their_truth = dict(
        image_id=1,
        file_name='truth.png',
        segments_info=[
            dict(id=one['id'], category_id=one['category'], iscrowd=int(is_crowd(one)), area=int(areas[one['id']]))
            for one in segments
        ],
    )
    numbers = np.unique(found[~void]).tolist()
    their_found = dict(file_name='found.png', segments_info=[dict(id=n, category_id=n % OFFSET) for n in numbers])
    categories = dict(enumerate(CLASSES))
    theirs = panoptic_utils.pq_compute_single_core(0, [(their_truth, their_found)], tmp_path, tmp_path, categories)
    expected = [[theirs[i].iou, theirs[i].tp, theirs[i].fp, theirs[i].fn] for i in range(len(CLASSES))]
    mine = count_segments(truth, segments, found, THINGS)
    np.testing.assert_allclose(mine, expected, rtol=1e-12)
    assert mine[:, 1:].sum() > 0


def test_the_random_maps_have_everything():
    """Else the comparison would compare little."""
    pairs = [random_pair(np.random.default_rng(seed)) for seed in range(20)]
    total = sum(count_segments(truth, segments, found, THINGS) for truth, segments, found in pairs)
    assert (total[:, 1:] > 10).all()
    grass = dict(id=-1, category=2, is_thing=False)
    without_void = sum(
        count_segments(np.where(truth, truth, -1), [*segments, grass], found, THINGS) for truth, segments, found in pairs
    )
    # Things found in void would be false in grass.
    assert (total[:2, 2] < without_void[:2, 2]).all()
    crowds_as_dogs = sum(
        count_segments(truth, [dict(one, category=1) if is_crowd(one) else one for one in segments], found, THINGS)
        for truth, segments, found in pairs
    )
    assert total[0, 2] < crowds_as_dogs[0, 2]


@pytest.fixture
def evaluate(tmp_path):
    """PQ of some pairs of rows, through the metric as a test loop calls it."""

    def run(pairs, meta=META, **more):
        metric = METRICS.build(dict(type='PanopticQuality'))
        metric.dataset_meta = meta
        for number, (truth, found) in enumerate(pairs):
            ids, segments = truth_of(truth)
            write_png(tmp_path / f'{number}.png', ids)
            sample = dict(seg_map_path=str(tmp_path / f'{number}.png'), segments_info=segments)
            sample['pred_panoptic_seg'] = dict(sem_seg=torch.from_numpy(found_of(found)).int()[None])
            metric.process({}, [{key: value for key, value in dict(sample, **more).items() if value is not None}])
        return metric.evaluate(len(pairs))

    return run


def test_means_by_hand(evaluate):
    # Cats: matched with 3/4 and 1, one missed. Dogs: one false. Grass: matched with 2/3 and 1.
    found = evaluate([('aaaagg', 'aaaggg'), ('aabbgg', 'aaddgg')])
    cat, dog, grass = np.array([[1.75 / 2.5, 1.75 / 2, 2 / 2.5], [0, 0, 0], [5 / 6, 5 / 6, 1]])
    expected = {}
    for suffix, values in (('', [cat, dog, grass]), ('_th', [cat, dog]), ('_st', [grass])):
        expected.update(zip((f'coco_panoptic/{name}{suffix}' for name in ('PQ', 'SQ', 'RQ')), 100 * np.mean(values, 0)))
    assert list(found) == list(expected)
    assert found == pytest.approx(expected)


def test_classes_in_neither_do_not_count(evaluate):
    found = evaluate([('aaaa', 'aaaa')])
    assert found['coco_panoptic/PQ'] == found['coco_panoptic/PQ_th'] == 100
    assert np.isnan(found['coco_panoptic/PQ_st'])


@pytest.mark.parametrize('missing', ['seg_map_path', 'segments_info'])
def test_samples_without_truth(evaluate, missing):
    with pytest.raises(FishNetError, match='add seg_map_path and segments_info to meta_keys of PackDetInputs'):
        evaluate([('aa', 'aa')], **{missing: None})


def test_truth_of_another_size(evaluate):
    with pytest.raises(FishNetError, match=r'0.png has size \(1, 3\), but the prediction \(1, 2\)'):
        evaluate([('aaa', 'aa')])


@pytest.mark.parametrize(
    'meta, words',
    [
        (dict(classes=CLASSES), 'thing_classes is missing'),
        (dict(META, thing_classes=('cat', 'cow')), 'classes lacks cow'),
    ],
)
def test_classes_that_are_not_named(evaluate, meta, words):
    with pytest.raises(FishNetError, match=words):
        evaluate([('aa', 'aa')], meta=meta)


def test_numbers_are_mmdets():
    from mmdet.evaluation import INSTANCE_OFFSET

    assert OFFSET == INSTANCE_OFFSET
    assert type(METRICS.build(dict(type='PanopticQuality'))) is PanopticQuality
