"""Where a checkpoint is on this machine: by its name, URL or path, downloaded if need be.

Search order of a name of ``RELEASES``, such as ``fishnet150``:

1. ``checkpoints/`` in the current folder: ``fishnet150.safetensors`` or ``fishnet150-HASH.safetensors``, as ``convert``
   writes them, then the published file, ``fishnet150_ckpt.tar``, then that file unpacked where it is an archive;
2. torch.hub's cache, ``~/.cache/torch/hub/checkpoints`` unless TORCH_HOME says otherwise;
3. the release's URL, downloaded into the cache.
"""

import os
from pathlib import Path
from typing import Iterator, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.logging import print_log

from ..errors import FishNetError
from .download import download
from .hashes import check_hash
from .names import RELEASES, Release
from .text import check_path
from .urls import cache_name, is_remote, printable

FOLDER = Path('checkpoints')


def local_file(checkpoint: str) -> Path:
    """The file of a checkpoint on this machine. In distributed training one process of each machine downloads it.

    All processes must call it. The others wait for the download, and raise its error too.

    Args:
        checkpoint (str): A name of ``RELEASES``, a path, or a URL (https, http or file).

    Raises:
        FishNetError: If the file cannot be downloaded, or has another hash than the published one.
    """
    problem = file = None
    # In a launcher's process before the group is made, each searches for itself: none can wait for the others.
    if get_world_size() == 1 or is_first_of_machine():
        try:
            file = find(checkpoint)
        except FishNetError as error:
            problem = str(error)
    problems = [problem for problem in all_gather_object(problem) if problem]
    if problems:
        raise FishNetError(problems[0])
    return file or _expected(checkpoint)


def find(checkpoint: str) -> Path:
    """As :func:`local_file`, for one process."""
    release = release_of(checkpoint)
    present = find_local(checkpoint)
    if present is None:
        url = release.url if release else checkpoint
        present = _expected(checkpoint)
        try:
            download(url, present, release and release.sha1)
        except FishNetError as error:
            raise FishNetError(f'{_title(checkpoint)} could not be downloaded: {error}. {by_hand(checkpoint)}') from error
    elif release and present.suffix != '.safetensors':
        check_hash(present, present.name, release.sha1)
    if release or is_remote(checkpoint):
        print_log(f'{_title(checkpoint)}: using {present}', logger='current')
    return present


def file_before_run(checkpoint: str) -> Path:
    """As :func:`local_file`, before the processes of a run are connected: the first one of each machine downloads.

    The file of another process need not exist yet.
    """
    return find(checkpoint) if is_first_of_machine() else _expected(checkpoint)


def find_local(checkpoint: str) -> Optional[Path]:
    """The file of a checkpoint if it is on this machine. The file of a path need not exist; None: has to be downloaded.

    Raises:
        FishNetError: If it is a path that no file can have.
    """
    if is_remote(checkpoint) or checkpoint in RELEASES:
        return next((file for file in _candidates(checkpoint) if file.is_file()), None)
    file = checkpoint
    if checkpoint.startswith('file://'):
        url = urlsplit(checkpoint)
        if url.netloc not in ('', 'localhost') or not url.path:
            raise FishNetError(f'{printable(checkpoint)} names no file of this machine: write file:///PATH with three slashes')
        file = url2pathname(url.path)
    check_path(file)
    return Path(file)


def release_of(checkpoint: str) -> Optional[Release]:
    """The release that a name, or a release's own URL, stands for."""
    by_url = {release.url: release for release in RELEASES.values()}
    return RELEASES.get(checkpoint) or by_url.get(checkpoint)


def by_hand(checkpoint: str) -> str:
    """How to get a file on a machine without a network."""
    if release := release_of(checkpoint):
        return f'Download {release.url} (linked from {release.source}) by hand, and save it as {FOLDER / release.file_name}'
    return f'Download {printable(checkpoint)} by hand, and name the file in its place (in a config, init_cfg.checkpoint=FILE)'


def is_first_of_machine() -> bool:
    """Whether this process is the one of its machine that downloads."""
    return os.environ.get('LOCAL_RANK', '0') == '0'


def _candidates(checkpoint: str) -> Iterator[Path]:
    if release := RELEASES.get(checkpoint):
        yield FOLDER / f'{checkpoint}.safetensors'
        yield from sorted(FOLDER.glob(f'{checkpoint}-????????.safetensors'), key=os.path.getmtime, reverse=True)
        yield FOLDER / release.file_name
        yield FOLDER / release.file_name.replace('.pth.zip', '.pth')
    yield _cached(checkpoint)


def _expected(checkpoint: str) -> Path:
    """Where a checkpoint is after another process of this machine has found it."""
    return find_local(checkpoint) or _cached(checkpoint)


def _cached(checkpoint: str) -> Path:
    release = release_of(checkpoint)
    return Path(torch.hub.get_dir()) / 'checkpoints' / (release.file_name if release else cache_name(checkpoint))


def _title(checkpoint: str) -> str:
    if checkpoint in RELEASES:
        return f'{checkpoint} ({RELEASES[checkpoint].url})'
    return printable(checkpoint)
