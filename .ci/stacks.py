"""Runs the smoke tests on old and new stacks, and writes the table docs/stacks.md: python .ci/stacks.py

Every stack gets a virtual environment of wheels, which stays for the next run. Whatever Python of a stack is not on the PATH
or under pyenv is reported as such.
"""

import argparse
import datetime
import glob
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional
from xml.etree import ElementTree

REPO = Path(__file__).resolve().parents[1]
DOCS = REPO / 'docs/stacks.md'
SMOKE = 'tests/test_smoke.py'
OPENMMLAB = ('mmdet', 'mmengine', 'mmcv-lite')
FORKS = ('onedl-mmdetection', 'onedl-mmengine', 'onedl-mmcv')


@dataclass(frozen=True)
class Stack:
    """Versions that are tested together.

    Args:
        python (str): Python, as '3.9'.
        torch (str): Version of torch.
        numpy (str): Version of NumPy.
        forks (bool): The onedl forks instead of OpenMMLab's packages.
        new_setuptools (bool): The newest setuptools, without the pkg_resources that mmengine imports.
    """

    python: str
    torch: str
    numpy: str
    forks: bool = False
    new_setuptools: bool = False

    @property
    def name(self) -> str:
        """Name of the stack and of its folder."""
        return f'py{self.python}-torch{self.torch}' + '-onedl' * self.forks

    @property
    def packages(self) -> tuple:
        """The packages under the names mmdet, mmengine and mmcv."""
        return FORKS if self.forks else OPENMMLAB


#: The corners and the middle.
STACKS = (
    Stack('3.9', '2.0.1', '1.26.4'),
    Stack('3.10', '2.1.2', '1.26.4'),
    Stack('3.9', '2.8.0', '2.0.2'),
    Stack('3.10', '2.4.1', '2.2.6', forks=True),
    Stack('3.11', '2.13.0', '2.4.6'),
    Stack('3.12', '2.9.1', '2.3.5'),
    Stack('3.13', '2.15.0', '2.5.5', new_setuptools=True),
    Stack('3.11', '2.13.0', '2.4.6', forks=True),
)


@dataclass
class Result:
    """What came of a stack: its versions, and how each test ended ('passed', 'failed' or the reason of a skip)."""

    versions: Dict[str, str]
    outcomes: Dict[str, str]
    suite: str = ''


