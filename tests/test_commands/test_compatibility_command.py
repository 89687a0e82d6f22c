"""The command that tries FishNet in mmdet's configs."""

import json

from conftest import REPO

TOOL = REPO / 'tools/analysis_tools/compatibility.py'


def test_a_few_configs(command, tmp_path):
    args = TOOL, 'yolof/*coco.py', 'yolox/*s_8*', 'reid/*17half*', '-o', 'out', '--size', '64'
    out = command(*args)
    one, same = 'yolof/yolof_r50-c5_8xb8-1x_coco.py', 'yolof/yolof_r50-c5_8xb8-iter-1x_coco.py'
    assert f'1/2 {one}: works' in out and f'2/2 {same}: works' in out
    rows = json.loads((tmp_path / 'out/compatibility.json').read_text())
    assert set(rows) == {one, same} and rows[same]['same_as'] == one
    page = (tmp_path / 'out/compatibility.md').read_text()
    assert '| works | 1 | 1 | 2 |' in page and f'| {same} | YOLOF | works |' in page
    assert '2 of them done' in command(*args)
