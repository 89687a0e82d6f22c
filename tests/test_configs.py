"""The configs: what the real Runner does on a tiny version of them."""

import cv2
import numpy as np
import pytest
import torch
from conftest import REPO
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from released import released_weights, save_released
from torch.nn.modules.batchnorm import _BatchNorm

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints.names import RELEASES
from fishnet_mmdet.engine.configs import learning_rate_note, move_data
from fishnet_mmdet.models import FISHES
from fishnet_mmdet.registry import MODELS, TRANSFORMS

STEPS = 4  # steps of an epoch: as many as the data set has images
DETECTORS = (
    '*.py',
    'baselines/*.py',
    'fishnext/*.py',
    'scratch/*.py',
    'demo/mask_rcnn*.py',
    'nuclei/mask_rcnn*.py',
    'coco_mini/*.py',
)
CONFIGS = sorted(str(path.relative_to(REPO / 'configs')) for one in DETECTORS for path in (REPO / 'configs').glob(one))
CLASSIFIERS = sorted(
    str(path.relative_to(REPO / 'configs'))
    for pattern in ('classification/*.py', 'demo/classifier*.py', 'nuclei/classifier*.py')
    for path in (REPO / 'configs').glob(pattern)
)
#: Sides of the images, and numbers of classes, of the sets that the configs are for.
SETS = dict(
    cifar10=(32, 10), cifar10_64=(64, 10), cifar100=(32, 100), fashion_mnist=(28, 10), imagenet=(224, 1000), nuclei=(64, 2)
)


class Recorder(Hook):
    """Writes down what the optimizer is given and what it does, at every step."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.lr, self.norm_before, self.norm_after, self.steps = [], [], [], []
        self.start = {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}
        wrapper, optimizer = runner.optim_wrapper, runner.optim_wrapper.optimizer
        backward = wrapper.backward

        def recording_backward(loss, **kwargs):
            backward(loss, **kwargs)
            self.norm_before.append(grad_norm(runner.model))

        wrapper.backward = recording_backward
        optimizer.register_step_pre_hook(lambda *_: self.before_step(runner))
        optimizer.register_step_post_hook(lambda *_: self.after_step(runner))

    def before_step(self, runner):
        optimizer = runner.optim_wrapper.optimizer
        self.lr += [group['lr'] for group in optimizer.param_groups[:1]]
        self.norm_after.append(grad_norm(runner.model))
        self.before = {
            name: (p.detach().clone(), p.grad.clone(), buffer_of(optimizer, p))
            for name, p in runner.model.named_parameters()
            if p.grad is not None
        }

    def after_step(self, runner):
        after = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
        self.steps.append((self.before, after))


def grad_norm(model):
    return float(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm())


def buffer_of(optimizer, p):
    buffer = optimizer.state.get(p, {}).get('momentum_buffer')
    return None if buffer is None else buffer.clone()


@pytest.fixture
def trained(tiny_config, pretrained, tmp_path):
    """A whole training by the main config on the tiny detector, written down."""
    # Loss weights that make the gradients so large that they are clipped.
    more = f"""
