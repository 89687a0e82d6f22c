"""Weights by name: the table, the search order, and what is said where they are not there."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from released import released_weights, save_released
from safetensors.torch import save_file

from fishnet_mmdet import FishNet
from fishnet_mmdet.checkpoints import RELEASES, FishNetPretrained, check_pretrained, locate
from fishnet_mmdet.checkpoints.locate import find, find_local, local_file
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import ClassificationHead
from fishnet_mmdet.models.released import rename_released

REPO = Path(__file__).parents[2]


@pytest.fixture
def released(site, monkeypatch):
    """Serves bytes as a release of the table, whose URL leads to the test's server for the moment."""

    def serve(name, body, sha1=None):
        path = f'/{RELEASES[name].file_name}?dl=1'
        changed = dict(url=site.put(path, body), sha1=sha1)
        monkeypatch.setitem(RELEASES, name, RELEASES[name]._replace(**changed))
        return path

    return serve


def zipped(body):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('fishnet150-0475-93e26daa.pth', body)
    return buffer.getvalue()


@pytest.mark.parametrize('name', RELEASES)
def test_the_numbers_of_parameters(name):
    release = RELEASES[name]
    depth = int(release.network.rpartition('-')[2])
    with torch.device('meta'):
        net = FishNet(depth)
        modules = (net, ClassificationHead(net.out_channels[-1]))
    assert release.parameters == sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_no_release_is_twice_in_the_table():
    for field in ('url', 'file_name'):
        assert len({getattr(release, field) for release in RELEASES.values()}) == len(RELEASES)
    for release in RELEASES.values():
        assert release.url.split('?')[0].endswith(f'/{release.file_name}')


def test_no_plain_fishnet201_is_named():
    """Its authors never published one."""
    files = [*(REPO / 'fishnet_mmdet').rglob('*.py')]
    assert len(files) > 30
    assert not [file for file in files if 'fishnet201_ckpt.tar' in file.read_text(encoding='utf-8')]
    assert RELEASES['fishnet201'].file_name == 'fishnet201_ckpt_welltrain.tar'


def test_a_name_is_downloaded_once(released, site, cache, tmp_path, mmengine_log):
    weights = released_weights(99)
    save_released(weights, tmp_path / 'x.tar')
    path = released('fishnet99', (tmp_path / 'x.tar').read_bytes())
    for _ in range(2):
        net = FishNet(99, init_cfg=dict(type='FishNetPretrained', checkpoint='fishnet99'))
        net.init_weights()
        renamed = rename_released(weights)
        assert all(torch.equal(tensor, renamed[name]) for name, tensor in net.state_dict().items())
    assert site.paths == [path]
    assert [file.name for file in cache.iterdir()] == ['fishnet99_ckpt.tar']
    assert f'using {cache / "fishnet99_ckpt.tar"}' in mmengine_log.text


def test_the_search_order(released, site, saved, cache):
    path = released('fishnet150', saved())
    here = Path('checkpoints')
    here.mkdir()
    assert find_local('fishnet150') is None and find('fishnet150') == cache / 'fishnet150_ckpt.tar'
    # Each of these comes before the ones above it.
    for name in ('fishnet150_ckpt.tar', 'fishnet150-0123abcd.safetensors', 'fishnet150.safetensors'):
        (here / name).write_bytes(saved())
        assert find('fishnet150') == find_local('fishnet150') == here / name
    assert site.paths == [path]
    # Of other names nothing is taken.
    assert find_local('fishnet150_welltrained') is None and find_local('pytorchcv_fishnet150') is None


def test_a_file_of_the_name_does_not_hide_the_release(released, saved, cache):
    released('fishnet150', saved())
    Path('fishnet150').write_bytes(b'')
    assert find('fishnet150') == cache / 'fishnet150_ckpt.tar'
    assert find('./fishnet150') == Path('fishnet150')


def test_the_url_of_a_release_is_the_release(released, site, saved, cache):
    path = released('fishnet150', saved())
    assert find(site.url(path)) == find('fishnet150') == cache / 'fishnet150_ckpt.tar'
    assert len(site.requests) == 1


def test_a_converted_file_serves_as_the_release(small_net, small_fish, cache):
    Path('checkpoints').mkdir()
    weights = small_net().state_dict()
    save_file(weights, 'weights')
    digits = hashlib.sha256(Path('weights').read_bytes()).hexdigest()[:8]
    Path('weights').rename(f'checkpoints/fishnet150-{digits}.safetensors')
    net = FishNet(arch=small_fish(), init_cfg=dict(type='FishNetPretrained', checkpoint='fishnet150'))
    net.init_weights()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize('where', ['download', 'archive', 'unpacked'])
