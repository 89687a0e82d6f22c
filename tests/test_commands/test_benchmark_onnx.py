"""The command ``benchmark_onnx``: its table, its file, and models that fail."""

import json
import re
from statistics import median

import cv2
import pytest
from conftest import REPO

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402

from fishnet_mmdet.analysis.runtimes import Candidate, Process, compare  # noqa: E402
from fishnet_mmdet.commands.benchmark_onnx import main  # noqa: E402
from fishnet_mmdet.errors import FishNetError  # noqa: E402

DOOR = REPO / 'tools/analysis_tools/benchmark_onnx.py'
IMAGE = REPO / 'demo/nuclei/val/0287e7ee5b00.jpg'
#: A model that takes images of 8x8 alone.
FIXED = model_files.PANOPTIC.replace('uint8[h, w, 3]', 'uint8[8, 8, 3]').replace('int64[h, w]', 'int64[8, 8]')


def test_command(command, tmp_path):
    model_files.make(tmp_path / 'a.onnx')
    model_files.make(tmp_path / 'b.onnx', FIXED, task='panoptic segmentation', precision='int8')
    arguments = ['--runtimes', 'pytorch', 'onnxruntime', '--rounds', '3', '--threads', '1', '--json', 'times.json']
    out = command(DOOR, 'nuclei', '--models', 'a.onnx', 'b.onnx', '--image', IMAGE, '--size', '96x64', *arguments)
    about = json.loads((tmp_path / 'times.json').read_text())
    failed, *results = about['results']
    assert failed['name'] == 'onnxruntime, b.onnx (int8)' and 'cannot process an image of 96x64' in failed['error']
    assert [row['name'] for row in results] == ['pytorch', 'onnxruntime, a.onnx (float32)']
    assert about['image'] == '96x64' and '1 threads' in about['machine'] and 'onnxruntime' in about['versions']
    for row in results:
        assert len(row['seconds']) == 3 and row['median_seconds'] == median(row['seconds'])
        assert row['start'] > min(row['seconds'])
        assert row['ratio'] == median(mine / first for mine, first in zip(row['seconds'], results[0]['seconds']))
    assert results[1]['found'] == 2 and results[1]['ratio'] < 0.5
    if results[0]['peak_bytes'] is not None:
        # Only one of the processes has torch.
        assert results[1]['peak_bytes'] < 0.6 * results[0]['peak_bytes']
    lines = [re.split(r' *\| *', line)[1:-1] for line in out.splitlines() if line.startswith('|')]
    assert lines[0][4] == 'ratio to pytorch' and len(lines) == 5 and lines[3][4] == '1.00'


def test_an_exported_model_runs_without_torch(tmp_path):
    """A process that imports torch would need seconds to start."""
    model_files.make(tmp_path / 'a.onnx')
    job = dict(kind='exported', file=str(tmp_path / 'a.onnx'), runtime='onnxruntime')
    process = Process(Candidate('a', job), IMAGE, 1)
    process.run()
    process.close()
    assert process.found == 2 and process.process.returncode == 0


def test_a_process_that_is_killed_is_a_row_of_the_table(tmp_path, monkeypatch):
    """As the system does it with one that takes too much memory."""
    file = model_files.make(tmp_path / 'a.onnx')
    candidates = [Candidate(name, dict(kind='exported', file=str(file), runtime='onnxruntime')) for name in 'ab']
    run = Process.run

    def run_once(self):
        if self.name == 'a' and self.seconds:
            self.process.kill()
        run(self)

    monkeypatch.setattr(Process, 'run', run_once)
    first, second = compare(candidates, cv2.imread(str(IMAGE)), 1, 3, print)
    assert first == dict(name='a', error='killed by signal 9, maybe for want of memory')
    assert second['name'] == 'b' and len(second['seconds']) == 3 and second['ratio'] == 1


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--models', 'nowhere.onnx'], 'nowhere.onnx cannot be read'),
        (['--models', 'a.onnx', '--runtimes', 'tensorflow'], 'tensorflow'),
        (['--models', 'a.onnx', '--size', '7'], "'7' is not an image size"),
        (['--models', 'a.onnx', '--rounds', '0'], '--rounds'),
    ],
)
def test_refusals(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_files.make('a.onnx')
    with pytest.raises(FishNetError, match=words):
        main(['nuclei', '--image', str(IMAGE), *arguments])


def test_an_image_that_is_not_there(tmp_path):
    file = model_files.make(tmp_path / 'a.onnx')
    with pytest.raises(FishNetError, match='nowhere.png cannot be read'):
        main(['nuclei', '--image', 'nowhere.png', '--models', str(file)])