model['backbone']['init_cfg'] = dict(checkpoint={str(pretrained)!r})
model['rpn_head']['loss_cls'] = dict(loss_weight=1e3)
train_cfg = dict(val_interval=100)
default_hooks['checkpoint'] = dict(interval=100)
"""
    cfg = Config.fromfile(tiny_config('mask_rcnn_fishnet150_fpn.py', more))
    cfg.work_dir = str(tmp_path / 'work')
    # No step so large that the tiny network leaves the numbers; the schedule is relative to it.
    cfg.optim_wrapper.optimizer.lr *= 1e-4
    runner = Runner.from_cfg(cfg)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    recorder.runner = runner
    return recorder


def test_schedule_of_the_paper(trained):
    """Section 4.4: warm-up, drops, clipping, momentum, weight decay, and what stays fixed, read off a real run."""
    lr = torch.tensor(trained.lr, dtype=torch.float64)
    assert len(lr) == 32 * STEPS
    peak = 0.02 * 1e-4
    warm_up = torch.linspace(peak / 16, peak, STEPS, dtype=torch.float64)
    epochs = lr.view(32, STEPS)
    torch.testing.assert_close(epochs[0], warm_up)
    for first, last, value in ((1, 20, peak), (20, 28, peak / 10), (28, 32, peak / 100)):
        torch.testing.assert_close(epochs[first:last], torch.full((last - first, STEPS), value, dtype=torch.float64))

    before = torch.tensor(trained.norm_before).view(32, STEPS)
    after = torch.tensor(trained.norm_after).view(32, STEPS)
    assert before.min() > 10
    torch.testing.assert_close(after[:2], torch.full((2, STEPS), 5.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(after[2:], before[2:])

    for step, lr in zip(trained.steps, trained.lr):
        before, after = step
        for name, (p, grad, buffer) in before.items():
            grad = grad + 0.0001 * p
            momentum = grad if buffer is None else 0.9 * buffer + grad
            torch.testing.assert_close(after[name], p - lr * momentum, msg=lambda m, name=name: f'{name}: {m}')

    moved = {
        name for name, tensor in trained.runner.model.state_dict().items() if not torch.equal(tensor, trained.start[name])
    }
    backbone = trained.runner.model.backbone
    fixed = {f'backbone.{name}' for name, _ in backbone.named_buffers()}
    fixed |= {f'backbone.{name}' for name, _ in backbone.named_parameters() if name.startswith('stem') or 'norm' in name}
    # On these small images the upper levels of the neck have no anchor inside and so no gradient.
    idle = {name for name in trained.steps[0][0] if not any(before[name][1].any() for before, _ in trained.steps)}
    assert fixed and idle and all(name.startswith('neck.fpn_convs') for name in idle)
    assert moved == set(trained.start) - fixed - idle


@pytest.mark.parametrize('depth', [99, 150, 201])
def test_released_file_goes_into_the_detector(depth, tmp_path, monkeypatch):
    weights = released_weights(depth)
    (tmp_path / 'checkpoints').mkdir()
    save_released(weights, tmp_path / 'checkpoints' / RELEASES[f'fishnet{depth}'].file_name)
    cfg = Config.fromfile(REPO / f'configs/mask_rcnn_fishnet{depth}_fpn.py')
    monkeypatch.chdir(tmp_path)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()

    with torch.device('meta'):
        released = ReleasedFishNet(depth)
    released.to_empty(device='cpu').load_state_dict(weights)
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 64, 96)).astype(np.float32))
    with torch.no_grad():
        f, refined, _ = released.eval()(image)
        for mine, theirs in zip(model.backbone(image), (refined[7], refined[8], refined[9], f[10])):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize('name', CONFIGS)
def test_config_builds_what_it_says(name):
    """Each config of the repository builds, and its neck fits its backbone."""
    register_all_modules()
    cfg = Config.fromfile(REPO / 'configs' / name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert name_in_files(model.backbone) in name
    channels = model.backbone.out_channels if isinstance(model.backbone, FishNet) else (256, 512, 1024, 2048)
    assert tuple(cfg.model.neck.in_channels) == channels
    anchors = [stride[0] for stride in model.rpn_head.prior_generator.strides]
    assert tuple(anchors[:4]) == (4, 8, 16, 32)
    assert ('faster' not in name) == model.roi_head.with_mask
    if any(part in name for part in ('nuclei', 'coco_mini', 'scratch')):
        return
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.train_cfg.max_epochs == 32
    # Everything but the backbone, what it hangs on, and the architecture around it is the paper's schedule, in one place.
    reference = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    for key in ('optim_wrapper', 'custom_hooks', 'param_scheduler', 'train_cfg', 'auto_scale_lr'):
        assert cfg[key] == reference[key]
    assert not any(p.requires_grad for m in model.backbone.modules() if isinstance(m, _BatchNorm) for p in m.parameters())
    model.train()
    assert not any(m.training for m in model.backbone.modules() if isinstance(m, _BatchNorm))
    first = next(module for module in model.backbone.modules() if isinstance(module, torch.nn.Conv2d))
    assert not first.weight.requires_grad
    if 'fishnet' in name:
        assert cfg.model.backbone.init_cfg.checkpoint == f'fishnet{model.backbone.fish.depth}'
    elif 'fishnext' in name:
        stage_1 = f'{name_in_files(model.backbone)}_imagenet'
        assert cfg.model.backbone.init_cfg.checkpoint == f'work_dirs/{stage_1}/epoch_100.pth'
        assert (REPO / f'configs/classification/{stage_1}.py').exists()


def name_in_files(backbone):
    if isinstance(backbone, FishNet):
        # FishNet-77 has the layers of FishNet-99, and a quarter of its channels.
        depth = 77 if backbone.fish.tail_channels == FISHES[77].tail_channels else backbone.fish.depth
        return f'{type(backbone).__name__.lower()}{depth}'
    return 'x50_32x4d' if type(backbone).__name__ == 'ResNeXt' else f'r{backbone.depth}'


def test_detector_settings_of_detectron():
    """The numbers of Detectron that the paper refers to, where mmdet's differ."""
    for name in ('mask_rcnn_fishnet150_fpn.py', 'faster_rcnn_fishnet150_fpn.py'):
        model = Config.fromfile(REPO / 'configs' / name).model
        assert model.train_cfg.rpn_proposal.max_per_img == model.train_cfg.rpn_proposal.nms_pre == 2000
        assert model.test_cfg.rpn.max_per_img == 1000
        assert model.train_cfg.rcnn.sampler.num == 512
        assert model.train_cfg.rcnn.sampler.pos_fraction == 0.25
        assert model.rpn_head.loss_bbox == dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0)
        assert model.roi_head.bbox_head.loss_bbox == dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)
        assert model.train_cfg.rpn.allowed_border == 0
        extractors = [value for key, value in model.roi_head.items() if key.endswith('roi_extractor')]
        assert [extractor.roi_layer.sampling_ratio for extractor in extractors] == [2] * (2 if 'mask' in name else 1)


