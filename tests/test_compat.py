"""The stand-ins for modules that mmengine imports and that newer Pythons or setuptools no longer have."""

import importlib.util
import subprocess
import sys

import pytest
from mmengine.runner import checkpoint

from fishnet_mmdet import compat

#: Makes Python find neither of the two modules, as where there is no setuptools on Python 3.12 or newer.
WITHOUT = """if True:
    import importlib.machinery, sys

    def without(find):
        return lambda name, *args: None if name.split('.')[0] in ('pkg_resources', 'distutils') else find(name, *args)

    importlib.machinery.PathFinder.find_spec = without(importlib.machinery.PathFinder.find_spec)
    sys.meta_path = [finder for finder in sys.meta_path if 'istutils' not in type(finder).__name__]
    for name in [name for name in sys.modules if name.split('.')[0] in ('pkg_resources', 'distutils')]:
        del sys.modules[name]
"""


def without_them(code):
    """Runs code where the modules are missing, and returns what it prints."""
    done = subprocess.run([sys.executable, '-c', WITHOUT + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_without_the_stand_ins_mmengine_fails():
    code = """
    for name in ('pkg_resources', 'distutils.errors'):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            print(error)
    """
    assert without_them(code) == "No module named 'pkg_resources'\nNo module named 'distutils'\n"


def test_with_them_mmengine_finds_packages_and_describes_the_machine():
    code = """
    import fishnet_mmdet, mmdet, pathlib, pkg_resources, pytest, distutils
    from mmengine.hub import get_config
    from mmengine.utils import get_installed_path, is_installed
    from mmengine.utils.dl_utils import collect_env
    from mmengine.utils.package_utils import package2module

    for module in (pkg_resources, distutils):
        assert type(module.__spec__.loader).__name__ == 'StandIns', module
    assert is_installed('mmdet') and is_installed('fishnet_mmdet') and not is_installed('no-such-package')
    assert pathlib.Path(get_installed_path('mmdet')).samefile(pathlib.Path(mmdet.__file__).parent)
    assert package2module('mmdet') == 'mmdet'
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend('.')
    assert get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model.type == 'RetinaNet'
    print(collect_env()['GCC'] != '')
    """
    assert without_them(code) == 'True\n'


def test_what_is_installed_is_preferred():
    compat.install()
    compat.install()
    assert sum(isinstance(finder, compat.StandIns) for finder in sys.meta_path) == 1
    spec = importlib.util.find_spec('pkg_resources')
    if isinstance(spec.loader, compat.StandIns):
        pytest.skip('no setuptools with pkg_resources is installed here')
    assert spec.origin.endswith('__init__.py')


def test_no_other_module_is_found():
    assert compat.StandIns().find_spec('pkg_resources.extern') is None
    assert compat.StandIns().find_spec('imp') is None


def test_the_fork_adds_no_types_of_its_own_to_torch_load(monkeypatch):
    """What this is for is tested with the fork: test_smoke.py resumes on the stacks that have it."""
    monkeypatch.setattr(checkpoint, 'get_torch_safe_globals', lambda: [set], raising=False)
    compat.install()
    assert checkpoint.get_torch_safe_globals() == []