def main() -> int:
    """Sets up, tests, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--venvs', type=Path, default=REPO / '.venv-stacks', help='folder of the environments (4 GB each)')
    parser.add_argument('--only', nargs='+', metavar='STACK', help='run these alone, and write no table')
    parser.add_argument('--suite', nargs='+', default=[], metavar='STACK', help='run the whole test suite on these too')
    args = parser.parse_args()
    names = [stack.name for stack in STACKS]
    unknown = {*(args.only or []), *args.suite} - set(names)
    if unknown:
        parser.error(f'unknown stacks: {", ".join(sorted(unknown))}; there are {", ".join(names)}')

    results = {}
    for stack in STACKS:
        if not args.only or stack.name in args.only:
            results[stack] = check(stack, args.venvs.resolve() / stack.name, stack.name in args.suite)
            print(f'{stack.name}: {results[stack].outcomes} {results[stack].suite}', flush=True)
    text = table(results)
    if args.only:
        print(text)
    else:
        DOCS.write_text(text, encoding='utf-8')
        print(f'written: {DOCS}')
    return any('failed' in result.outcomes.values() for result in results.values())


def check(stack: Stack, venv: Path, whole_suite: bool) -> Result:
    """Sets a stack up where that is missing, and runs its tests."""
    try:
        set_up(stack, venv)
    except (LookupError, subprocess.CalledProcessError) as error:
        print(f'{stack.name}: {error}', flush=True)
        return Result({'torch': stack.torch, 'numpy': stack.numpy}, {'set-up': 'failed'})
    result = Result(versions(stack, venv), run_tests(venv, SMOKE))
    if whole_suite:
        outcomes = list(run_tests(venv, 'tests', '-n', '2', '--dist', 'loadfile').values())
        failed, passed = outcomes.count('failed'), outcomes.count('passed')
        result.suite = f'{passed} passed, {failed} failed, {len(outcomes) - passed - failed} skipped'
    return result


def set_up(stack: Stack, venv: Path) -> None:
    """Installs a stack from wheels in a virtual environment; an environment that is complete stays as it is.

    Raises:
        LookupError: If its Python is not there.
        subprocess.CalledProcessError: If pip fails.
    """
    ready = venv / 'stack.json'
    wanted = {**vars(stack), 'dev': (REPO / 'requirements/dev.txt').read_text()}
    if ready.is_file() and json.loads(ready.read_text()) == wanted:
        return
    print(f'{stack.name}: setting up {venv}', flush=True)
    subprocess.run([find_python(stack.python), '-m', 'venv', venv], check=True)
    pip = [venv / 'bin/python', '-m', 'pip', '--disable-pip-version-check']
    install = [*pip, 'install', '-q', '--no-compile', '--only-binary', ':all:']
    chosen = [f'torch=={stack.torch}', f'numpy=={stack.numpy}', '-r', REPO / 'requirements/dev.txt']
    environment = dict(os.environ)
    if stack.forks:
        # No wheels of these two are published; without compiled operators they are pure Python.
        environment['MMCV_WITH_OPS'] = '0'
        install += ['--no-binary', 'onedl-mmcv,onedl-mmdetection']
        chosen += ['onedl-mmdetection==3.5.1', 'onedl-mmcv', 'onedl-mmengine', 'safetensors', 'setuptools']
        subprocess.run([*install, *chosen], check=True, env=environment)
    else:
        subprocess.run([*install, *chosen, f'{REPO}[mmdet]'], check=True)
        # The tests run the checkout.
        subprocess.run([*pip, 'uninstall', '-q', '-y', 'fishnet_mmdet'], check=True)
    if stack.new_setuptools:
        subprocess.run([*install, '--upgrade', 'setuptools>=81'], check=True)
    ready.write_text(json.dumps(wanted))


def find_python(version: str) -> str:
    """The file of a Python of this version.

    Raises:
        LookupError: If there is none that runs.
    """
    pyenv = os.environ.get('PYENV_ROOT', os.path.expanduser('~/.pyenv'))
    for file in (shutil.which(f'python{version}'), *glob.glob(f'{pyenv}/versions/{version}.*/bin/python')):
        # A file of this name may be pyenv's, and run nothing.
        if file and subprocess.run([file, '-c', ''], stderr=subprocess.DEVNULL).returncode == 0:
            return file
    raise LookupError(f'there is no Python {version} on the PATH or under pyenv')


def versions(stack: Stack, venv: Path) -> Dict[str, str]:
    """The versions that are installed, by name: python, torch, numpy, mmdet, mmengine, mmcv, setuptools."""
    packages = dict(zip(('mmdet', 'mmengine', 'mmcv'), stack.packages))
    code = f"""if True:
        import importlib.metadata, json, platform

        def version(name):
            try:
                return importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return 'none'

        found = {{name: version(package) for name, package in {packages}.items()}}
        found.update({{name: version(name) for name in ('torch', 'numpy', 'setuptools')}}, python=platform.python_version())
        print(json.dumps(found))
    """
    return json.loads(subprocess.run([venv / 'bin/python', '-c', code], check=True, capture_output=True).stdout)


def run_tests(venv: Path, *arguments: str) -> Dict[str, str]:
    """Runs tests in an environment, prints what fails, and returns how each ended."""
    report = venv / 'report.xml'
    report.unlink(missing_ok=True)
    environment = {**os.environ, 'PYTHONPATH': str(REPO), 'OMP_NUM_THREADS': '1'}
    command = [venv / 'bin/python', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', f'--junitxml={report}', *arguments]
    subprocess.run(command, cwd=REPO, env=environment)
    if not report.is_file():
        return {'pytest': 'failed'}
    outcomes = {}
    for case in ElementTree.parse(report).iter('testcase'):
        name = case.get('name') if arguments[0] == SMOKE else f'{case.get("classname")}.{case.get("name")}'
        outcomes[name.replace('test_', '', 1)] = outcome(case)
    return outcomes


def outcome(case: ElementTree.Element) -> str:
    """'passed', 'failed', or why a test was skipped."""
    if case.find('failure') is not None or case.find('error') is not None:
        return 'failed'
    skipped: Optional[ElementTree.Element] = case.find('skipped')
    return 'passed' if skipped is None else skipped.get('message', 'skipped')


def table(results: Dict[Stack, Result]) -> str:
    """The page of the docs."""
    steps: List[str] = []
    for result in results.values():
        steps += [step for step in result.outcomes if step not in steps]
    columns = ('Python', 'torch', 'NumPy', 'mmdet', 'mmengine', 'mmcv', 'setuptools')
    lines = [_row([*columns, *steps]), _row(['---'] * (len(columns) + len(steps)))]
    reasons: List[str] = []
    suites = []
    for stack, result in results.items():
        found = [result.versions.get(column.lower(), '') for column in columns]
        found[3] += ' (onedl)' * stack.forks
        cells = []
        for step in steps:
            cell = result.outcomes.get(step, '')
            if cell not in ('passed', 'failed', ''):
                reasons += [cell] * (cell not in reasons)
                cell = f'({reasons.index(cell) + 1})'
            cells.append({'passed': 'yes', 'failed': '**no**'}.get(cell, cell))
        lines.append(_row([*found, *cells]))
        if result.suite:
            suites.append(f'- Python {result.versions["python"]}, torch {result.versions["torch"]}: {result.suite}')
    notes = [f'({i + 1}) {reason}.' for i, reason in enumerate(reasons)]
    parts = [HEAD.format(date=datetime.date.today(), torch=STACKS[0].torch), '\n'.join(lines), *notes]
    if suites:
        parts += ['The whole test suite on the same day:', '\n'.join(suites)]
    return '\n\n'.join([*parts, TAIL]) + '\n'


def _row(cells: List[str]) -> str:
    return f'| {" | ".join(cells)} |'


HEAD = """# Tested stacks

<!-- Written by .ci/stacks.py: change that file, not this one. -->

`python .ci/stacks.py` made this table on {date}, on Linux, with CPU tensors. Each column is a test of
`tests/test_smoke.py` with a tiny FishNet: train a Mask R-CNN for two iterations, test and resume it,
convert its backbone to safetensors, load that file, trace and export the network."""
TAIL = """No stack has compiled operators of mmcv: `fishnet_mmdet/ops` replaces them. With setuptools 81 or
newer, mmengine runs with the stand-in for `pkg_resources` in `fishnet_mmdet/compat.py`.

- torch below 2.3 needs NumPy 1: `pip install "numpy<2"`.
- The onedl forks need Python 3.10 and torch 2.4. Their packages are sources; without operators they
  are pure Python: `MMCV_WITH_OPS=0 pip install onedl-mmdetection onedl-mmcv onedl-mmengine`.
- torch for the CPU alone, which is smaller, comes from PyTorch's own index:
  `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup`."""

if __name__ == '__main__':
    sys.exit(main())