def test_data_root_moves_all_paths():
    cfg = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    move_data(cfg, '/somewhere/else')
    paths = [cfg.train_dataloader.dataset.data_root, cfg.test_dataloader.dataset.data_root, cfg.val_evaluator.ann_file]
    assert paths[:2] == ['/somewhere/else/'] * 2
    assert paths[2] == '/somewhere/else/annotations/instances_val2017.json'
    assert 'data/coco' not in cfg.pretty_text


def set_of(name):
    return SETS[max((key for key in SETS if key in name), key=len)]


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_classifier_fits_its_data(name):
    """Images of the data's size get as many logits as the data has classes, and every parameter a gradient."""
    side, num_classes = set_of(name)
    cfg = Config.fromfile(REPO / 'configs' / name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
        logits = model(torch.rand(2, 3, side, side))
    assert logits.shape == (2, num_classes)
    logits.sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    if 'fishn' in name:
        last = model.backbone.fish.num_stages
        assert model.backbone.out_indices == (last,)
        assert cfg.model.cls_head.get('dense_size') is None or side <= 32
        whole = 'tail_units' in cfg.model.backbone.get('arch', {})
        number = model.backbone.fish.depth if whole else cfg.model.backbone.depth
        assert f'{cfg.model.backbone.type.lower()}{number}_' in name
    for key in ('train', 'val', 'test'):
        dataset = cfg[f'{key}_dataloader'].dataset
        given = len(dataset.metainfo.classes) if dataset.type == 'ObjectCrops' else dataset.num_classes
        assert given == num_classes
        assert dataset.data_root == cfg.data_root
        assert dataset.get('split') in (None, 'train' if key == 'train' else 'test')
        assert (dataset.type == 'SmallImages') == ('split' in dataset)
    assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'Accuracy'
    assert cfg.train_dataloader.sampler.shuffle and not cfg.val_dataloader.sampler.shuffle


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_pipelines_give_images_of_the_size(name, tmp_path):
    register_all_modules(init_default_scope=False)
    side, _ = set_of(name)
    cfg = Config.fromfile(REPO / 'configs' / name)
    # Small sets have images of their size, the others of any.
    shape = (side, side, 3) if side <= 32 else (300, 400, 3)
    image = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'x.png'), image)
    for key in ('train', 'val'):
        pipeline = Compose([TRANSFORMS.build(one) for one in cfg[f'{key}_dataloader'].dataset.pipeline])
        given = dict(img_path=str(tmp_path / 'x.png')) if 'imagenet' in name else dict(img=image)
        packed = pipeline(dict(given, gt_label=3))
        assert packed['inputs'].shape == (3, side, side) and packed['data_samples'] == 3
        if key == 'val' and side <= 32:
            np.testing.assert_array_equal(packed['inputs'], image.transpose(2, 0, 1))


@pytest.mark.parametrize('name', CONFIGS + CLASSIFIERS)
def test_learning_rate_is_for_the_batch_of_the_config(name):
    """Of one process, or of the GPUs that the recipe was published for."""
    cfg = Config.fromfile(REPO / 'configs' / name)
    on_coco = 'nuclei' not in name and 'coco_mini' not in name and name in CONFIGS
    processes = 16 if on_coco else 8 if 'imagenet' in name else 1
    assert learning_rate_note(cfg, processes) is None and cfg.auto_scale_lr.base_batch_size


@pytest.mark.parametrize('name', [name for name in CLASSIFIERS if 'imagenet' in name])
def test_recipe_for_imagenet(name):
    """The recipe of the released models, in section 4.1 and their code, where the test of the schedule does not show it."""
    cfg = Config.fromfile(REPO / 'configs' / name)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4)
    assert 'paramwise_cfg' not in cfg.optim_wrapper and 'clip_grad' not in cfg.optim_wrapper
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 256
    train, test = ({one.type: one for one in cfg[f'{key}_dataloader'].dataset.pipeline} for key in ('train', 'test'))
    crop = train['RandomResizedCrop']
    assert (crop.size, crop.area, crop.aspect) == (224, (0.08, 1.0), (3 / 4, 4 / 3))
    assert train['PCALighting'].std == 0.1 and train['RandomFlip'].prob == 0.5
    assert test['ResizeShortestEdge'].scale == 256 and test['CenterCrop'].crop_size == 224
    # ImageNet's mean and deviation of R, G, B from 0 to 1.
    mean, std = cfg.model.data_preprocessor.mean, cfg.model.data_preprocessor.std
    np.testing.assert_allclose([mean, std], 255 * np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]), rtol=1e-12)
    assert cfg.model.data_preprocessor.bgr_to_rgb is True
    assert list(cfg.val_evaluator.topk) == [1, 5]
