"""Checkpoints from a URL: whole, readable, with the right hash, or not there and one message."""

import hashlib
import multiprocessing
import os
import socket
import threading
import time

import pytest
import torch
from web_server import send

from fishnet_mmdet import FishNet
from fishnet_mmdet.checkpoints import download as downloading
from fishnet_mmdet.checkpoints import locate
from fishnet_mmdet.checkpoints.locate import local_file
from fishnet_mmdet.checkpoints.urls import cache_name, is_remote, printable
from fishnet_mmdet.errors import FishNetError

HTML = b'<!DOCTYPE html><html><body>Sign in</body></html>'


def message_of_refusal(url, cache):
    with pytest.raises(FishNetError) as error:
        local_file(url)
    message = str(error.value)
    assert printable(url) in message and '\n' not in message
    assert 'by hand' in message and 'checkpoint=FILE' in message and '.partial' not in message
    assert not cache.exists() or not list(cache.iterdir())
    return message


def test_a_file_is_downloaded_once(site, saved, cache, small_net, small_fish, mmengine_log):
    weights = small_net().state_dict()
    url = site.put('/models/own.pth', saved(weights))
    for _ in range(2):
        net = FishNet(arch=small_fish(), init_cfg=dict(type='FishNetPretrained', checkpoint=url))
        net.init_weights()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())
    assert site.paths == ['/models/own.pth']
    (file,) = cache.iterdir()
    assert file.name == cache_name(url) and file.name.endswith('_own.pth')
    assert f'downloading {url} to {file}' in mmengine_log.text and f'{url}: using {file}' in mmengine_log.text


def test_the_hash_in_the_name_is_checked(site, saved, cache):
    body = saved()
    digest = hashlib.sha256(body).hexdigest()[:8]
    assert local_file(site.put(f'/x-{digest}.pth', body)).read_bytes() == body
    (cache / cache_name(site.url(f'/x-{digest}.pth'))).unlink()
    assert 'invalid hash' in message_of_refusal(site.put('/x-01234567.pth', body), cache)


@pytest.mark.parametrize(
    'body, length, word',
    [
        (HTML, None, 'page of HTML'),
        (HTML + bytes(5000), None, 'page of HTML'),
        (b'', None, 'empty'),
        ([1], None, 'a list, not a checkpoint'),
        (-50, None, 'cut off'),
    ],
    ids=['html', 'long html', 'empty', 'list', 'cut'],
)
def test_what_is_no_checkpoint_leaves_nothing(body, length, word, site, saved, cache):
    if body == -50:
        body = saved(dict(a=torch.ones(3000)))[:-50]
    elif isinstance(body, list):
        body = saved(body)
    assert word in message_of_refusal(site.put('/x.pth', body, length), cache)


def test_a_page_that_never_ends_is_refused_at_its_beginning(site, cache):
    sent = []

    def endless(handler):
        send(handler, 200, {}, HTML)
        try:
            while len(sent) < 10_000:
                handler.wfile.write(bytes(1 << 16))
                sent.append(1)
        except OSError:
            pass

    site.answers['/x.pth'] = endless
    assert 'page of HTML' in message_of_refusal(site.url('/x.pth'), cache)
    assert len(sent) < 1000


def test_more_than_any_checkpoint_is_refused(site, saved, cache, monkeypatch):
    monkeypatch.setattr(downloading, 'LARGEST', 20_000)
    monkeypatch.setattr(downloading, 'BLOCK', 1024)
    assert 'more than 20,000 bytes' in message_of_refusal(site.put('/x.pth', saved(dict(a=torch.ones(10_000)))), cache)


@pytest.mark.parametrize('status', [403, 404, 429, 500, 503])
def test_a_server_that_refuses_is_asked_once(status, site, cache):
    site.answers['/x.pth'] = lambda handler: handler.send_error(status, 'a reason\x1b[2J')
    assert str(status) in message_of_refusal(site.url('/x.pth'), cache)
    assert len(site.requests) == 1


def test_no_server(site, cache):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        assert 'refused' in message_of_refusal(f'http://127.0.0.1:{unused.getsockname()[1]}/x.pth', cache)


