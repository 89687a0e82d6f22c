"""The command that makes the table of stacks: how it reads pytest's report, and what it writes."""

import importlib.util
import subprocess
import sys

import pytest
from conftest import REPO


@pytest.fixture(scope='module')
def stacks():
    """The command as a module."""
    spec = importlib.util.spec_from_file_location('stacks', REPO / '.ci/stacks.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules['stacks'] = module
    spec.loader.exec_module(module)
    return module


def test_the_ends_of_the_supported_range_are_there(stacks):
    assert {'3.9', '3.10', '3.11', '3.12', '3.13'} == {stack.python for stack in stacks.STACKS}
    assert {'2.0.1', '2.15.0'} <= {stack.torch for stack in stacks.STACKS}
    assert any(stack.forks for stack in stacks.STACKS) and any(stack.new_setuptools for stack in stacks.STACKS)
    names = [stack.name for stack in stacks.STACKS]
    assert len(set(names)) == len(names)


def test_every_way_a_test_can_end_is_told_apart(stacks, tmp_path):
    (tmp_path / 'test_ends.py').write_text("""if True:
        import pytest

        def test_good(): pass
        def test_bad(): assert False
        def test_left_out(): pytest.skip('it is too old')

        @pytest.fixture
        def broken(): raise ValueError

        def test_without_its_fixture(broken): pass
    """)
    report = tmp_path / 'report.xml'
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', f'--junitxml={report}', 'test_ends.py']
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    outcomes = [stacks.outcome(case) for case in stacks.ElementTree.parse(report).iter('testcase')]
    assert outcomes == ['passed', 'failed', 'it is too old', 'failed']


def test_table(stacks):
    versions = dict(
        python='3.9.18', torch='2.0.1', numpy='1.26.4', mmdet='3.3.0', mmengine='0.10.7', mmcv='2.1.0', setuptools='58.1.0'
    )
    old, new = stacks.STACKS[0], stacks.STACKS[-1]
    results = {
        old: stacks.Result(versions, dict(train='passed', export='it is too old'), suite='5 passed, 0 failed, 1 skipped'),
        new: stacks.Result(dict(torch='2.13.0'), {'set-up': 'failed'}),
    }
    rows = [line for line in stacks.table(results).splitlines() if line.startswith('|')]
    assert rows[0].endswith('| setuptools | train | export | set-up |')
    assert rows[2] == '| 3.9.18 | 2.0.1 | 1.26.4 | 3.3.0 | 0.10.7 | 2.1.0 | 58.1.0 | yes | (1) |  |'
    assert rows[3].startswith('|  | 2.13.0 |') and rows[3].endswith('|  |  | **no** |')
    text = stacks.table(results)
    assert '(1) it is too old.' in text
    assert '- Python 3.9.18, torch 2.0.1: 5 passed, 0 failed, 1 skipped' in text


def test_an_unknown_stack_is_refused_before_anything_is_installed(tmp_path):
    command = [sys.executable, REPO / '.ci/stacks.py', '--venvs', tmp_path / 'venvs', '--only', 'py2.7']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and 'unknown stacks: py2.7; there are py3.9-torch2.0.1,' in done.stderr
    assert not (tmp_path / 'venvs').exists()
