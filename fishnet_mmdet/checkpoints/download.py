"""Downloads a URL to a file: the whole file under its name, or no file and one message."""

import base64
import contextlib
import glob
import http.client
import os
import socket
import time
from pathlib import Path
from typing import BinaryIO, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlunsplit
from urllib.request import Request, urlopen
from uuid import uuid4

from mmengine.logging import print_log
from tqdm import tqdm

from ..errors import FishNetError
from .hashes import check_hash
from .reading import LENGTH_OF_START, file_format, read_checkpoint
from .urls import file_name, printable, split

#: Seconds to wait for a server that is silent: while connecting, and for each next part of the file.
TIMEOUT = 30
#: How often a connection that broke in the middle is made again. Each new one goes on where the last one stopped.
RETRIES = 4
BLOCK = 1 << 18
#: In bytes. A server could send forever.
LARGEST = 1 << 33
#: A partial file this many seconds old belongs to a process that was killed.
STALE = 24 * 3600


def download(url: str, file: Path, sha1: Optional[str] = None) -> None:
    """Downloads a URL to a file.

    The data goes to a partial file of its own beside ``file``, and takes its name only when it is whole, has the right
    hash and is a checkpoint. So processes on several machines can share a cache without a lock.

    Args:
        url (str): An http or https URL. A user and password in it are sent to its own host only, not after a redirect.
        file (Path): Where to save it.
        sha1 (str, optional): Its published SHA-1; without one, a hash in the URL's file name is checked.

    Raises:
        FishNetError: If it fails. No partial file is left.
    """
    partial = file.with_name(f'{file.name}.{uuid4().hex}.partial')
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_partials(file)
        print_log(f'downloading {printable(url)} to {file}', logger='current')
        with partial.open('wb') as opened:
            _receive(url, opened)
            opened.flush()
            os.fsync(opened.fileno())
        check_hash(partial, file_name(url), sha1)
        # A page of HTML, or a file that was cut off before it was published, must not stay in the cache.
        read_checkpoint(partial)
        partial.replace(file)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FishNetError(_reason(error).replace(str(partial), 'the downloaded file')) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _receive(url: str, opened: BinaryIO) -> None:
    """Receives a whole file, in several connections if they break."""
    version = None
    for retry in range(RETRIES + 1):
        done = opened.tell() if version else 0
        try:
            with _connect(url, done, version) as response:
                if response.headers.get('Content-Range', '').startswith(f'bytes {done}-'):
                    opened.seek(done)
                else:
                    opened.seek(0)
                    opened.truncate()
                version = _version(response)
                _copy(response, opened)
                return
        except (OSError, http.client.HTTPException) as error:
            # A server that refuses, or has sent nothing, does so for the next request too.
            if isinstance(error, HTTPError) or opened.tell() == 0 or retry == RETRIES:
                raise
            print_log(f'{_reason(error)}; connecting again', logger='current')
            time.sleep(2**retry - 1)


def _connect(url: str, done: int, version: Optional[str]) -> http.client.HTTPResponse:
    parts = split(url)
    place = urlunsplit((parts.scheme, parts.netloc.rpartition('@')[2], parts.path, parts.query, ''))
    request = Request(quote(place, safe="%/:=&?~+!$,;'@()*[]"), headers={'User-Agent': 'fishnet_mmdet'})
    if parts.username is not None:
        login = f'{unquote(parts.username)}:{unquote(parts.password or "")}'
        request.add_unredirected_header('Authorization', 'Basic ' + base64.b64encode(login.encode()).decode())
    if done and version:
        # If-Range: the server sends the whole file where it has changed in between.
        request.add_header('Range', f'bytes={done}-')
        request.add_header('If-Range', version)
    return urlopen(request, timeout=TIMEOUT)


def _version(response: http.client.HTTPResponse) -> Optional[str]:
    """What tells this version of the file from another one. Without it, a broken connection starts from the beginning."""
    etag = response.headers.get('ETag')
    return etag if etag and not etag.startswith('W/') else response.headers.get('Last-Modified')


def _copy(response: http.client.HTTPResponse, opened: BinaryIO) -> None:
    length = response.headers.get('Content-Length', '')
    total = opened.tell() + int(length) if length.isdigit() else None
    checked = False
    # disable=None: no bar where the output is a file.
    with tqdm(total=total, initial=opened.tell(), unit='B', unit_scale=True, disable=None) as bar:
        while block := response.read1(BLOCK):
            bar.update(opened.write(block))
            if opened.tell() > LARGEST:
                raise FishNetError(f'the server sends more than {LARGEST:,} bytes: that is no checkpoint')
            if not checked and opened.tell() >= LENGTH_OF_START:
                opened.flush()
                file_format(opened.name)
                checked = True
    if total is not None and opened.tell() != total:
        raise ConnectionError(f'the connection broke after {opened.tell():,} of {total:,} bytes')


def _reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, socket.timeout):
        return f'the server sent nothing for {TIMEOUT} seconds'
    if isinstance(error, socket.gaierror):
        return f'the host is unknown, or there is no network here ({error.strerror})'
    kind = '' if isinstance(error, (FishNetError, HTTPError, ConnectionError)) else f'{type(error).__name__}: '
    # Parts of the text are the server's: no new lines, and not too long.
    return ' '.join(f'{kind}{error}'.split())[:1000]


def _remove_stale_partials(file: Path) -> None:
    for partial in file.parent.glob(f'{glob.escape(file.name)}.*.partial'):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE:
                partial.unlink()