def test_a_published_hash_is_checked_wherever_the_file_is(where, released, saved, cache):
    body = saved()
    sha1 = hashlib.sha1(body).hexdigest()
    name, here = 'pytorchcv_fishnet150', Path('checkpoints')
    here.mkdir()

    def put(content):
        released(name, zipped(content), sha1)
        if where == 'archive':
            (here / 'fishnet150-0475-93e26daa.pth.zip').write_bytes(zipped(content))
        if where == 'unpacked':
            (here / 'fishnet150-0475-93e26daa.pth').write_bytes(content)

    put(saved(dict(a=torch.zeros(3))))
    with pytest.raises(FishNetError, match=f'invalid hash: the SHA1 of .* should begin with {sha1[:8]}'):
        find(name)
    put(body)
    assert find(name) == (
        cache / 'fishnet150-0475-93e26daa.pth.zip'
        if where == 'download'
        else here / f'fishnet150-0475-93e26daa.pth{".zip" if where == "archive" else ""}'
    )


@pytest.mark.parametrize('name', RELEASES)
def test_without_a_network_the_message_says_what_to_save_where(name, cache, monkeypatch):
    release = RELEASES[name]._replace(url='http://127.0.0.1:9/' + RELEASES[name].file_name)
    monkeypatch.setitem(RELEASES, name, release)
    for call in (lambda: local_file(name), lambda: check_pretrained(name), lambda: FishNetPretrained(name)(FishNet(99))):
        with pytest.raises(FishNetError) as error:
            call()
        message = str(error.value)
        assert '\n' not in message and name in message
        assert f'Download {release.url} (linked from {release.source}) by hand' in message
        assert f'save it as checkpoints/{release.file_name}' in message


def test_the_check_before_training_downloads(released, site, saved, cache, monkeypatch):
    path = released('fishnet150', saved())
    monkeypatch.setenv('LOCAL_RANK', '1')
    check_pretrained('fishnet150')
    assert not site.requests  # the first process of the machine does it
    monkeypatch.setenv('LOCAL_RANK', '0')
    check_pretrained('fishnet150')
    check_pretrained('fishnet150')
    assert site.paths == [path] and (cache / 'fishnet150_ckpt.tar').is_file()


def test_the_check_before_training_says_how_to_train_without(site, cache):
    url = site.put('/x.pth', b'<html>')
    for checkpoint in (url, 'checkpoints/fishnet150_ckpt.tar', 'fishnet1500'):
        with pytest.raises(FishNetError, match='to train without pretrained weights, add --from-scratch'):
            check_pretrained(checkpoint)


@pytest.mark.parametrize(
    'checkpoint, name', [('checkpoints/fishnet150_ckpt.tar', 'fishnet150'), ('/x/fishnet99', 'fishnet99')]
)
def test_a_missing_file_of_a_release_is_known(checkpoint, name, cache):
    with pytest.raises(FishNetError) as error:
        check_pretrained(checkpoint)
    for word in (checkpoint, f'init_cfg.checkpoint={name}', RELEASES[name].url, f'checkpoints/{RELEASES[name].file_name}'):
        assert word in str(error.value)


def test_a_name_that_is_unknown(cache):
    with pytest.raises(FishNetError) as error:
        check_pretrained('fishnet_150')
    for word in ('there is no checkpoint file fishnet_150', *RELEASES):
        assert word in str(error.value)


def test_a_network_that_does_not_fit_the_name(released, cache, tmp_path):
    with torch.device('meta'):
        shapes = {name: tensor.shape for name, tensor in FishNet(99).state_dict().items()}
    torch.save({name: torch.tensor(1.0).expand(shape) for name, shape in shapes.items()}, tmp_path / 'x.pth')
    released('fishnet150', (tmp_path / 'x.pth').read_bytes())
    with torch.device('meta'):
        net = FishNet(150)
    with pytest.raises(FishNetError, match='FishNet-99 alone, which does not fit this FishNet-150'):
        FishNetPretrained('fishnet150')(net)


def test_what_is_used_is_logged_by_the_first_process(released, saved, cache, monkeypatch):
    released('fishnet150', saved())
    logged = []
    monkeypatch.setattr(locate, 'print_log', lambda message, logger: logged.append((message, logger)))
    find('fishnet150')
    assert logged == [
        (f'fishnet150 ({RELEASES["fishnet150"].url}): using {cache / "fishnet150_ckpt.tar"}', 'current'),
    ]
    assert MMLogger.get_current_instance()
