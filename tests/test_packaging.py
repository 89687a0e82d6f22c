"""What is published: the source distribution, the wheel that is built from it, and what both say about themselves."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
from email.parser import HeaderParser
from zipfile import ZipFile

import pytest
from conftest import REPO, has_pkg_resources
from packaging.requirements import Requirement

#: What a checkout has beside its own files, and may be large.
NOT_COPIED = ('.git', '.venv', 'work_dirs', 'data', 'checkpoints', 'build', 'dist')
PIP = (sys.executable, '-m', 'pip', '--isolated', '--disable-pip-version-check')


def run(*command, cwd, **env):
    """Runs a command without network, and returns what it prints."""
    env = {**os.environ, 'PIP_NO_INDEX': '1', **env}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def sdist(tmp_path_factory):
    """The source distribution."""
    pytest.importorskip('setuptools', minversion='70.1', reason='older ones need the package wheel')
    top = tmp_path_factory.mktemp('sdist')
    not_copied = {str(REPO): NOT_COPIED}  # at the top alone: the package has a folder checkpoints too
    shutil.copytree(REPO, top / 'checkout', ignore=lambda folder, names: not_copied.get(folder, ('__pycache__',)))
    run(sys.executable, '-c', 'from setuptools import build_meta; build_meta.build_sdist("..")', cwd=top / 'checkout')
    (file,) = top.glob('*.tar.gz')
    return file


@pytest.fixture(scope='module')
def wheel(sdist):
    """The wheel that is built from the source distribution, and from nothing else."""
    run(*PIP, 'wheel', '--no-index', '--no-deps', '--no-build-isolation', '-w', sdist.parent, sdist, cwd=sdist.parent)
    (file,) = sdist.parent.glob('*.whl')
    return file


@pytest.fixture(scope='module')
def installed(wheel):
    """A folder that the wheel is installed in."""
    site = wheel.parent / 'site'
    run(*PIP, 'install', '--no-index', '--no-deps', '--no-compile', '--target', site, wheel, cwd=wheel.parent)
    return site


@pytest.fixture(scope='module')
def metadata(wheel):
    """The metadata of the wheel."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
        return HeaderParser().parsestr(archive.read(name).decode())


def files(folder, *patterns):
    return {
        str(path.relative_to(folder))
        for pattern in patterns
        for path in folder.rglob(pattern)
        if '__pycache__' not in path.parts
    }


def test_the_sdist_holds_the_sources_and_no_tests(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'model-index.yml'} <= names
    for folder in ('configs', 'tools', 'fishnet_mmdet'):
        assert {f'{folder}/{file}' for file in files(REPO / folder, '*.*')} <= names
    assert not [name for name in names if name.startswith('tests') or '__pycache__' in name]


def test_the_wheel_holds_every_module_config_and_tool(installed):
    package = installed / 'fishnet_mmdet'
    assert files(REPO / 'fishnet_mmdet', '*.*') <= files(package, '*.*')
    for folder in ('configs', 'tools'):
        assert files(REPO / folder, '*.*') == files(package / '.mim' / folder, '*.*')
    assert (package / '.mim/model-index.yml').is_file()


def test_the_wheel_runs(installed, tmp_path):
    code = f"""if True:
        from pathlib import Path
        import fishnet_mmdet, torch
        from mmengine.config import Config
        from mmdet.registry import MODELS

        assert Path(fishnet_mmdet.__file__).is_relative_to({str(installed)!r}), fishnet_mmdet.__file__
        cfg = Config.fromfile(fishnet_mmdet.config_file('mask_rcnn_fishnet150_fpn.py'))
        cfg.model.backbone.init_cfg = None
        net = MODELS.build(cfg.model.backbone).eval()
        with torch.no_grad():
            print([tuple(features.shape) for features in net(torch.zeros(1, 3, 64, 64))])
    """
    out = run(sys.executable, '-c', code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert out.splitlines()[-1] == '[(1, 320, 16, 16), (1, 832, 8, 8), (1, 1600, 4, 4), (1, 2112, 2, 2)]'
    assert 'train ' in run(sys.executable, '-m', 'fishnet_mmdet', '--help', cwd=tmp_path, PYTHONPATH=str(installed))
    train = installed / 'fishnet_mmdet/.mim/tools/train.py'
    assert 'config file' in run(sys.executable, train, '--help', cwd=tmp_path, PYTHONPATH=str(installed))


def test_an_install_touches_nothing_else(metadata):
    for text in metadata.get_all('Requires-Dist'):
        assert 'extra ==' in text, f'pip install fishnet_mmdet would also install {text}'


def test_the_extra_is_what_the_tests_run_with(metadata):
    needed = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    needed = [one for one in needed if one.marker.evaluate({'extra': 'mmdet'})]
    assert {'mmengine', 'mmcv-lite', 'mmdet', 'torch'} <= {one.name for one in needed}
    # Other stacks, and one with a setuptools for which fishnet_mmdet/compat.py has a stand-in, are tested with other versions.
    if importlib.metadata.version('mmdet') == '3.3.0' and has_pkg_resources:
        for one in needed:
            if one.name == 'mmcv-lite' and not _is_installed('mmcv-lite'):
                one.name = 'mmcv'  # with compiled operators; the same version
            version = importlib.metadata.version(one.name)
            assert one.specifier.contains(version, prereleases=True), f'{one} is needed, {version} is installed'


def _is_installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_the_metadata_is_complete(metadata):
    assert metadata['Name'].replace('-', '_') == 'fishnet_mmdet'
    assert metadata['Requires-Python'] == '>=3.9'
    assert metadata['License'] == 'Apache-2.0' and metadata['License-File'] == 'LICENSE'
    assert metadata['Summary'] and metadata['Keywords'] and metadata['Author']
    assert metadata['Description-Content-Type'] == 'text/markdown'
    assert metadata.get_payload().startswith('# FishNet for MMDetection')
    assert len(metadata.get_all('Project-URL')) >= 3
    pythons = {text.rpartition(' ')[2] for text in metadata.get_all('Classifier') if 'Python :: 3.' in text}
    assert pythons == {'3.9', '3.10', '3.11', '3.12', '3.13'}
