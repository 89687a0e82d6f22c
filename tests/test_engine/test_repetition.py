"""What mmengine repeats is done once, and comes out as before."""

from types import SimpleNamespace

import pytest
from conftest import REPO
from mmengine.config import Config, config, utils
from yapf.yapflib import yapf_api

from fishnet_mmdet.engine.repetition import do_once

CONFIG = REPO / 'configs/mask_rcnn_fishnet150_fpn.py'


@pytest.fixture
def counted():
    """A module with a function that counts its calls."""
    module = SimpleNamespace(calls=[])

    def function(*args, **kwargs):
        module.calls.append((args, kwargs))
        return len(module.calls)

    module.function = function
    do_once(module, 'function')
    return module


def test_once_for_equal_arguments(counted):
    assert [counted.function('a', style=dict(b=1)), counted.function('a', style=dict(b=1))] == [1, 1]
    assert [counted.function('a', style=dict(b=2)), counted.function('b', style=dict(b=1))] == [2, 3]


def test_an_error_is_not_kept(counted):
    def function():
        counted.calls.append(None)
        raise ValueError

    counted.function = function
    do_once(counted, 'function')
    for calls in (1, 2):
        with pytest.raises(ValueError):
            counted.function()
        assert len(counted.calls) == calls


def test_configs_are_written_as_by_yapf(monkeypatch):
    """Also after a change: the text is that of the present config."""
    module = config if hasattr(config, 'FormatCode') else yapf_api
    cfg = Config.fromfile(CONFIG)
    first = cfg.pretty_text
    cfg.train_cfg.max_epochs += 1
    changed = cfg.pretty_text
    assert changed != first
    monkeypatch.setattr(module, 'FormatCode', module.FormatCode.__wrapped__)
    assert cfg.pretty_text == changed
    cfg.train_cfg.max_epochs -= 1
    assert cfg.pretty_text == first


def test_a_config_of_mmdet_is_read_as_before(monkeypatch):
    texts = [Config.fromfile(CONFIG).dump() for _ in range(2)]
    monkeypatch.setattr(utils, 'load', utils.load.__wrapped__)
    assert {*texts, Config.fromfile(CONFIG).dump()} == {texts[0]}
