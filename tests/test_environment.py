"""What the package says about the stack around it."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fishnet_mmdet import environment
from fishnet_mmdet.environment import check_versions
from fishnet_mmdet.errors import FishNetError

COMMANDS = {
    'torch': 'pip install "torch>=2.0"',
    'numpy': 'pip install "numpy>=1.26"',
    'mmengine': 'pip install mmengine==0.10.7',
    'mmcv': 'pip install mmcv-lite==2.1.0',
    'mmdet': 'pip install mmdet==3.3.0',
}


def importing(monkeypatch, name, error):
    """Lets the import of a module fail."""

    def import_module(asked):
        if asked == name:
            raise error
        return importlib.import_module(asked)

    monkeypatch.setattr(environment, 'importlib', SimpleNamespace(import_module=import_module))


def message(check):
    with pytest.raises(FishNetError) as error:
        check()
    return str(error.value)


def test_the_stack_of_the_tests_fits():
    check_versions()


@pytest.mark.parametrize('name', COMMANDS)
def test_missing(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    text = message(check_versions)
    assert f'needs {name}, which is not installed' in text
    assert COMMANDS[name] in text


@pytest.mark.parametrize(
    'name, version',
    [
        ('torch', '1.13.1'),
        ('numpy', '1.24.4'),
        ('mmengine', '0.9.1'),
        ('mmengine', '1.0.0'),
        ('mmcv', '1.7.2'),
        ('mmdet', '3.2.0'),
        ('mmdet', '2.28.2'),
        ('mmdet', '4.0.0rc1'),
    ],
)
def test_wrong_version(name, version, monkeypatch):
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(__version__=version))
    text = message(check_versions)
    assert f'needs {name} ' in text
    assert f'{version} is installed' in text
    assert COMMANDS[name] in text


@pytest.mark.parametrize(
    'name, version',
    [
        ('torch', '2.13.0+cu130'),
        ('torch', '2.10.0a0+git1234567'),
        ('numpy', '1.26.4'),
        ('numpy', '2.5.5'),
        ('mmengine', '0.10.7'),
        ('mmcv', '2.2.0'),
        ('mmdet', '3.3.0'),
        ('mmdet', '3.10.0'),
    ],
)
def test_right_version(name, version, monkeypatch):
    # The newest NumPy does not work with the oldest torch, whichever is installed.
    monkeypatch.setitem(sys.modules, 'torch', SimpleNamespace(__version__='2.13.0'))
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(__version__=version))
    check_versions()


def test_bounds_are_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmdet', SimpleNamespace(__version__='3.2.0'))
    assert 'needs mmdet 3.3 or newer, below 4;' in message(check_versions)


def test_a_module_that_another_one_misses_is_not_mistaken_for_it(monkeypatch):
    importing(monkeypatch, 'mmdet', ModuleNotFoundError("No module named 'scipy'", name='scipy'))
    with pytest.raises(FishNetError, match='mmdet, which is installed and does not import .*scipy.*: pip install mmdet'):
        check_versions()


def test_mmdet_s_own_check_of_mmcv(monkeypatch):
    importing(monkeypatch, 'mmdet', AssertionError('MMCV==2.3.0 is used but incompatible.'))
    text = message(check_versions)
    assert 'mmdet' in text and 'MMCV==2.3.0 is used but incompatible.' in text
    assert COMMANDS['mmcv'] in text


@pytest.mark.parametrize(
    'torch, numpy, fits',
    [('2.0.1', '1.26.4', True), ('2.2.2', '2.0.2', False), ('2.3.0', '2.0.2', True), ('2.13.0+cpu', '2.4.6', True)],
)
def test_numpy_2_and_a_torch_that_was_built_for_numpy_1(torch, numpy, fits, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', SimpleNamespace(__version__=torch))
    monkeypatch.setitem(sys.modules, 'numpy', SimpleNamespace(__version__=numpy))
    if fits:
        check_versions()
    else:
        assert message(check_versions).startswith(
            f'torch {torch} does not work with NumPy {numpy}: pip install "numpy<2", or install torch 2.3 or newer'
        )


def test_a_system_without_opengl(monkeypatch):
    importing(monkeypatch, 'mmcv', ImportError('libGL.so.1: cannot open shared object file', name='cv2'))
    text = message(check_versions)
    assert 'mmcv, which is installed and does not import (libGL.so.1' in text
    assert 'pip install opencv-python-headless' in text


def without(name, code):
    """What Python prints for some code in a process in which a module is not installed."""
    code = f'import sys; sys.modules[{name!r}] = None\n{code}'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'Traceback' not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    'name, code',
    [
        ('torch', 'from fishnet_mmdet import FishNet'),
        ('mmengine', 'import fishnet_mmdet; fishnet_mmdet.FishNet(depth=150)'),
        ('mmcv', 'from fishnet_mmdet import fishify'),
        ('mmdet', 'from fishnet_mmdet.__main__ import main; main(["train", "--help"])'),
        ('numpy', 'import fishnet_mmdet'),
    ],
)
def test_the_package_says_so_before_it_imports_anything(name, code):
    out = without(name, code)
    assert f'error: fishnet_mmdet needs {name}, which is not installed' in out
    assert COMMANDS[name] in out


@pytest.mark.parametrize('name', ['torch', 'mmengine', 'mmcv', 'mmdet'])
def test_exported_models_need_no_stack(name):
    code = (
        'import fishnet_mmdet.deploy; print([one for one in ("torch", "mmengine", "mmcv", "mmdet") if sys.modules.get(one)])'
    )
    assert without(name, code) == '[]\n'


def test_a_name_that_the_package_does_not_have():
    assert without('torch', 'import fishnet_mmdet; print(hasattr(fishnet_mmdet, "FishNet2"))') == 'False\n'
