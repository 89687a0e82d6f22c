"""Files from an address: downloaded once, and into the cache only when whole and readable."""

import contextlib
import hashlib
import http.client
import os
import re
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.logging import print_log

from ..errors import FishNetError
from .reading import read_checkpoint


def is_remote(checkpoint: str) -> bool:
    """Whether a checkpoint is named by an address from which it has to be downloaded."""
    return '://' in checkpoint and not checkpoint.startswith('file://')


def local_file(checkpoint: str) -> Path:
    """Where a checkpoint lies on this machine; from an address it is downloaded to torch.hub's cache first.

    In distributed training one process of each machine downloads, and the others wait.

    Args:
        checkpoint (str): A file, or an address (https, http or file). A hash in the name, ``-0123abcd.pth``, is checked.

    Raises:
        FishNetError: If the download fails, is not whole, or brings no checkpoint.
    """
    url = urlparse(checkpoint)
    if url.scheme == 'file':
        return Path(url2pathname(url.path))
    if not is_remote(checkpoint):
        return Path(checkpoint)
    if url.scheme not in ('http', 'https'):
        raise FishNetError(f'{checkpoint} is no address that weights can be downloaded from: it must be https, http or file')
    file = Path(torch.hub.get_dir()) / 'checkpoints' / _file_name(checkpoint)
    problem = None
    # In a launcher's process before the group is made, each downloads for itself: none can wait for the others.
    if get_world_size() == 1 or os.environ.get('LOCAL_RANK', '0') == '0':
        problem = _download(checkpoint, file)
    problems = [problem for problem in all_gather_object(problem) if problem]
    if problems:
        raise FishNetError(
            f'{checkpoint} could not be downloaded: {problems[0]}. Download it by hand and name the file in its place '
            '(in a config, init_cfg.checkpoint=FILE)'
        )
    return file


def _file_name(address: str) -> str:
    url = urlparse(address)
    name = Path(unquote(url.path)).name
    if not name:
        raise FishNetError(f'{address} names no file to download')
    if url.query:
        # Of "download?id=1" and "download?id=2" the second is not what the first left in the cache.
        name = f'{hashlib.sha256(address.encode()).hexdigest()[:16]}_{name}'
    return name


def _download(address: str, file: Path) -> Optional[str]:
    """Puts what an address gives where it is to lie, unless it lies there; returns what went wrong."""
    if file.exists():
        print_log(f'{address} was downloaded before: using {file}', logger='current')
        return None
    partial = file.with_name(f'{file.name}.{os.getpid()}.partial')
    # torch.hub takes any number of digits, and would check "fishnet-99.pth" too.
    digest = re.search(r'-([a-f0-9]{8,})\.', file.name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'downloading {address} to {file}', logger='current')
        torch.hub.download_url_to_file(address, str(partial), hash_prefix=digest and digest[1])
        # What torch.hub takes for an end may be a cut, and what a dead link gives is a page: neither may stay in the cache.
        read_checkpoint(partial)
        partial.replace(file)
    except (OSError, http.client.HTTPException, RuntimeError, ValueError) as error:
        return f'{type(error).__name__}: {error}'.replace(str(partial), 'what came').replace('FishNetError: ', '')
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return None
