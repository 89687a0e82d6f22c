"""What exporters leave out of annotations is added, and what cannot be used is left out or refused."""

import pytest
from own_data import content, save

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.own_data.entries import check_entries, complete
from fishnet_mmdet.own_data.layouts import find_parts


@pytest.fixture
def parts_of(tmp_path):
    def read(change, val=None):
        whole = content(3)
        for number, one in enumerate(whole['annotations']):
            change(number, one)
        files = {'train.json': whole, 'train': whole}
        return find_parts(save(tmp_path, dict(files, **({'val.json': val, 'val': val} if val else {}))))

    return read


@pytest.mark.parametrize(
    'change, note',
    [
        (lambda number, one: one.pop('iscrowd'), 'iscrowd added'),
        (lambda number, one: one.pop('area'), 'area added'),
        (lambda number, one: one.update(id=number), 'numbered from 1'),
        (lambda number, one: one.update(id=5), 'numbered from 1'),
        (lambda number, one: one.pop('id'), 'numbered from 1'),
    ],
)
def test_missing_values_are_added(parts_of, change, note):
    parts = parts_of(change)
    (said,) = complete(parts)
    assert note in said and 'train.json' in said
    # Boxes of 30×40 pixels.
    assert parts['train'].changed and parts['train'].file.annotations == content(3)['annotations']
    assert not list(check_entries(parts, masks=True))
    assert len(parts['train'].file.annotations) == 6


def test_the_id_0_stays_where_nothing_is_evaluated(parts_of):
    parts = parts_of(lambda number, one: one.update(id=number), val=content(1))
    assert not list(complete(parts))


def test_right_entries_stay(parts_of):
    parts = parts_of(lambda number, one: None)
    before = dict(parts)
    assert not list(complete(parts))
    assert not list(check_entries(parts, masks=True))
    assert parts == before


def test_entries_that_training_cannot_use_are_left_out(parts_of):
    """The file stays, and the checks of the command say what training skips in it."""
    parts = parts_of(lambda number, one: number == 2 and one.update(bbox=[300, 20, 30, 40]), val=content(1))
    assert not list(check_entries(parts, masks=False))
    assert [one['id'] for one in parts['train'].file.annotations] == [1, 2, 4, 5, 6] and not parts['train'].changed


def test_a_copy_without_some_entries_is_said(parts_of):
    def change(number, one):
        del one['iscrowd']
        one['bbox'] = [300, 20, 30, 40] if number == 2 else one['bbox']

    parts = parts_of(change, val=content(1))
    list(complete(parts))
    (note,) = check_entries(parts, masks=False)
    assert 'train.json: 1 annotations that cannot be used are left out' in note


def test_a_part_to_validate_on_must_be_right(parts_of):
    """Also where it is still to be set aside."""
    parts = parts_of(lambda number, one: number == 2 and one.update(bbox=[300, 20, 30, 40]))
    with pytest.raises(FishNetError, match='results would be wrong with .*train.json(?s:.*)1 of 6 .* a box outside'):
        list(check_entries(parts, masks=False))


def test_text_ids_are_refused(parts_of):
    parts = parts_of(lambda number, one: one.update(category_id='7'), val=content(1))
    with pytest.raises(FishNetError, match='training cannot use .*train.json(?s:.*)have a text as id'):
        list(check_entries(parts, masks=False))


def test_a_box_that_is_none_is_refused(parts_of):
    parts = parts_of(lambda number, one: (one.pop('area'), one.update(bbox=['a', 1, 2, 3])))
    list(complete(parts))
    with pytest.raises(FishNetError, match='have no bbox of four finite numbers'):
        list(check_entries(parts, masks=False))
