"""mmengine's loading in the commands, and URLs of checkpoints before a run."""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, load_checkpoint
from safetensors.torch import save_file

from fishnet_mmdet.checkpoints import read_files_in_mmengine
from fishnet_mmdet.engine.checks import check_checkpoint, check_initialisation
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def loader(monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes.copy())
    read_files_in_mmengine()


def test_mmengine_reads_what_the_package_reads(loader, tmp_path):
    net, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    for name, save in (('x.pth', torch.save), ('x.safetensors', save_file)):
        save(other.state_dict(), tmp_path / name)
        torch.nn.init.zeros_(net.weight)
        load_checkpoint(net, str(tmp_path / name))
        assert torch.equal(net.weight, other.weight)


def test_mmengine_refuses_what_the_package_refuses(loader, tmp_path):
    file = tmp_path / 'x.pth'
    torch.save(dict(state_dict={'weight': torch.arange(64.0)}), file)
    content = bytearray(file.read_bytes())
    content[content.index(torch.arange(64.0).numpy().tobytes()) + 5] ^= 1
    file.write_bytes(content)
    assert torch.load(file, weights_only=True)['state_dict']['weight'].shape == (64,)
    with pytest.raises(FishNetError, match='damaged: the checksum of its record data/0 differs'):
        load_checkpoint(torch.nn.Linear(2, 3), str(file))


def test_the_versions_of_modules_reach_load_state_dict(loader, tmp_path):
    """BN of version 1 has no counts, and load_state_dict must know which version a file is of."""
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    torch.save(dict(state_dict=net.state_dict()), tmp_path / 'x.pth')
    checkpoint = CheckpointLoader.load_checkpoint(str(tmp_path / 'x.pth'))
    assert checkpoint['state_dict']._metadata == net.state_dict()._metadata


def test_a_url_is_a_file_before_the_run(site, saved, cache, tmp_path, mmengine_log):
    place = f'127.0.0.1:{site.server.server_port}'
    site.put('/x.pth', saved())
    url = f'http://me:pass-secret@{place}/x.pth'
    file = check_checkpoint(url)
    assert os.path.isfile(file) and os.path.dirname(file) == str(cache)
    assert check_checkpoint((cache / os.path.basename(file)).as_uri()) == file
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=dict(type='FishNetPretrained', checkpoint=url)))))
    check_initialisation(cfg)
    assert cfg.model.backbone.init_cfg.checkpoint == file
    assert 'pass-secret' not in mmengine_log.text
    missing = (tmp_path / 'none.pth').as_uri()
    with pytest.raises(FishNetError, match='there is no checkpoint file .*none.pth'):
        check_checkpoint(missing)
    site.answers.clear()
    (cache / os.path.basename(file)).unlink()
    with pytest.raises(FishNetError, match='could not be downloaded.*404') as error:
        check_checkpoint(url)
    assert 'pass-secret' not in str(error.value)
