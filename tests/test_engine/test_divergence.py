"""Training that diverged ends at once, and leaves whole checkpoints."""

import pytest
import torch
from toy_training import ToyModel, toy_training

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.errors import FishNetError


def broken_loss(monkeypatch, value, iteration):
    forward, count = ToyModel.forward, []

    def broken(self, inputs, label, mode='tensor'):
        out = forward(self, inputs, label, mode)
        count.append(mode)
        if count.count('loss') == iteration and mode == 'loss':
            out['loss_box'] = out['loss_cls'] * value
        return out

    monkeypatch.setattr(ToyModel, 'forward', broken)


@pytest.mark.parametrize('value, shown', [(float('nan'), 'nan'), (float('inf'), 'inf'), (-float('inf'), '-inf')])
@pytest.mark.parametrize('lr', [1e-8, 10.0])
def test_a_loss_that_is_not_finite_ends_training(value, shown, lr, tmp_path, monkeypatch):
    broken_loss(monkeypatch, value, iteration=6)
    with pytest.raises(FishNetError) as stop:
        toy_training(tmp_path, optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9)))
    text = str(stop.value)
    assert text.startswith('training diverged in epoch 2, iteration 6: ')
    assert f'loss_box = {shown}' in text and f'loss = {shown}' in text and 'loss_cls = ' in text
    assert f'optim_wrapper.optimizer.lr={lr / 10:g}' in text
    assert text.endswith(f'The last checkpoint is {tmp_path}/epoch_1.pth')
    # The iteration at which it would have been saved is not reached, and what is there is finite.
    assert not (tmp_path / 'epoch_2.pth').exists()
    weights = read_checkpoint(tmp_path / 'epoch_1.pth')['state_dict']
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_nan_weights_are_not_saved(tmp_path, monkeypatch):
    """The loss of iteration 4 is finite; its step makes a weight NaN, and the epoch ends."""
    step, count = torch.optim.SGD.step, []

    def broken(self, closure=None):
        step(self, closure)
        count.append(1)
        if len(count) == 4:
            with torch.no_grad():
                self.param_groups[0]['params'][2][0, 0] = float('nan')

    monkeypatch.setattr(torch.optim.SGD, 'step', broken)
    with pytest.raises(FishNetError, match=r'training diverged in epoch 1, iteration \d: .*layer.weight'):
        toy_training(tmp_path)
    assert not list(tmp_path.glob('*.pth'))


def test_an_error_that_nan_weights_lead_to_is_named(tmp_path, monkeypatch):
    forward = ToyModel.forward

    def assertion(self, inputs, label, mode='tensor'):
        assert self.layer.weight.isfinite().all(), 'matrix contains invalid numeric entries'
        return forward(self, inputs, label, mode)

    monkeypatch.setattr(ToyModel, 'forward', assertion)
    step = torch.optim.SGD.step

    def broken(self, closure=None):
        step(self, closure)
        with torch.no_grad():
            self.param_groups[0]['params'][2].fill_(float('nan'))

    monkeypatch.setattr(torch.optim.SGD, 'step', broken)
    with pytest.raises(FishNetError, match='iteration 2: with NaN weights, AssertionError: matrix contains invalid'):
        toy_training(tmp_path)
    # The same error with finite weights is not ours to name.
    monkeypatch.setattr(torch.optim.SGD, 'step', step)
    monkeypatch.setattr(ToyModel, 'forward', lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        toy_training(tmp_path)


def test_a_checkpoint_with_nan_is_not_loaded(tmp_path):
    toy_training(tmp_path / 'whole')
    checkpoint = read_checkpoint(tmp_path / 'whole/epoch_2.pth')
    checkpoint['state_dict']['norm.running_mean'][0] = float('nan')
    torch.save(checkpoint, tmp_path / 'nan.pth')
    for settings in (dict(resume=True), dict(resume=False)):
        with pytest.raises(FishNetError, match='nan.pth has NaN or infinite .*1 tensors.* norm.running_mean'):
            toy_training(tmp_path / 'other', load_from=str(tmp_path / 'nan.pth'), **settings)
