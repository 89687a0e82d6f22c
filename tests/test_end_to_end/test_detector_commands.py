"""The commands end to end on a tiny detector: train, resume, test, infer, in one process and in two."""

import hashlib
import json
import pickle
import re
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
from conftest import REPO, TINY_FISH, has_pkg_resources
from pycocotools.coco import COCO

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.datasets.shapes import CLASSES
from fishnet_mmdet.ops import installed

TOOLS = REPO / 'tools'
MMDET_TOOLS = Path(mmdet.__file__).parent / '.mim' / 'tools'
TWO_EPOCHS = 'train_cfg = dict(max_epochs=2, val_interval=2)\nrandomness = dict(seed=0, deterministic=True)\n'


@pytest.fixture(scope='module')
def trained(tmp_path_factory, shapes):
    """Config and checkpoint of a training of two epochs by tools/train.py."""
    import subprocess
    import sys

    from conftest import TINY_CONFIG

    folder = tmp_path_factory.mktemp('trained')
    config = folder / 'tiny.py'
    config.write_text(
        TINY_CONFIG.format(
            base=str(REPO / 'configs/scratch/mask_rcnn_fishnet150_fpn_scratch.py'),
            fish=TINY_FISH,
            data_root=f'{shapes}/',
            num_classes=len(CLASSES),
            classes=CLASSES,
            more=TWO_EPOCHS,
        )
    )
    log = subprocess.run(
        [sys.executable, TOOLS / 'train.py', config, '--work-dir', folder / 'work'],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert log.returncode == 0, log.stdout[-6000:]
    return config, folder / 'work' / 'epoch_2.pth', log.stdout


def metrics_of(log):
    """The metrics of the last evaluation in a log, as printed."""
    lines = [line for line in log.splitlines() if re.search(r'Epoch\((test|val)\).*mAP', line)]
    return dict(re.findall(r'coco/(\w+): (\S+)', lines[-1]))


def summary_of(folder):
    """What the page of a report shows at once."""
    return json.loads((folder / 'data/summary.js').read_text().split(' = ', 1)[1])


def losses_of(log):
    return [float(value) for value in re.findall(r'Epoch\(train\).* loss: (\S+)', log)]


def test_training_shows_time_left_and_evaluates(trained):
    _, checkpoint, log = trained
    assert checkpoint.is_file()
    assert len(losses_of(log)) == 8
    assert len(re.findall(r'Epoch\(train\).* eta: \d+:', log)) == 8
    assert {'bbox_mAP', 'segm_mAP'} <= set(metrics_of(log))


def test_resume_goes_on_where_training_stopped(trained, command, tmp_path):
    """One epoch, stopped, resumed: weights, optimizer, schedule and the history of the losses go on."""
    config, checkpoint, log = trained
    work = tmp_path / 'work'
    command(TOOLS / 'train.py', config, '--work-dir', work, '--cfg-options', 'train_cfg.max_epochs=1')
    stopped = read_checkpoint(work / 'epoch_1.pth')
    assert not (work / 'epoch_2.pth').exists()

    resumed = command(TOOLS / 'train.py', config, '--work-dir', work, '--resume')
    assert 'resumed epoch: 1' in resumed
    assert len(losses_of(resumed)) == 4
    ours, theirs = (read_checkpoint(file) for file in (work / 'epoch_2.pth', checkpoint))
    assert ours['meta']['iter'] == theirs['meta']['iter'] == 8
    assert ours['optimizer']['param_groups'] == theirs['optimizer']['param_groups']
    history, start = (checkpoint['message_hub']['log_scalars']['train/loss'].data[0] for checkpoint in (ours, stopped))
    assert len(history) == 8
    np.testing.assert_array_equal(history[:4], start)


def test_eval_chooses_the_metrics(trained, command, tmp_path):
    config, checkpoint, log = trained
    both = command(TOOLS / 'test.py', config, checkpoint, '--eval', 'bbox', 'segm', '--work-dir', tmp_path / 'work')
    assert metrics_of(both) == metrics_of(log)
    boxes = command(
        TOOLS / 'test.py', config, checkpoint, '--eval', 'bbox', '--out', 'results.pkl', '--show-dir', 'shown',
        '--report', 'page', '--work-dir', tmp_path / 'work',
    )  # fmt: skip
    assert metrics_of(boxes) == {name: value for name, value in metrics_of(log).items() if name.startswith('bbox')}
    results = pickle.loads((tmp_path / 'results.pkl').read_bytes())
    assert len(results) == 3
    assert {'bboxes', 'scores', 'labels', 'masks'} <= set(results[0]['pred_instances'])
    pictures = list((tmp_path / 'work').glob('*/shown/*'))
    assert len(pictures) == 3
    assert 'Report: page/index.html' in boxes
    page = summary_of(tmp_path / 'page')
    (table,) = page['tables']
    assert table['columns'][2:4] == ['AP', 'AP50']
    for value, name in zip(table['rows'][0][2:4], ('bbox_mAP', 'bbox_mAP_50')):
        assert value == pytest.approx(float(metrics_of(log)[name]), abs=6e-4)
    assert len(page['images']) == len(list((tmp_path / 'page/images').iterdir())) == 3
    # The training's log lies beside the checkpoint.
    assert len(page['curves']['losses'][0]['points']) == 8
    rows = dict(page['facts']['rows'])
    assert rows['SHA-256 of the checkpoint'] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert rows['Command'].endswith(f'--report page --work-dir {tmp_path}/work') and 'model = dict(' in page['facts']['config']


def test_time_augmentation_evaluates_boxes(trained, command, tmp_path):
    config, checkpoint, _ = trained
    log = command(TOOLS / 'test.py', config, checkpoint, '--tta', '--work-dir', tmp_path / 'work')
    assert set(metrics_of(log)) and all(name.startswith('bbox') for name in metrics_of(log))


def test_two_processes_test_as_one(trained, command, tmp_path):
    """Two processes without GPUs (gloo): the metrics are those of one, to the last digit."""
    config, checkpoint, log = trained
    two = command(
        TOOLS / 'dist_test.sh', config, checkpoint, 2, '--eval', 'bbox', 'segm', '--work-dir', tmp_path, '--report', 'page',
        PORT='29611',
    )  # fmt: skip
    assert metrics_of(two) == metrics_of(log)
    assert two.count('Report: page/index.html') == 1
    assert {image['name'] for image in summary_of(tmp_path / 'page')['images']} == {f'{i:06}.jpg' for i in (1, 2, 3)}


def test_two_processes_train_and_resume(trained, command, tmp_path):
    config, *_ = trained
    work = ['--work-dir', tmp_path / 'work']
    first = command(TOOLS / 'dist_train.sh', config, 2, *work, '--cfg-options', 'train_cfg.max_epochs=1', PORT='29612')
    assert 'Distributed launcher: pytorch' in first and 'Distributed training: True' in first
    assert 'GPU number: 2' in first
    second = command(TOOLS / 'dist_train.sh', config, 2, *work, '--resume', PORT='29612')
    assert 'resumed epoch: 1' in second and 'metainfo from the resumed checkpoint is different' not in second
    # Each process has seen other images, but all validate with the statistics of BN that the checkpoint has.
    tested = command(TOOLS / 'test.py', config, tmp_path / 'work/epoch_2.pth', '--work-dir', tmp_path / 'test')
    assert metrics_of(tested) == metrics_of(second)
    # 4 images in 2 processes are 2 steps.
    assert read_checkpoint(tmp_path / 'work/epoch_2.pth')['meta']['iter'] == 4


def test_slurm_scripts(trained, command, tmp_path):
    """A stand-in for srun starts the tasks as Slurm would, with its variables."""
    config, checkpoint, log = trained
    srun = tmp_path / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text(
        '#!/usr/bin/env bash\n'
        'echo "srun $*"\n'
        'while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && n=${1#*=}; shift; done\n'
        'for ((i = 0; i < n; i++)); do\n'
        '  SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=$n SLURM_LAUNCH_NODE_IPADDR=127.0.0.1 "$@" & pids+=($!)\n'
        'done\n'
        'for pid in "${pids[@]}"; do wait "$pid" || exit 1; done\n'
    )
    srun.chmod(0o755)
    env = dict(PATH=f'{srun.parent}:/usr/bin:/bin', GPUS='2', GPUS_PER_NODE='2', CPUS_PER_TASK='1', MASTER_PORT='29613')
    out = command(TOOLS / 'slurm_train.sh', 'part', 'job', config, tmp_path / 'work', **env)
    assert '--partition=part --job-name=job --gres=gpu:2 --ntasks=2 --ntasks-per-node=2 --cpus-per-task=1' in out
    assert read_checkpoint(tmp_path / 'work/epoch_2.pth')['meta']['iter'] == 4
    out = command(TOOLS / 'slurm_test.sh', 'part', 'job', config, checkpoint, '--eval', 'bbox', **env)
    assert metrics_of(out)['bbox_mAP'] == metrics_of(log)['bbox_mAP']


@pytest.mark.skipif(
    not has_pkg_resources, reason='mmengine reads mmdet:: configs with pkg_resources, which setuptools 81 lacks'
)
def test_mmdets_own_tools(shapes, command, tmp_path):
    """mmdet's unmodified train.py and test.py with an mmdet config and the README's lines: custom_imports alone."""
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'\n"
        "custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)\n"
        f"model = dict(backbone=dict(_delete_=True, type='FishNet', arch={TINY_FISH!r}, norm_cfg=dict(type='BN'), "
        'norm_eval=False, frozen_stages=-1), neck=dict(in_channels=[32, 64, 112, 144]))\n'
        f'data = dict(data_root={str(shapes)!r}, metainfo=dict(classes={CLASSES!r}))\n'
        "train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data, data_prefix=dict(img='train/'),"
        "ann_file='annotations/instances_train.json', filter_cfg=dict(min_size=1)))\n"
        "val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data, data_prefix=dict(img='val/'),"
        "ann_file='annotations/instances_val.json'))\n"
        'test_dataloader = val_dataloader\n'
        f"val_evaluator = dict(ann_file='{shapes}/annotations/instances_val.json')\n"
        'test_evaluator = val_evaluator\n'
        'for pipeline in (_base_.train_pipeline, _base_.test_pipeline):\n'
        '    for step in pipeline:\n'
        "        if step['type'] == 'Resize':\n"
        "            step['scale'] = (96, 96)\n"
        "train_dataloader['dataset']['pipeline'] = _base_.train_pipeline\n"
        "val_dataloader['dataset']['pipeline'] = _base_.test_pipeline\n"
        'train_cfg = dict(max_epochs=1)\n'
        "model['train_cfg'] = dict(rcnn=dict(sampler=dict(num=16)))\n"
        "model['roi_head'] = dict(bbox_head=dict(num_classes=5), mask_head=dict(num_classes=5))\n"
    )
    trained = command(MMDET_TOOLS / 'train.py', config, '--work-dir', tmp_path / 'work')
    # Without compiled operators, mmdet's test.py imports mmcv.ops before it reads the config: ours must be there by then.
    early = tmp_path / 'early.py'
    early.write_text('import fishnet_mmdet, runpy, sys\nsys.argv.pop(0)\nrunpy.run_path(sys.argv[0], run_name="__main__")\n')
    test = [early, MMDET_TOOLS / 'test.py', config, tmp_path / 'work/epoch_1.pth', '--work-dir', tmp_path / 'work']
    tested = command(*(test if installed() else test[1:]))
    assert metrics_of(tested) == metrics_of(trained)
    command(
        MMDET_TOOLS / 'train.py', config, '--work-dir', tmp_path / 'work', '--resume', '--cfg-options',
        'train_cfg.max_epochs=2',
    )  # fmt: skip
    assert (tmp_path / 'work/epoch_2.pth').is_file()


