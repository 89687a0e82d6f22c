"""The commands end to end on a tiny classifier: train, resume, test, in one process and in two, and on to a detector."""

import json
import pickle
import re
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import REPO, TINY_FISH
from mmengine.config import Config
from mmengine.runner import Runner
from released import released_weights, save_released

from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.registry import MODELS

TOOLS = REPO / 'tools'
TRAIN, TEST = TOOLS / 'train.py', TOOLS / 'test.py'
#: What mmengine says where commands run one after another in one process.
IN_ONE_PROCESS = pytest.mark.filterwarnings('ignore:.*has been created:UserWarning')
CONFIG = """
_base_ = {base!r}
model = dict(
    backbone=dict(depth=None, arch={fish!r}, out_indices=(3,)),
    cls_head=dict(num_classes=3, dense_size=None))
loader = dict(batch_size=12, num_workers=0, persistent_workers=False)
train_dataloader = dict(dataset=dict(num_classes=3), **loader)
val_dataloader = dict(dataset=dict(num_classes=3), **loader)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.02))
default_hooks = dict(logger=dict(interval=1))
"""


def write_archive(file, images, labels, classes):
    """Writes an .npz of JPEGs; images (n, h, w, 3) BGR and labels by split."""
    content = dict(classes=np.array(classes))
    for split in images:
        jpegs = [cv2.imencode('.jpg', image)[1].ravel() for image in images[split]]
        content[f'{split}_jpeg'] = np.concatenate(jpegs)
        content[f'{split}_offsets'] = np.cumsum([0, *map(len, jpegs)])
        content[f'{split}_labels'] = np.asarray(labels[split])
    np.savez(file, **content)


