"""Checkpoints from an address: whole, readable, or not there."""

import hashlib
import io
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from fishnet_mmdet import FishNet
from fishnet_mmdet.checkpoints import FishNetPretrained, check_pretrained, fetching
from fishnet_mmdet.checkpoints.fetching import is_remote, local_file
from fishnet_mmdet.errors import FishNetError

HTML = b'<!DOCTYPE html><html><body>Sign in</body></html>'


@pytest.fixture(scope='module')
def site():
    """A server of what is put into its ``content``: by path, bytes and the length that it announces."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            if self.path not in server.content:
                return self.send_error(404)
            body, length = server.content[self.path]
            self.send_response(200)
            self.send_header('Content-Length', str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.content, server.asked = {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def publish(site, tmp_path, monkeypatch):
    """Puts bytes on the server, for a cache of one's own; returns their address."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    site.content.clear()
    site.asked.clear()

    def put(path, body, length=None):
        site.content[path] = body, len(body) if length is None else length
        return f'http://127.0.0.1:{site.server_port}{path}'

    return put


@pytest.fixture
def cache(tmp_path):
    return tmp_path / 'torch/hub/checkpoints'


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def message_of_refusal(address, cache):
    with pytest.raises(FishNetError) as error:
        local_file(address)
    message = str(error.value)
    assert address in message and '\n' not in message
    assert not cache.exists() or not list(cache.iterdir())
    return message


def test_a_file_is_downloaded_once(publish, site, cache, small_net, small_fish, mmengine_log):
    weights = small_net().state_dict()
    address = publish('/models/own.pth', saved(weights))
    for _ in range(2):
        net = FishNet(arch=small_fish(), init_cfg=dict(type='FishNetPretrained', checkpoint=address))
        net.init_weights()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())
    assert site.asked == ['/models/own.pth']
    assert [file.name for file in cache.iterdir()] == ['own.pth']
    assert f'using {cache / "own.pth"}' in mmengine_log.text


def test_the_hash_in_the_name_is_checked(publish, cache):
    body = saved(dict(a=torch.ones(3)))
    digest = hashlib.sha256(body).hexdigest()[:8]
    assert local_file(publish(f'/x-{digest}.pth', body)).read_bytes() == body
    (cache / f'x-{digest}.pth').unlink()
    assert 'invalid hash' in message_of_refusal(publish('/x-01234567.pth', body), cache)


def test_a_short_number_in_the_name_is_no_hash(publish):
    assert local_file(publish('/fishnet-99.pth', saved(dict(a=torch.ones(3))))).name == 'fishnet-99.pth'


@pytest.mark.parametrize(
    'body, length, word',
    [
        (HTML, None, 'page of HTML'),
        (b'', None, 'empty'),
        (saved([1]), None, 'a list, not a checkpoint'),
        (saved(dict(a=torch.ones(3000)))[:-50], None, 'cut off'),
        (saved(dict(a=torch.ones(3000)))[:-50], 20000, 'what came'),
    ],
    ids=['html', 'empty', 'list', 'cut', 'interrupted'],
)
def test_what_is_no_checkpoint_leaves_nothing(body, length, word, publish, cache):
    message = message_of_refusal(publish('/x.pth', body, length), cache)
    assert word in message and 'by hand' in message and '.partial' not in message


def test_no_such_file(publish, cache):
    message = message_of_refusal(publish('', b'') + '/nothing.pth', cache)
    assert '404' in message and 'by hand' in message and 'checkpoint=FILE' in message


def test_no_server(publish, cache):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        assert 'refused' in message_of_refusal(f'http://127.0.0.1:{unused.getsockname()[1]}/x.pth', cache)


def test_a_failure_does_not_stay(publish, cache):
    address = publish('/x.pth', HTML)
    message_of_refusal(address, cache)
    publish('/x.pth', saved(dict(a=torch.ones(3))))
    assert torch.load(local_file(address), weights_only=True)['a'].sum() == 3


def test_addresses_that_differ_in_their_query_are_two_files(publish):
    addresses = [publish(f'/download?id={i}', saved(dict(a=torch.full((1,), i)))) for i in (1, 2)]
    assert [torch.load(local_file(address), weights_only=True)['a'].item() for address in addresses] == [1, 2]


def test_a_cache_that_cannot_be_written(publish, tmp_path):
    (tmp_path / 'torch').write_text('a file where the folder should be')
    with pytest.raises(FishNetError, match='could not be downloaded: .*torch'):
        local_file(publish('/x.pth', saved(dict(a=torch.ones(3)))))


@pytest.mark.parametrize('local_rank, downloads', [('0', True), ('1', False)])
def test_one_process_of_a_machine_downloads(local_rank, downloads, publish, site, monkeypatch):
    address = publish('/x.pth', saved(dict(a=torch.ones(3))))
    monkeypatch.setenv('LOCAL_RANK', local_rank)
    monkeypatch.setattr(fetching, 'get_world_size', lambda: 2)
    monkeypatch.setattr(fetching, 'all_gather_object', lambda problem: [problem, None])
    assert local_file(address).exists() == downloads
    assert bool(site.asked) == downloads


def test_the_other_processes_say_what_went_wrong(publish, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setattr(fetching, 'get_world_size', lambda: 2)
    monkeypatch.setattr(fetching, 'all_gather_object', lambda problem: ['the wire was cut', problem])
    with pytest.raises(FishNetError, match='the wire was cut'):
        local_file(publish('/x.pth', b''))


def test_files_and_their_addresses_stay_where_they_are(tmp_path):
    assert local_file('some/x.pth').as_posix() == 'some/x.pth'
    file = tmp_path / 'with space.pth'
    assert local_file(file.as_uri()) == file
    assert not is_remote('some/x.pth') and not is_remote(file.as_uri()) and is_remote('https://a.b/c.pth')


@pytest.mark.parametrize('address', ['s3://a/b.pth', 'torchvision://resnet50', 'https://a.b'])
def test_addresses_that_are_none(address):
    with pytest.raises(FishNetError, match=address):
        local_file(address)


def test_the_check_before_training_leaves_addresses_alone(publish, site, small_net):
    address = publish('/x.pth', HTML)
    check_pretrained(address)
    assert not site.asked
    with pytest.raises(FishNetError, match='page of HTML'):
        FishNetPretrained(address)(small_net())