def test_infer_draws_and_writes_coco(trained, shapes, command, tmp_path):
    config, checkpoint, _ = trained
    folder = tmp_path / 'images'
    folder.mkdir()
    for file in sorted((shapes / 'val').iterdir())[:2]:
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / 'broken.jpg').write_text('no image')
    out = tmp_path / 'out'
    log = command(TOOLS / 'infer.py', folder, config, checkpoint, '--out-dir', out, '--score-thr', '0', '--report', status=1)
    assert 'broken.jpg' in log and 'Traceback' not in log
    assert len(list(out.glob('*.png'))) == 2
    coco = COCO(out / 'predictions.json')
    assert [category['name'] for category in coco.dataset['categories']] == list(CLASSES)
    assert len(coco.imgs) == 2 and coco.anns
    for annotation in coco.anns.values():
        assert coco.annToMask(annotation).sum() == annotation['area']
        assert 0 <= annotation['score'] <= 1 and min(annotation['bbox'][2:]) >= 0

    page = summary_of(out / 'report')
    assert f'Report: {out}/report/index.html' in log and page['tables'] == [] and not page['truth']
    shown = [len(image['predictions']) // 3 for image in page['images']]
    assert shown == [len(coco.imgToAnns[i]) for i in (1, 2)]

    one = command(TOOLS / 'infer.py', folder / '000001.jpg', config, checkpoint, '--out-dir', tmp_path / 'one')
    assert '1 pictures' in one
    alone = json.loads((tmp_path / 'one/predictions.json').read_text())['annotations']
    first = [a for a in coco.dataset['annotations'] if a['image_id'] == 1]
    np.testing.assert_allclose([a['bbox'] for a in alone], [a['bbox'] for a in first], atol=1e-3)


def test_infer_overwrites_nothing(trained, shapes, refusal, command, tmp_path):
    config, checkpoint, _ = trained
    folder = tmp_path / 'images'
    folder.mkdir()
    image = next(iter(sorted((shapes / 'val').iterdir()))).read_bytes()
    for name in ('a.jpg', 'a.jpeg', 'b.jpg'):
        (folder / name).write_bytes(image)
    infer = [TOOLS / 'infer.py', folder, config, checkpoint, '--out-dir']
    assert 'name another folder' in refusal(*infer, folder)
    command(*infer, tmp_path / 'out')
    assert {file.name for file in (tmp_path / 'out').glob('*.png')} == {'a.jpg.png', 'a.jpeg.png', 'b.png'}


def test_infer_is_strict(trained, shapes, tiny_config, refusal, tmp_path):
    config, checkpoint, _ = trained
    infer = [TOOLS / 'infer.py', shapes / 'val']
    other = tiny_config(more="model['rpn_head']['feat_channels'] = 16", name='other.py')
    assert 'does not fit this MaskRCNN' in refusal(*infer, other, checkpoint, '--out-dir', tmp_path / 'out')
    if not torch.cuda.is_available():
        message = refusal(*infer, config, checkpoint, '--out-dir', tmp_path / 'out', '--device', 'cuda:0')
        assert "the device 'cuda:0' cannot be used here" in message
