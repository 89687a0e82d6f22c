"""The configs: what the real Runner does on a tiny version of them."""

import pytest
import torch
from conftest import REPO
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from fishnet_mmdet.engine.launch import move_data

STEPS = 4  # steps of an epoch: as many as the data set has images
CONFIGS = sorted(path.name for path in (REPO / 'configs').glob('*.py'))


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


@pytest.mark.parametrize('name', CONFIGS)
def test_config_builds_what_it_says(name):
    """Each config of the repository builds, and its neck fits its backbone."""
    register_all_modules()
    cfg = Config.fromfile(REPO / 'configs' / name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model.backbone).__name__ == 'FishNet'
    assert f'fishnet{model.backbone.fish.depth}' in name
    assert tuple(cfg.model.neck.in_channels) == model.backbone.out_channels
    anchors = [stride[0] for stride in model.rpn_head.prior_generator.strides]
    assert tuple(anchors[:4]) == model.backbone.out_strides
    assert ('mask_rcnn' in name) == model.roi_head.with_mask
    assert cfg.auto_scale_lr.base_batch_size == 16
    if 'shapes' not in name and 'scratch' not in name:
        assert cfg.train_dataloader.batch_size == 1
        assert cfg.model.backbone.init_cfg.checkpoint == f'checkpoints/fishnet{model.backbone.fish.depth}_ckpt.tar'
        assert cfg.train_cfg.max_epochs == 32


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


def test_data_root_moves_all_paths():
    cfg = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    move_data(cfg, '/somewhere/else')
    paths = [cfg.train_dataloader.dataset.data_root, cfg.test_dataloader.dataset.data_root, cfg.val_evaluator.ann_file]
    assert paths[:2] == ['/somewhere/else/'] * 2
    assert paths[2] == '/somewhere/else/annotations/instances_val2017.json'
    assert 'data/coco' not in cfg.pretty_text
