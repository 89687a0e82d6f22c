"""Exported models without torch and mmdet: in this Python with all other packages hidden, and in a new environment."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import REPO

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402

#: Prints what the model finds in the image, and which modules of others are loaded.
SCRIPT = """
import json, sys
from fishnet_mmdet.deploy import Detector

found = Detector('model.onnx', threads=1)('image.png')
loaded = {name.partition('.')[0] for name in sys.modules}
print(json.dumps(dict(boxes=found.boxes.tolist(), scores=found.scores.tolist(), area=int(found.masks.sum()),
                      loaded=sorted(loaded))))
"""
HIDDEN = ('torch', 'mmengine', 'mmcv', 'mmdet', 'onnx', 'PIL', 'matplotlib', 'scipy', 'pycocotools', 'safetensors')


@pytest.fixture
def folder(tmp_path):
    """A model and an image: bright on the left."""
    model_files.make(tmp_path / 'model.onnx')
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :15] = 255
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    return tmp_path


def run(*command, cwd, **env):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def check(status, out):
    assert status == 0, out[-4000:]
    found = json.loads(out.splitlines()[-1])
    assert found['boxes'] == [[0, 0, 60, 40], [15, 10, 45, 30]] and found['scores'] == [0.25, 0.5]
    assert found['area'] == 2 * 40 * 15
    return found['loaded']


def test_with_all_else_hidden(folder):
    hide = f'import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\n'
    check(*run(sys.executable, '-c', hide + SCRIPT, cwd=folder, PYTHONPATH=str(REPO)))


def test_in_a_new_environment(folder):
    """What the extra `deploy` installs from PyPI, for the Python that FISHNET_TEST_DEPLOY names."""
    python = os.environ.get('FISHNET_TEST_DEPLOY')
    if not python:
        pytest.skip('installs packages from PyPI: FISHNET_TEST_DEPLOY=python3.13 asks for it')
    # Building writes into the folder that it builds.
    copy = folder / 'copy'
    for name in ('fishnet_mmdet', 'configs', 'tools'):
        shutil.copytree(REPO / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'MANIFEST.in', 'model-index.yml', 'LICENSE', 'CHANGELOG.md'):
        shutil.copy(REPO / name, copy)
    status, out = run(python, '-m', 'venv', 'new', cwd=folder)
    assert status == 0, out
    python = folder / 'new' / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    status, out = run(python, '-m', 'pip', 'install', '-q', f'{copy}[deploy]', cwd=folder)
    assert status == 0, out

    loaded = check(*run(python, '-c', SCRIPT, cwd=folder, PYTHONPATH=''))
    assert not {'torch', 'mmengine', 'mmcv', 'mmdet', 'onnx', 'PIL'} & set(loaded)
    status, out = run(python, '-m', 'fishnet_mmdet', 'train', 'config.py', cwd=folder, PYTHONPATH='')
    assert status == 1 and 'Traceback' not in out and 'needs torch, which is not installed' in out