def decoded(file, split):
    """What a reader of the archive gets: the images after JPEG, as the networks want them by ImageNet's or other numbers."""
    content = np.load(file)
    jpeg, offsets = content[f'{split}_jpeg'], content[f'{split}_offsets']
    images = np.stack([cv2.imdecode(jpeg[a:b], cv2.IMREAD_COLOR) for a, b in zip(offsets[:-1], offsets[1:])])

    def normalised(mean, std):
        return torch.from_numpy(((images[..., ::-1] - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)).float()

    return normalised, content[f'{split}_labels'].astype(int)


def noise(number, side, seed):
    return np.random.RandomState(seed).randint(0, 256, (number, side, side, 3)).astype(np.uint8)


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    """48 + 25 noisy images with a brighter colour, which the label tells, in most."""
    file = tmp_path_factory.mktemp('data') / 'colours.npz'
    images, labels = {}, {}
    for seed, (split, number) in enumerate(dict(train=48, test=25).items()):
        labels[split] = np.random.RandomState(seed).randint(0, 3, number)
        images[split] = noise(number, 64, seed) // 2
        bright = np.where(np.arange(number) % 4, labels[split], (labels[split] + 1) % 3)
        images[split][np.arange(number), :, :, bright] += 60
    write_archive(file, images, labels, ['blue', 'green', 'red'])
    return file


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp('config') / 'tiny.py'
    file.write_text(CONFIG.format(base=str(REPO / 'configs/classification/fishnet55_cifar10.py'), fish=TINY_FISH))
    return file


@pytest.fixture(scope='module')
def trained(tmp_path_factory, config, archive):
    """Work dir and log of a training by tools/train.py."""
    import os
    import subprocess

    work = tmp_path_factory.mktemp('trained') / 'work'
    done = subprocess.run(
        [sys.executable, TRAIN, config, '--epochs', '3', '--work-dir', work, '--cfg-options', f'data_root={archive}'],
        cwd=work.parent,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return work, done.stdout


@pytest.fixture(scope='module')
def expected(trained, config, archive):
    """Accuracy in percent of the trained checkpoint on the test images, computed plainly."""
    normalised, labels = decoded(archive, 'test')
    model = MODELS.build(Config.fromfile(config).model)
    model.load_state_dict(read_checkpoint(trained[0] / 'epoch_3.pth')['state_dict'])
    with torch.no_grad():
        ranks = model.eval()(normalised([128] * 3, [64] * 3)).argsort(1, descending=True).numpy()
    return 100 * np.mean(ranks[:, 0] == labels)


def accuracies(log, mode='val'):
    """top1 of every evaluation in a log."""
    return [float(value) for value in re.findall(rf'Epoch\({mode}\).*accuracy/top1: (\S+)', log)]


def epochs(log):
    return [int(value) for value in re.findall(r'Epoch\(train\) +\[(\d+)\]', log)]


def test_trains_for_the_epochs(trained, expected):
    work, log = trained
    assert epochs(log) == [1] * 4 + [2] * 4 + [3] * 4
    assert len(re.findall(r'accuracy: \d', log)) == 12
    assert len(accuracies(log)) == 3
    assert accuracies(log)[-1] == pytest.approx(expected, abs=1e-3)
    assert 0 < expected < 100
    checkpoint = read_checkpoint(work / 'epoch_3.pth')
    assert checkpoint['meta']['iter'] == 12
    assert tuple(checkpoint['meta']['dataset_meta']['classes']) == ('blue', 'green', 'red')
    assert Config.fromfile(work / 'tiny.py').train_cfg.max_epochs == 3


def test_resumes_with_mixed_precision(trained, config, archive, command, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'epoch_3.pth').write_bytes((trained[0] / 'epoch_3.pth').read_bytes())
    (work / 'last_checkpoint').write_text(str(work / 'epoch_3.pth'))
    options = ['--amp', '--resume', '--epochs', '4', '--work-dir', work, '--cfg-options', f'data_root={archive}']
    log = command(TRAIN, config, *options)
    assert 'resumed epoch: 3, iter: 12' in log
    assert epochs(log) == [4] * 4
    assert Config.fromfile(work / 'tiny.py').optim_wrapper.type == 'fishnet_mmdet.BFloat16OptimWrapper'
    files = trained[0] / 'epoch_3.pth', work / 'epoch_4.pth'
    before, after = (read_checkpoint(file) for file in files)
    assert after['meta']['iter'] == 16
    for name, tensor in after['state_dict'].items():
        assert tensor.dtype == before['state_dict'][name].dtype and tensor.isfinite().all(), name
    assert not torch.equal(after['state_dict']['cls_head.conv1.weight'], before['state_dict']['cls_head.conv1.weight'])


def test_evaluates_and_writes_the_predictions(trained, expected, config, archive, command, tmp_path):
    log = command(
        TEST, config, trained[0] / 'epoch_3.pth', '--out', 'out.pkl', '--report', 'page', '--work-dir', tmp_path,
        '--cfg-options', f'data_root={archive}',
    )  # fmt: skip
    assert accuracies(log, 'test') == [pytest.approx(expected, abs=1e-3)]
    results = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    _, labels = decoded(archive, 'test')
    assert [result['label'] for result in results] == labels.tolist()
    scores = np.stack([result['scores'] for result in results])
    assert scores.shape == (25, 3)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert 100 * np.mean(scores.argmax(1) == labels) == pytest.approx(expected)
    page = json.loads((tmp_path / 'page/data/summary.js').read_text().split(' = ', 1)[1])
    assert page['tables'][0]['rows'][0] == ['all classes', 25, pytest.approx(expected, abs=0.01)]
    assert [image['label'] for image in page['images']] == labels.tolist()
    assert [image['best'][0] for image in page['images']] == scores.argmax(1).tolist()
    assert len(page['curves']['scores'][0]['points']) == 3
    # What is shown is what the network saw.
    saved = cv2.imread(str(tmp_path / 'page/images/000000.jpg')).astype(int)
    images, _ = decoded(archive, 'test')
    seen = images([0] * 3, [1] * 3)[0].permute(1, 2, 0).numpy()[..., ::-1]
    assert saved.shape == (64, 64, 3) and np.abs(saved.mean((0, 1)) - seen.mean((0, 1))).max() < 2


def test_two_processes(trained, expected, config, archive, command, tmp_path):
    """Without GPUs, over gloo: half as many steps, and the accuracy of one process, though 25 images are not halved."""
    data = ['--cfg-options', f'data_root={archive}']
    log = command(TOOLS / 'dist_train.sh', config, 2, '--epochs', '1', '--work-dir', tmp_path / 'work', *data, PORT='29631')
    assert 'GPU number: 2' in log
    assert len(accuracies(log)) == 1
    assert read_checkpoint(tmp_path / 'work/epoch_1.pth')['meta']['iter'] == 2
    checkpoint = trained[0] / 'epoch_3.pth'
    log = command(TOOLS / 'dist_test.sh', config, checkpoint, 2, '--work-dir', tmp_path / 'work', *data, PORT='29632')
    assert accuracies(log, 'test') == [pytest.approx(expected, abs=1e-3)]


RELEASED = """
_base_ = {base!r}
test_dataloader = dict(
    num_workers=0, persistent_workers=False, batch_size=8,
    dataset=dict(_delete_=True, type='SmallImages', data_root={data!r}, split='test', num_classes=1000,
                 pipeline=[dict(type='PackInputs')]))
"""


def test_infer_names_the_class(trained, config, archive, command, tmp_path):
    content = np.load(archive)
    folder = tmp_path / 'images'
    folder.mkdir()
    for i, (start, end) in enumerate(zip(content['test_offsets'][:4], content['test_offsets'][1:5])):
        (folder / f'{i}.jpg').write_bytes(content['test_jpeg'][start:end].tobytes())
    checkpoint = trained[0] / 'epoch_3.pth'
    data = ['--cfg-options', f'data_root={archive}']
    log = command(TOOLS / 'infer.py', folder, config, checkpoint, '--out-dir', 'out', '--report', *data)
    assert len(list((tmp_path / 'out/report/images').iterdir())) == 4
    assert '4 pictures' in log and len(list((tmp_path / 'out').glob('*.png'))) == 4
    found = json.loads((tmp_path / 'out/predictions.json').read_text())
    normalised, _ = decoded(archive, 'test')
    model = MODELS.build(Config.fromfile(config).model)
    model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
    with torch.no_grad():
        scores = model.eval()(normalised([128] * 3, [64] * 3)[:4]).softmax(1)
    assert found['classes'] == ['blue', 'green', 'red']
    for prediction, expected in zip(found['predictions'], scores):
        labels = [one['label'] for one in prediction['classes']]
        assert labels == expected.argsort(descending=True).tolist()
        assert prediction['classes'][0]['name'] == found['classes'][labels[0]]
        np.testing.assert_allclose([one['score'] for one in prediction['classes']], expected[labels], atol=1e-4)


@pytest.fixture(scope='module')
def released(tmp_path_factory):
    """A released file of FishNet-99."""
    file = tmp_path_factory.mktemp('released') / 'fishnet99_ckpt.tar'
    weights = released_weights(99)
    save_released(weights, file)
    return file, weights


def test_a_released_file_is_evaluated_as_it_is(released, command, tmp_path):
    """Most images have the label that the plain implementation gives them, the others that of its third or tenth place."""
    data, classes = tmp_path / 'test.npz', [f'n{number:08}' for number in range(1000)]
    images = dict(test=noise(15, 32, seed=3))
    write_archive(data, images, dict(test=np.zeros(15, int)), classes)
    plain = ReleasedFishNet(99)
    plain.load_state_dict(released[1])
    # ImageNet's mean and deviation.
    image = decoded(data, 'test')[0]([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    with torch.no_grad():
        order = plain.eval()(image)[2].argsort(1, descending=True).numpy()
    places = np.array([0] * 9 + [2] * 4 + [9] * 2)
    write_archive(data, images, dict(test=order[np.arange(15), places]), classes)

    config = tmp_path / 'released.py'
    config.write_text(RELEASED.format(base=str(REPO / 'configs/classification/fishnet99_imagenet.py'), data=str(data)))
    log = command(TEST, config, released[0], '--work-dir', tmp_path)
    top1, top5 = re.search(r'Epoch\(test\).*accuracy/top1: (\S+) +accuracy/top5: (\S+)', log).groups()
    assert (float(top1), float(top5)) == (60, pytest.approx(100 * 13 / 15, abs=1e-3))


@IN_ONE_PROCESS
def test_a_checkpoint_that_does_not_fit(released, trained, config, archive, refusal, tmp_path):
    data = ['--cfg-options', f'data_root={archive}']
    text = refusal(TEST, config, released[0], *data)
    assert all(word in text for word in (str(released[0]), 'FishNet-99', 'does not fit this Classifier'))
    text = refusal(TEST, config, trained[0] / 'epoch_3.pth', '--show-dir', 'shown', *data)
    assert 'use --report DIR' in text
    more = tmp_path / 'more.py'
    more.write_text(f'_base_ = {str(config)!r}\nmodel = dict(cls_head=dict(num_classes=4))\n')
    text = refusal(TEST, more, trained[0] / 'epoch_3.pth', *data)
    assert 'cls_head.conv2.weight is (3, 72, 1, 1) and should be (4, 72, 1, 1)' in text


@IN_ONE_PROCESS
def test_data_that_does_not_fit(config, archive, refusal):
    text = refusal(TRAIN, config)
    assert all(word in text for word in ('data/cifar10', 'cs.toronto.edu', 'data_root=FOLDER_OR_FILE'))
    options = [f'data_root={archive}', 'train_dataloader.dataset.num_classes=10']
    assert '3 classes (blue ... red), but the config has num_classes=10' in refusal(TRAIN, config, '--cfg-options', *options)
    text = refusal(TRAIN, config, '--epochs', '0', '--cfg-options', f'data_root={archive}')
    assert 'at least 1' in text


def test_pretrained_classifier_trains_a_detector(trained, tiny_config, tmp_path):
    """Both stages: what the classifier learned starts the detector's backbone, its BN's statistics fixed as they are."""
    checkpoint = trained[0] / 'epoch_3.pth'
    more = f"""
model['backbone']['init_cfg'] = dict(checkpoint={str(checkpoint)!r})
train_cfg = dict(max_epochs=1, val_interval=100)
"""
    cfg = Config.fromfile(tiny_config('mask_rcnn_fishnet150_fpn.py', more))
    cfg.work_dir = str(tmp_path / 'work')
    cfg.optim_wrapper.optimizer.lr *= 1e-2
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 4
    assert runner.model.backbone.norm_eval and runner.model.backbone.frozen_stages == 0
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 4 and np.isfinite(losses).all()

    classifier = read_checkpoint(checkpoint)['state_dict']
    moved = 0
    for name, tensor in runner.model.backbone.state_dict().items():
        start = classifier[f'backbone.{name}']
        if 'norm' in name or name.startswith('stem.'):
            assert torch.equal(tensor, start), name
        else:
            torch.testing.assert_close(tensor, start, rtol=0.1, atol=0.02, msg=lambda text, name=name: f'{name}: {text}')
            moved += not torch.equal(tensor, start)
    assert moved > 50
    # The statistics are those of the classifier's images, not of a network that was never trained.
    assert classifier['backbone.stem.norm1.running_mean'].abs().max() > 0.01


def test_compare_trains_classifiers_and_prints_the_table(command, tmp_path):
    archive = tmp_path / 'ten.npz'
    images = dict(train=noise(32, 32, seed=0), test=noise(8, 32, seed=1))
    labels = dict(train=np.arange(32) % 10, test=np.arange(8))
    write_archive(archive, images, labels, [str(number) for number in range(10)])
    options = [
        f'{key}_dataloader.{option}' for key in ('train', 'val') for option in ('num_workers=0', 'persistent_workers=False')
    ]
    configs = [REPO / f'configs/classification/{name}_cifar10.py' for name in ('mlp', 'fishnet55')]
    arguments = [
        *configs, '--seeds', 5, '--epochs', 1, '--work-dir', tmp_path / 'work', '--out', tmp_path / 'out.json',
        '--cfg-options', f'data_root={archive}', 'train_dataloader.batch_size=16', *options,
    ]  # fmt: skip
    log = command(TOOLS / 'analysis_tools/compare.py', *arguments)
    lines = log[log.rindex('| config |') :].split('\n\n')[0].splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]
    assert [row[:3] for row in rows] == [[str(configs[0]), '1', '2,411,274'], [str(configs[1]), '1', '78,496']]
    written = json.loads((tmp_path / 'out.json').read_text())
    assert [(run['seed'], run['epochs']) for run in written] == [(5, 1), (5, 1)]
    # The accuracy is that of the checkpoint which the training left.
    assert [pytest.approx(run['curve'][-1]['accuracy/top1'], abs=1e-3) for run in written] == accuracies(log)
    assert sorted(path.name for path in (tmp_path / 'work').glob('*/epoch_1.pth')) == ['epoch_1.pth'] * 2
    # Nothing is trained again.
    again = command(TOOLS / 'analysis_tools/compare.py', *arguments)
    assert 'Epoch(train)' not in again and lines == again[again.rindex('| config |') :].split('\n\n')[0].splitlines()
