"""A web server for the tests of downloads, and a cache of their own."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch


class Site:
    """What a server answers, by path: a function of the request's handler. Keeps the requests."""

    def __init__(self):
        self.answers, self.requests = {}, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append((self.path, dict(self.headers)))
                answer = site.answers.get(self.path)
                if answer is None:
                    return self.send_error(404)
                return answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def paths(self):
        return [path for path, _ in self.requests]

    def url(self, path, host='127.0.0.1'):
        return f'http://{host}:{self.server.server_port}{path}'

    def put(self, path, body, length=None, sent=None, host='127.0.0.1', **headers):
        """Answers a path with bytes, of which only ``sent`` are sent, and with the length that is announced."""

        def answer(handler):
            send(handler, 200, {'Content-Length': len(body) if length is None else length, **headers}, body[:sent])

        self.answers[path] = answer
        return self.url(path, host)

    def redirect(self, path, url):
        self.answers[path] = lambda handler: send(handler, 302, {'Location': url, 'Content-Length': 0}, b'')
        return self.url(path)


def send(handler, status, headers, body):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace('_', '-'), str(value))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch.hub's cache, empty; the current folder is empty too."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    return tmp_path / 'torch/hub/checkpoints'


@pytest.fixture
def site(cache):
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def saved():
    """The bytes of a file of ``torch.save``."""

    def save(content=None, legacy=False):
        buffer = io.BytesIO()
        content = dict(a=torch.ones(3)) if content is None else content
        torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
        return buffer.getvalue()

    return save
