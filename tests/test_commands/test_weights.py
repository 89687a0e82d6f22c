"""The table of published weights, and what the command says of them."""

from pathlib import Path

import pytest
from conftest import REPO

from fishnet_mmdet.checkpoints import RELEASES
from fishnet_mmdet.commands.weights import main
from fishnet_mmdet.errors import FishNetError

TOOL = REPO / 'tools/model_converters/weights.py'


def test_the_table(cache, saved, capsys):
    Path('checkpoints').mkdir()
    Path('checkpoints/fishnet99_ckpt.tar').write_bytes(saved())
    main([])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines[1 : 1 + len(RELEASES)]}
    assert list(rows) == list(RELEASES)
    for name, release in RELEASES.items():
        for word in (release.network, f'{release.top1_error:.2f} %', release.licence, release.schedule):
            assert word in rows[name]
        assert rows[name].endswith('checkpoints/fishnet99_ckpt.tar' if name == 'fishnet99' else 'not downloaded')
        (start,) = [index for index, line in enumerate(lines) if line.startswith(f'{name}: save ')]
        part = ' '.join(lines[start : start + 3])
        for word in (release.url, f'checkpoints/{release.file_name}', release.source, release.sha1 or 'SHA-1 not published'):
            assert word in part


def test_a_name_is_downloaded_and_its_path_printed(site, cache, saved, capsys, monkeypatch):
    url = site.put('/fishnet99_ckpt.tar', saved())
    monkeypatch.setitem(RELEASES, 'fishnet99', RELEASES['fishnet99']._replace(url=url))
    main(['fishnet99'])
    assert capsys.readouterr().out.splitlines()[-1] == str(cache / 'fishnet99_ckpt.tar')
    assert (cache / 'fishnet99_ckpt.tar').read_bytes() == saved()
    main([])
    assert str(cache / 'fishnet99_ckpt.tar') in capsys.readouterr().out


def test_an_unknown_name():
    with pytest.raises(FishNetError, match="'resnet50': use one of fishnet99, fishnet150"):
        main(['resnet50'])


def test_the_command(here, refusal, tmp_path):
    out = here(TOOL, TORCH_HOME=tmp_path)
    assert 'FishNet-201' in out and 'not downloaded' in out
    refusal(TOOL, 'fishnet')
