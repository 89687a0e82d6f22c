"""A resumed run ends with the state of an uninterrupted one, bit for bit."""

import pytest
import torch
from toy_training import Killed, kill, state_of, toy_config, toy_training

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.engine.building import build_runner

HOOK = dict(type='CheckpointHook', interval=1, save_best='accuracy', rule='greater')
BY_EPOCHS = dict()
EVERY_2_ITERATIONS = dict(default_hooks=dict(checkpoint=dict(HOOK, interval=2, by_epoch=False, max_keep_ckpts=1)))
BY_ITERATIONS = dict(
    EVERY_2_ITERATIONS,
    train_cfg=dict(by_epoch=False, max_iters=12, val_interval=3),
    param_scheduler=dict(type='ExponentialLR', gamma=0.8, by_epoch=False),
)
ENDLESS = dict(type='InfiniteSampler', shuffle=True)
BFLOAT16 = dict(type='fishnet_mmdet.engine.BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))


@pytest.mark.parametrize(
    'settings, workers, persistent',
    [
        (BY_EPOCHS, 0, False),
        (BY_EPOCHS, 2, True),
        (EVERY_2_ITERATIONS, 0, False),
        (EVERY_2_ITERATIONS, 2, False),
        (BY_ITERATIONS, 0, False),
        (BY_ITERATIONS, 1, True),
    ],
)
def test_killed_and_resumed(settings, workers, persistent, tmp_path):
    loading = dict(workers=workers, persistent=persistent)
    whole = state_of(toy_training(tmp_path / 'whole', **loading, **settings))
    assert whole['iteration'] == 12 and len(set(whole['losses'])) == 12
    with pytest.raises(Killed):
        toy_training(tmp_path / 'killed', at=(8, kill), **loading, **settings)
    with pytest.raises(Killed):
        toy_training(tmp_path / 'killed', at=(11, kill), **loading, **settings)
    resumed = state_of(toy_training(tmp_path / 'killed', **loading, **settings))
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_the_number_of_workers_changes_nothing(tmp_path):
    runs = [state_of(toy_training(tmp_path / str(workers), workers=workers)) for workers in (0, 2)]
    torch.testing.assert_close(runs[1], runs[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    'changes',
    [
        dict(custom_hooks=[dict(type='EMAHook')]),
        dict(optim_wrapper=BFLOAT16),
        dict(param_scheduler=dict(type='ReduceOnPlateauLR', monitor='accuracy', rule='greater', patience=0)),
    ],
    ids=['EMA', 'bfloat16', 'a schedule that follows the metric'],
)
def test_state_beside_the_weights(changes, tmp_path):
    whole = state_of(toy_training(tmp_path / 'whole', **changes, **EVERY_2_ITERATIONS))
    with pytest.raises(Killed):
        toy_training(tmp_path / 'killed', at=(8, kill), **changes, **EVERY_2_ITERATIONS)
    resumed = state_of(toy_training(tmp_path / 'killed', **changes, **EVERY_2_ITERATIONS))
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


@pytest.mark.parametrize('settings', [EVERY_2_ITERATIONS, BY_ITERATIONS], ids=['epochs', 'iterations'])
def test_images_that_training_had_are_not_loaded_again(settings, tmp_path, monkeypatch):
    from toy_training import ToyImages

    with pytest.raises(Killed):
        toy_training(tmp_path, at=(8, kill), **settings)
    loaded, prepare = [], ToyImages.prepare_data
    monkeypatch.setattr(ToyImages, 'prepare_data', lambda self, index: loaded.append(self.test_mode) or prepare(self, index))
    runner = build_runner(toy_config(tmp_path, val_dataloader=None, val_cfg=None, val_evaluator=None, **settings))
    runner.train()
    # Iterations 7 to 12. An epoch of 11 images ends with a batch of 2.
    assert len(loaded) == 3 + 2 + 11


def test_endless_sampler(tmp_path):
    settings = dict(BY_ITERATIONS, train_dataloader=dict(toy_config(tmp_path).train_dataloader, sampler=ENDLESS))
    whole = state_of(toy_training(tmp_path / 'whole', **settings))
    with pytest.raises(Killed):
        toy_training(tmp_path / 'killed', at=(8, kill), **settings)
    torch.testing.assert_close(state_of(toy_training(tmp_path / 'killed', **settings)), whole, rtol=0, atol=0)


def test_a_drawn_seed_is_kept(tmp_path):
    """Without a seed in the config: the resumed run takes that of the checkpoint, which a third run is given."""
    with pytest.raises(Killed):
        toy_training(tmp_path / 'drawn', at=(8, kill), randomness=dict(seed=None))
    seed = read_checkpoint(tmp_path / 'drawn/epoch_1.pth')['meta']['seed']
    resumed = state_of(toy_training(tmp_path / 'drawn', randomness=dict(seed=None)))
    given = state_of(toy_training(tmp_path / 'given', randomness=dict(seed=seed)))
    torch.testing.assert_close(resumed, given, rtol=0, atol=0)
    other = state_of(toy_training(tmp_path / 'other', randomness=dict(seed=seed + 1)))
    assert other['losses'] != given['losses']


def test_a_missed_validation_comes_first(tmp_path):
    """Killed in the validation after epoch 2, whose score is the best: best_* is that of the whole run."""
    toy_training(tmp_path / 'whole')
    runner = build_runner(toy_config(tmp_path / 'killed'))
    run, count = runner.build_val_loop, []

    def build(loop):
        loop = run(loop)
        validate = loop.run
        loop.run = lambda: (count.append(1), kill() if len(count) == 2 else validate())
        return loop

    runner.build_val_loop = build
    with pytest.raises(Killed):
        runner.train()
    assert (tmp_path / 'killed/epoch_2.pth').exists()
    toy_training(tmp_path / 'killed')
    best = [sorted(path.name for path in (tmp_path / run).glob('best_*')) for run in ('whole', 'killed')]
    assert best[0] == best[1] and len(best[0]) == 1
