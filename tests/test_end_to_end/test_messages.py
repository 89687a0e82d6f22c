"""What a user reads when something is wrong: one message that says what, where and what to do, and no stack trace.

``tests/test_commands/test_arguments.py`` tries wrong arguments and configs without a process of their own.
"""

import os

import pytest
import torch
from conftest import REPO

TRAIN, TEST = (REPO / 'tools' / name for name in ('train.py', 'test.py'))
MAIN = REPO / 'configs/mask_rcnn_fishnet150_fpn.py'


class RunsCode:
    def __reduce__(self):
        return open, ('trace', 'w')


def holds(message, words):
    for word in words:
        assert word in message, message


@pytest.fixture
def says(refusal):
    """Runs a command that must fail with one message that holds all of some words."""
    return lambda args, *words, **env: holds(refusal(*args, **env), words)


@pytest.fixture
def process_says(command):
    """As `says`, in a process of its own."""

    def run(args, *words, **env):
        out = command(*args, status=1, **env)
        assert 'Traceback' not in out and out.count('error: ') == 1
        holds(out[out.index('error: ') :], words)

    return run


def test_error_of_one_of_several_processes(process_says, tiny_config):
    more = "import os\nif os.environ['RANK'] == '1':\n    raise OSError('this machine has no such disk')\n"
    process_says([TRAIN.with_name('dist_train.sh'), tiny_config(more=more), 2], '[rank 1]', 'no such disk', PORT='29614')


def test_no_data(says, process_says):
    layout = ['annotations/instances_train2017.json', 'train2017', 'cocodataset.org', 'data_root=DIR', 'MMDET_DATASETS']
    process_says([TRAIN, MAIN], 'data/coco', *layout)
    says([TRAIN, MAIN], '/nowhere/annotations', *layout, MMDET_DATASETS='/nowhere')


def test_no_pretrained_weights(says, tiny_config):
    config = tiny_config('mask_rcnn_fishnet150_fpn.py')
    says([TRAIN, config], 'checkpoints/fishnet150_ckpt.tar', 'github.com', 'dropbox.com', '--from-scratch')


def test_fixed_norm_on_random_weights(says, tiny_config):
    config = tiny_config('mask_rcnn_fishnet150_fpn.py')
    says([TRAIN, config, '--cfg-options', 'model.backbone.init_cfg=None'], 'backbone', 'frozen BN', 'NaN', 'scratch')


def test_no_checkpoint_but_a_page(says, tiny_config, tmp_path):
    config = tiny_config()
    (tmp_path / 'page.pth').write_text('<html>404</html>')
    says([TRAIN, config, '--resume', 'page.pth'], 'page.pth', 'not a checkpoint')


def test_checkpoint_with_code_is_not_run(process_says, tiny_config, tmp_path):
    torch.save(dict(state_dict={}, meta=RunsCode()), tmp_path / 'evil.pth')
    process_says([TEST, tiny_config(), 'evil.pth'], 'evil.pth', 'code')
    assert not (tmp_path / 'trace').exists()


def test_masks_of_a_detector_of_boxes(says):
    boxes_only = REPO / 'configs/faster_rcnn_fishnet150_fpn.py'
    says([TEST, boxes_only, 'x.pth', '--eval', 'segm'], 'FasterRCNN', '--eval bbox')


def test_auto_scale_lr_without_a_base(says, tiny_config):
    config = tiny_config(more='auto_scale_lr = dict(_delete_=True, enable=False)')
    says([TRAIN, config, '--auto-scale-lr'], 'base_batch_size')


@pytest.mark.parametrize(
    'stub, words',
    [
        ({'mmdet/__init__.py': '__version__ = "2.28.2"'}, ['mmdet 3.3', '2.28.2', 'pip install']),
        ({'mmdet/__init__.py': 'import mmdet.nothing'}, ['mmdet.nothing']),
    ],
)
def test_unfit_environment(process_says, tiny_config, tmp_path, stub, words):
    """Packages that stand before the installed ones on the path, made unfit."""
    for name, text in stub.items():
        file = tmp_path / 'stubs' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    process_says([TRAIN, tiny_config()], *words, PYTHONPATH=os.pathsep.join([str(tmp_path / 'stubs'), str(REPO)]))