def test_no_network(cache, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setattr(socket, 'getaddrinfo', unknown)
    assert 'there is no network here' in message_of_refusal('http://weights.example/x.pth', cache)


@pytest.mark.parametrize('after', ['connecting', 'the headers', 'a part'])
def test_a_silent_server(after, site, saved, cache, monkeypatch):
    monkeypatch.setattr(downloading, 'TIMEOUT', 0.3)
    monkeypatch.setattr(downloading, 'RETRIES', 1)
    silent = threading.Event()

    def answer(handler):
        if after != 'connecting':
            send(handler, 200, {'Content-Length': 9000}, saved()[: 0 if after == 'the headers' else 500])
            handler.wfile.flush()
        silent.wait(20)

    site.answers['/x.pth'] = answer
    try:
        assert 'sent nothing for 0.3 seconds' in message_of_refusal(site.url('/x.pth'), cache)
    finally:
        silent.set()
    # Only a server that has sent something is asked again.
    assert len(site.requests) == (2 if after == 'a part' else 1)


class Breaking:
    """Sends a part of a file and breaks off, several times. Serves ranges if it is told to."""

    def __init__(self, body, breaks, ranges=True, **headers):
        self.body, self.breaks, self.ranges, self.headers = body, breaks, ranges, headers

    def __call__(self, handler):
        start, status, headers = 0, 200, dict(self.headers)
        wanted = handler.headers.get('Range')
        fresh = handler.headers.get('If-Range') in (headers.get('ETag'), headers.get('Last-Modified'))
        if wanted and self.ranges and fresh:
            start, status = int(wanted[len('bytes=') : -1]), 206
            headers['Content-Range'] = f'bytes {start}-{len(self.body) - 1}/{len(self.body)}'
        rest = self.body[start:]
        headers['Content-Length'] = len(rest)
        broken, self.breaks = self.breaks > 0, self.breaks - 1
        send(handler, status, headers, rest[: len(rest) // 2 if broken else None])


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr(downloading.time, 'sleep', lambda seconds: None)


@pytest.mark.parametrize(
    'headers, ranges, resumed',
    [
        (dict(ETag='"1"'), True, True),
        (dict(Last_Modified='Tue, 01 Jan 2019 00:00:00 GMT'), True, True),
        (dict(ETag='"1"'), False, False),
        (dict(ETag='W/"1"'), True, False),
        ({}, True, False),
    ],
    ids=['etag', 'date', 'no ranges', 'weak', 'no version'],
)
def test_a_connection_that_breaks_is_made_again(headers, ranges, resumed, site, saved, cache, no_wait):
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    body = saved(dict(a=torch.arange(50_000)))
    site.answers['/x.pth'] = Breaking(body, breaks=2, ranges=ranges, **headers)
    assert local_file(site.url('/x.pth')).read_bytes() == body
    assert len(site.requests) == 3
    starts = [asked.get('Range') for _, asked in site.requests]
    half, rest = len(body) // 2, len(body) - len(body) // 2
    if resumed:
        assert starts == [None, f'bytes={half}-', f'bytes={half + rest // 2}-']
    elif not ranges:  # asked for, but the server sends the whole file
        assert starts == [None, f'bytes={half}-', f'bytes={half}-']
    else:
        assert starts == [None] * 3


def test_a_file_that_changes_while_it_is_downloaded_is_begun_again(site, saved, cache, no_wait):
    old, new = saved(dict(a=torch.zeros(50_000))), saved(dict(a=torch.ones(50_000)))
    first, second = Breaking(old, 1, ETag='"old"'), Breaking(new, 0, ETag='"new"')
    site.answers['/x.pth'] = lambda handler: (first if len(site.requests) == 1 else second)(handler)
    assert local_file(site.url('/x.pth')).read_bytes() == new
    assert site.requests[1][1]['If-Range'] == '"old"'


def test_a_connection_that_always_breaks_ends(site, saved, cache, no_wait):
    site.answers['/x.pth'] = Breaking(saved(dict(a=torch.ones(3000))), breaks=99, ranges=False)
    message = message_of_refusal(site.url('/x.pth'), cache)
    assert 'the connection broke after' in message
    assert len(site.requests) == 1 + downloading.RETRIES


def test_chunks_without_a_length(site, saved, cache, no_wait):
    body = saved()

    def chunked(whole):
        def answer(handler):
            handler.protocol_version = 'HTTP/1.1'
            part = body[: None if whole else 500]
            end = b'0\r\n\r\n' if whole else b''
            data = b'%x\r\n%s\r\n%s' % (len(part), part, end)
            send(handler, 200, {'Transfer-Encoding': 'chunked', 'Connection': 'close'}, data)
            handler.close_connection = True

        return answer

    site.answers.update({'/whole.pth': chunked(True), '/cut.pth': chunked(False)})
    assert local_file(site.url('/whole.pth')).read_bytes() == body
    local_file(site.url('/whole.pth')).unlink()
    message_of_refusal(site.url('/cut.pth'), cache)


def test_redirects(site, saved, cache):
    body = saved()
    site.put('/real.pth', body)
    url = site.redirect('/link?dl=1', '/real.pth')
    assert local_file(url).read_bytes() == body
    assert local_file(url).name == cache_name(url)
    local_file(url).unlink()
    assert 'infinite loop' in message_of_refusal(site.redirect('/loop.pth', site.url('/loop.pth')), cache)
    # Not to a file of this machine.
    message_of_refusal(site.redirect('/file.pth', 'file:///etc/passwd'), cache)


def test_urls_with_the_same_last_name_are_different_files(site, saved, cache):
    urls = [
        site.put('/a/x.pth', saved(dict(a=torch.tensor(0)))),
        site.put('/b/x.pth', saved(dict(a=torch.tensor(1)))),
        site.put('/download?id=1', saved(dict(a=torch.tensor(2)))),
        site.put('/download?id=2', saved(dict(a=torch.tensor(3)))),
    ]
    for _ in range(2):
        assert [torch.load(local_file(url), weights_only=True)['a'].item() for url in urls] == [0, 1, 2, 3]
    assert cache_name('https://a.example/x.pth') != cache_name('https://b.example/x.pth')
    # Of two hosts for real: the names 127.0.0.1 and localhost.
    here, there = site.url('/a/x.pth'), site.url('/a/x.pth', 'localhost')
    site.put('/a/x.pth', saved(dict(a=torch.tensor(9))))
    assert torch.load(local_file(there), weights_only=True)['a'] == 9
    assert torch.load(local_file(here), weights_only=True)['a'] == 0


def test_a_url_never_takes_the_place_of_a_published_file(site, saved, cache):
    file = local_file(site.put('/fishnet150_ckpt.tar', saved()))
    assert file.parent == cache and file.name != 'fishnet150_ckpt.tar'


def test_a_failure_does_not_stay(site, saved, cache):
    url = site.put('/x.pth', HTML)
    message_of_refusal(url, cache)
    site.put('/x.pth', saved())
    assert torch.load(local_file(url), weights_only=True)['a'].sum() == 3


def test_a_cache_that_cannot_be_written(site, saved, tmp_path):
    (tmp_path / 'torch').write_text('a file where the folder should be')
    with pytest.raises(FishNetError, match='could not be downloaded: .*torch'):
        local_file(site.put('/x.pth', saved()))


def _download(url, ready, results):
    ready.wait()
    try:
        results.put(local_file(url).read_bytes())
    except BaseException as error:
        results.put(repr(error))


def test_processes_that_share_a_cache(site, saved, cache):
    """As machines with one home folder: all download at the same time, and each gets the whole file."""
    body = saved(dict(a=torch.ones(30_000)))

    def slow(handler):
        send(handler, 200, {'Content-Length': len(body)}, b'')
        for start in range(0, len(body), 20_000):
            handler.wfile.write(body[start : start + 20_000])
            time.sleep(0.05)

    site.answers['/x.pth'] = slow
    context = multiprocessing.get_context('fork')
    ready, results = context.Event(), context.Queue()
    processes = [context.Process(target=_download, args=(site.url('/x.pth'), ready, results)) for _ in range(3)]
    for process in processes:
        process.start()
    ready.set()
    assert [results.get(timeout=60) for _ in processes] == [body] * 3
    for process in processes:
        process.join()
    assert [file.name for file in cache.iterdir()] == [cache_name(site.url('/x.pth'))]


def test_partial_files_of_killed_processes_are_removed_after_a_day(site, saved, cache):
    url = site.put('/x.pth', saved())
    cache.mkdir(parents=True)
    old, new = (cache / f'{cache_name(url)}.{name}.partial' for name in ('old', 'new'))
    for file in (old, new):
        file.write_bytes(b'x')
    os.utime(old, (0, time.time() - 25 * 3600))
    file = local_file(url)
    assert {*cache.iterdir()} == {file, new}


@pytest.mark.parametrize('local_rank, downloads', [('0', True), ('1', False)])
def test_one_process_of_a_machine_downloads(local_rank, downloads, site, saved, cache, monkeypatch):
    url = site.put('/x.pth', saved())
    monkeypatch.setenv('LOCAL_RANK', local_rank)
    monkeypatch.setattr(locate, 'get_world_size', lambda: 2)
    monkeypatch.setattr(locate, 'all_gather_object', lambda problem: [problem, None])
    assert local_file(url) == cache / cache_name(url)
    assert local_file(url).exists() == downloads
    assert bool(site.requests) == downloads


def test_the_other_processes_say_what_went_wrong(site, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setattr(locate, 'get_world_size', lambda: 2)
    monkeypatch.setattr(locate, 'all_gather_object', lambda problem: ['the wire was cut', problem])
    with pytest.raises(FishNetError, match='the wire was cut'):
        local_file(site.put('/x.pth', b''))


def test_a_password_is_sent_and_never_shown(site, saved, cache, mmengine_log):
    place = f'127.0.0.1:{site.server.server_port}'
    site.put('/x.pth?token=tok-secret&v=1', saved())
    url = f'http://me:pass%40-secret@{place}/x.pth?token=tok-secret&v=1'
    file = local_file(url)
    assert site.requests[0][1]['Authorization'] == 'Basic bWU6cGFzc0Atc2VjcmV0'  # me:pass@-secret
    assert '-secret' not in mmengine_log.text and 'secret' not in file.name
    assert f'http://***@{place}/x.pth?token=***&v=1' in mmengine_log.text
    file.unlink()
    site.answers.clear()
    assert '-secret' not in message_of_refusal(url, cache)
    # After a redirect another server may not get it.
    site.put('/real.pth', saved())
    site.redirect('/moved.pth', site.url('/real.pth', 'localhost'))
    site.requests.clear()
    local_file(f'http://me:pass-secret@{place}/moved.pth')
    assert ['Authorization' in asked for _, asked in site.requests] == [True, False]


@pytest.mark.parametrize(
    'url, shown',
    [
        ('https://user:pa:ss@host/x.pth', 'https://***@host/x.pth'),
        ('https://user@host/a@b.pth', 'https://***@host/a@b.pth'),
        ('https://host/x.pth?a=1&X-Amz-Signature=abc&api_key=d', 'https://host/x.pth?a=1&X-Amz-Signature=***&api_key=***'),
        ('https://www.dropbox.com/s/a/x.tar?dl=1', 'https://www.dropbox.com/s/a/x.tar?dl=1'),
        ('some/me@home.pth', 'some/me@home.pth'),
        ('https://user:pa/ss@host/x.pth', 'https://***@host/x.pth'),
        ('https://user:pa?ss@host/x.pth', 'https://***@host/x.pth'),
        ('https://user:pass/x.pth', 'https://***'),
        ('https://host:80/x.pth#token', 'https://host:80/x.pth'),
        ('https://host/x\nerror: y.pth', 'https://host/x\\nerror: y.pth'),
    ],
)
def test_what_is_printed_of_a_url(url, shown):
    assert printable(url) == shown


def test_a_name_with_spaces_and_letters_of_other_alphabets(site, saved, cache):
    site.put('/my%20b%C3%A4r.pth', saved())
    assert local_file(site.url('/my bär.pth')).name.endswith('_my bär.pth')


def test_files_and_their_urls_stay_where_they_are(tmp_path):
    assert local_file('some/x.pth').as_posix() == 'some/x.pth'
    file = tmp_path / 'with space.pth'
    assert local_file(file.as_uri()) == file
    assert not is_remote('some/x.pth') and not is_remote(file.as_uri()) and is_remote('https://a.b/c.pth')


@pytest.mark.parametrize(
    'url', ['s3://a/b.pth', 'torchvision://resnet50', 'https://a.b', 'https://a.b:x/c.pth', 'http:///c.pth', 'http://[a/c.pth']
)
def test_what_is_no_url(url):
    with pytest.raises(FishNetError) as error:
        local_file(url)
    assert printable(url) in str(error.value)
