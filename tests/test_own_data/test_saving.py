"""The config that train --data writes: mmengine reads the changed config from it, and it is short."""

import pytest
from conftest import REPO
from mmengine.config import Config
from own_data import content, save

from fishnet_mmdet.commands import train
from fishnet_mmdet.engine.configs import read_config
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.fishify.writing import find_config
from fishnet_mmdet.own_data import check_inheritable, data_name

RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
NEW_STYLE = 'from mmengine.config import read_base\n\nwith read_base():\n    from .base import *\n'


@pytest.fixture
def data(tmp_path):
    parts = dict(train=content(4), val=content(2))
    return save(tmp_path / 'my data', {**{f'{name}.json': part for name, part in parts.items()}, **parts})


@pytest.fixture
def prepared(data, tmp_path, monkeypatch):
    """The config of a run, as the command changes it, and the config that it writes."""
    monkeypatch.chdir(tmp_path)

    def prepare(name, *options):
        args = train.parse_args([name, '--data', str(data), *options])
        args.config = str(find_config(name))
        cfg = train.load_config(args, train.NEEDED)
        train.change(cfg, args, name)
        (file,) = (tmp_path / cfg.work_dir / 'own_data').glob('*.py')
        return cfg, file

    return prepare


def comparable(value):
    """A config without what belongs to one run, and without the package names that mmengine notes."""
    if isinstance(value, dict):
        of_a_run = ('_scope_', 'launcher', 'work_dir')
        return {key: comparable(item) for key, item in value.items() if key not in of_a_run}
    return [comparable(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    'name, options',
    [
        (str(REPO / 'configs/mask_rcnn_fishnet150_fpn.py'), ['--from-scratch', '--epochs', '3', '--amp', '--auto-scale-lr']),
        (RETINANET, []),
        ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', []),
    ],
)
def test_the_written_config_is_that_of_the_run(prepared, name, options):
    cfg, file = prepared(name, *options)
    written = read_config(str(file))
    assert comparable(written.to_dict()) == comparable(cfg.to_dict())
    assert 'launcher' not in written and 'work_dir' not in written
    text = file.read_text()
    assert '_base_ = ' in text and len(text.splitlines()) < 120


def test_names(prepared):
    cfg, file = prepared(RETINANET)
    assert cfg.work_dir == 'work_dirs/retinanet_r50_fpn_1x_coco_my_data'
    assert file.name == 'retinanet_r50_fpn_1x_coco_my_data.py'
    _, file = prepared(RETINANET, '--work-dir', 'mine')
    assert str(file).endswith('mine/own_data/retinanet_r50_fpn_1x_coco_my_data.py')
    assert data_name('/x/cells (2).v1/') == 'cells_2_v1'


def test_settings_of_the_command_win(prepared):
    _, file = prepared(RETINANET, '--cfg-options', 'model.bbox_head.num_classes=9', 'val_evaluator.metric=proposal')
    written = Config.fromfile(file)
    assert written.model.bbox_head.num_classes == 9
    assert written.val_evaluator.metric == 'proposal' and written.test_evaluator.metric == 'bbox'


def test_coco_elsewhere_does_not_move_own_data(prepared, data, monkeypatch):
    monkeypatch.setenv('MMDET_DATASETS', '/elsewhere')
    cfg, file = prepared(RETINANET)
    for one in (cfg, read_config(str(file))):
        assert one.train_dataloader.dataset.data_root == f'{data}/'
        assert one.val_evaluator.ann_file == f'{data}/val.json'


def test_two_places_of_the_data_are_refused(prepared):
    with pytest.raises(FishNetError, match='--data and --cfg-options data_root name two places'):
        prepared(RETINANET, '--cfg-options', 'data_root=there')


def test_a_resumed_run_writes_no_checkpoint_into_the_config(prepared):
    cfg, file = prepared(RETINANET, '--resume', 'last.pth')
    assert cfg.load_from == 'last.pth' and 'last.pth' not in file.read_text()


def test_new_style_configs_are_refused(tmp_path):
    (tmp_path / 'new.py').write_text(NEW_STYLE)
    with pytest.raises(FishNetError, match='new.py is a new-style config'):
        check_inheritable(str(tmp_path / 'new.py'))
