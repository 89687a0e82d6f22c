"""train --data on a folder in Roboflow's layout, then test and infer with the config that it writes."""

import json
import pickle
import shutil

import pytest
from mmengine.config import Config

#: One process, which imports mmdet once.
RUN = """
import sys
from fishnet_mmdet.__main__ import main
train, test, infer = {arguments!r}
for arguments in (train, test, infer):
    main(arguments)
"""


def new_id(number):
    """Another id for a class: neither 1, 2, 3 ... nor in order."""
    return 100 - 10 * number


@pytest.fixture
def data(shapes, tmp_path):
    """The shapes as Roboflow exports them: a group as the first category, ids from 0, no iscrowd."""
    root = tmp_path / 'shapes'
    for part, folder in (('train', 'train'), ('val', 'valid')):
        shutil.copytree(shapes / part, root / folder)
        content = json.loads((shapes / f'annotations/instances_{part}.json').read_text())
        for number, one in enumerate(content['annotations']):
            one.update(id=number, category_id=new_id(one['category_id']))
            del one['iscrowd']
        classes = [dict(one, id=new_id(one['id']), supercategory='shapes') for one in content['categories']]
        content['categories'] = [dict(id=0, name='shapes', supercategory='none'), *classes]
        (root / folder / '_annotations.coco.json').write_text(json.dumps(content))
    return root


def test_train_test_and_infer(data, tiny_config, command, tmp_path):
    few = 'train_cfg = dict(max_epochs=1)\nmodel["test_cfg"] = dict(rcnn=dict(score_thr=0.0, max_per_img=5))\n'
    config, work = tiny_config(more=few, name='tiny.py'), tmp_path / 'work_dirs/tiny_shapes'
    options = ['--cfg-options', 'train_dataloader.batch_size=2']
    written, checkpoint = work / 'own_data/tiny_shapes.py', work / 'epoch_1.pth'
    arguments = [
        ['train', str(config), '--data', str(data), *options],
        ['test', str(written), str(checkpoint), '--out', 'found.pkl'],
        ['infer', str(data / 'valid'), str(written), str(checkpoint), '--out-dir', 'shown', '--device', 'cpu'],
    ]
    script = tmp_path / 'run.py'
    script.write_text(RUN.format(arguments=arguments))
    log = command(script)
    assert 'is no class' in log and 'iscrowd added' in log and '(id 90)' in log
    assert log.count('coco/bbox_mAP') >= 2

    names = {one['id']: one['name'] for one in json.loads((data / 'valid/_annotations.coco.json').read_text())['categories']}
    del names[0]
    found = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert len(found) == 3
    for image in found:
        instances = image['pred_instances']
        assert instances['category_ids'].tolist() == [list(names)[label] for label in instances['labels']]
    shown = json.loads((tmp_path / 'shown/predictions.json').read_text())
    assert {one['id']: one['name'] for one in shown['categories']} == names
    assert {one['category_id'] for one in shown['annotations']} <= set(names) and shown['annotations']
    assert Config.fromfile(written).train_dataloader.batch_size == 2
