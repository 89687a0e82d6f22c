"""The configs as others find them: through the installed package, and through the model index."""

import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from conftest import REPO
from mmengine.config import Config

from fishnet_mmdet import config_file
from fishnet_mmdet.errors import FishNetError

INHERITING = """
_base_ = __import__('fishnet_mmdet').config_file('mask_rcnn_fishnet99_fpn.py')
model = dict(roi_head=dict(bbox_head=dict(num_classes=7)))
"""


def test_a_config_elsewhere_inherits_one_of_the_package(tmp_path):
    (tmp_path / 'mine.py').write_text(INHERITING)
    cfg = Config.fromfile(tmp_path / 'mine.py')
    assert cfg.model.backbone.depth == 99 and cfg.model.roi_head.bbox_head.num_classes == 7


def test_an_unknown_config_is_refused():
    with pytest.raises(FishNetError) as error:
        config_file('mask_rcnn_fishnet50_fpn.py')
    for word in ("'mask_rcnn_fishnet50_fpn.py'", 'mask_rcnn_fishnet150_fpn.py', 'classification/fishnet99_imagenet.py'):
        assert word in str(error.value)


def test_a_wheel_brings_the_configs(tmp_path):
    pytest.importorskip('setuptools', minversion='70.1', reason='older ones need the package wheel')
    # Building writes into the folder that it builds.
    copy = tmp_path / 'copy'
    for name in ('fishnet_mmdet', 'configs', 'tools'):
        shutil.copytree(REPO / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'model-index.yml'):
        shutil.copy(REPO / name, copy)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-q', '-w', tmp_path, '.']
    subprocess.run(command, cwd=copy, check=True)
    (wheel,) = tmp_path.glob('*.whl')
    zipfile.ZipFile(wheel).extractall(tmp_path / 'site')
    assert (tmp_path / 'site/fishnet_mmdet/.mim/tools/train.py').is_file()
    (tmp_path / 'mine.py').write_text(INHERITING)
    code = (
        'import fishnet_mmdet; from mmengine.config import Config; from mmdet.registry import MODELS\n'
        "cfg = Config.fromfile('mine.py'); MODELS.build(cfg.model.backbone)\n"
        'print(fishnet_mmdet.__file__, cfg.model.backbone.depth)'
    )
    # The folder of the wheel comes before the repository's editable install.
    out = subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {str(tmp_path / "site")!r})\n{code}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    file, depth = out.stdout.splitlines()[-1].split()
    assert file.startswith(str(tmp_path / 'site')) and depth == '99'


def test_the_model_index_names_every_model_once():
    named = []
    for metafile in yaml.safe_load((REPO / 'model-index.yml').read_text())['Import']:
        meta = yaml.safe_load((REPO / metafile).read_text())
        collections = {one['Name'] for one in meta['Collections']}
        for model in meta['Models']:
            assert model['In Collection'] in collections
            # Readers take Results for ours, so without weights of ours there are none. What others published has its source.
            assert 'Results' not in model and 'Weights' not in model
            assert re.fullmatch(r'.+ \(.+\)', model['Metadata'].get('Published', 'nothing (yet)'))
            cfg = Config.fromfile(REPO / model['Config'])
            assert cfg.train_cfg.max_epochs == model['Metadata']['Epochs']
            assert cfg.auto_scale_lr.base_batch_size == model['Metadata']['Batch Size']
            named.append(model['Config'])
    there = [
        str(file.relative_to(REPO))
        for pattern in ('*.py', 'baselines/*.py', 'fishnext/*.py', 'classification/*_imagenet*.py')
        for file in REPO.glob(f'configs/{pattern}')
    ]
    assert sorted(named) == sorted(there)
