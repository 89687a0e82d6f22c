"""Classes from the categories of the annotation files: their order, groups that are no classes, and parts that differ."""

import json

import pytest
from own_data import content, save

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.own_data.classes import leave_out_groups, unify_classes
from fishnet_mmdet.own_data.layouts import find_parts
from fishnet_mmdet.own_data.parts import write_changed

CAT, DOG = dict(id=7, name='cat'), dict(id=3, name='dog')


def unified(root, train, val):
    save(root, {'train.json': train, 'val.json': val, 'train': train, 'val': val})
    parts = find_parts(root)
    notes = list(leave_out_groups(parts))
    classes, more = unify_classes(parts)
    write_changed(parts, root / 'work/own_data')
    return classes, notes + more, parts


def test_classes_in_the_order_of_the_file(tmp_path):
    classes, notes, parts = unified(tmp_path, content(categories=[CAT, DOG]), content(2, [CAT, DOG]))
    assert classes == (('cat', 'dog'), (7, 3)) and notes == []
    assert parts['val'].file.path == str(tmp_path / 'val.json') and not (tmp_path / 'work').exists()


def test_roboflows_group_is_no_class(tmp_path):
    group = dict(id=0, name='pets', supercategory='none')
    categories = [group, dict(CAT, supercategory='pets'), dict(DOG, supercategory='pets')]
    data = content(categories=categories, objects=[(1, 7), (2, 3)])
    classes, notes, parts = unified(tmp_path, data, data)
    assert classes == (('cat', 'dog'), (7, 3))
    assert len(notes) == 1 and "'pets' (id 0) is no class" in notes[0]
    assert parts['train'].file.path == str(tmp_path / 'train.json')


def test_a_group_with_the_name_of_a_class_is_taken_out_of_the_files(tmp_path):
    """mmdet finds categories by name, so it would take the group for a class."""
    categories = [dict(id=0, name='cat', supercategory='none'), dict(id=1, name='cat', supercategory='cat')]
    data = content(categories=categories, objects=[(1, 1), (2, 1)])
    classes, _, parts = unified(tmp_path, data, data)
    assert classes == (('cat',), (1,))
    for name in ('train', 'val'):
        written = json.loads((tmp_path / f'work/own_data/{name}.json').read_text())
        assert [one['id'] for one in written['categories']] == [1]
        assert written['annotations'] == data['annotations'] and parts[name].file.path == str(
            tmp_path / f'work/own_data/{name}.json'
        )


def test_a_category_with_objects_is_a_class_although_it_groups_others(tmp_path):
    data = content(categories=[dict(id=1, name='pet'), dict(CAT, supercategory='pet')])
    assert unified(tmp_path, data, data)[0].names == ('pet', 'cat')


def test_a_class_without_objects_is_a_class(tmp_path):
    data = content(categories=[CAT, DOG], objects=[(1, 7)])
    assert unified(tmp_path, data, data)[0].names == ('cat', 'dog')


@pytest.mark.parametrize('others', [[DOG, CAT], [dict(CAT, id=1), dict(DOG, id=2)], [dict(DOG, id=9)]])
def test_a_part_with_other_numbers_gets_those_of_the_training_part(tmp_path, others):
    """mmdet would count its objects as those of other classes."""
    train, val = content(categories=[CAT, DOG]), content(2, others)
    _, notes, parts = unified(tmp_path, train, val)
    written = json.loads((tmp_path / 'work/own_data/val.json').read_text())
    assert written['categories'] == [CAT, DOG]
    assert len(notes) == 1 and 'val.json numbers its classes in another way' in notes[0]
    names = {one['id']: one['name'] for one in others}
    ids = dict(cat=7, dog=3)
    expected = [ids[names[one['category_id']]] for one in val['annotations']]
    assert [one['category_id'] for one in written['annotations']] == expected
    assert parts['val'].file.path == str(tmp_path / 'work/own_data/val.json')


def test_objects_of_an_unknown_class_are_refused(tmp_path):
    with pytest.raises(FishNetError, match='val.json has objects of bird, which .* they list cat, dog'):
        unified(tmp_path, content(categories=[CAT, DOG]), content(2, [CAT, dict(id=1, name='bird')]))


def test_two_classes_of_one_name_are_refused(tmp_path):
    data = content(categories=[CAT, dict(DOG, name='cat')])
    with pytest.raises(FishNetError, match="2 categories with name 'cat'"):
        unified(tmp_path, data, data)
