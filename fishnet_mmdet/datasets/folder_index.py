"""The index of a folder of images: its classes and file names, stored on disk so that later starts do not list the files."""

import hashlib
import logging
import os
import uuid
import zipfile
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.logging import print_log
from tqdm import tqdm

from ..errors import FishNetError
from .user_cache import cache_folder

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
INDEX_NAME = '.fishnet_index.npz'
LAYOUT = """Expected: one folder per class,
    {folder}/CLASS/IMAGE.JPEG      for example n01440764/n01440764_10026.JPEG
If the data set is elsewhere: --cfg-options data_root=DIR."""
FLAT = """{folder} has {count} images and no class folders, as ImageNet's validation archive unpacks. Move every image to the \
folder of its class: {folder}/n01440764/ and so on. The class of each image is in LOC_val_solution.csv of the release at \
kaggle.com/c/imagenet-object-localization-challenge, or in ILSVRC2012_validation_ground_truth.txt of the development kit."""
ARCHIVES = """{folder} has {count} archives and no class folders, as ImageNet's training archive unpacks. Unpack each archive \
into a folder of its name, for example
    cd {folder} && for t in *.tar; do mkdir "${{t%.tar}}" && tar -xf "$t" -C "${{t%.tar}}" && rm "$t"; done"""


class Index(NamedTuple):
    """The content of a folder of images. Names are bytes, as the file system stores them."""

    classes: np.ndarray  # (C,) names of the class folders, sorted
    mtimes: np.ndarray  # (C,) int64, their modification times in nanoseconds
    counts: np.ndarray  # (C,) int64, their numbers of images
    names: np.ndarray  # (N,) names of the image files, by class, sorted


def folder_index(folder: Path, index_dir: Optional[str] = None) -> Index:
    """Reads the index of a folder, or lists the folder and saves its index.

    A saved index is valid while the class folders have the same names and modification times.

    Args:
        folder (Path): A folder with one folder of images per class.
        index_dir (str, optional): Folder for the index. Default: ``folder``, or the user's cache if ``folder`` is read-only.

    Raises:
        FishNetError: If there is no folder of this layout; the message says what was found instead.
    """
    places = [Path(index_dir).expanduser() / _index_name(folder)] if index_dir else _default_places(folder)
    found = class_folders(folder)
    for place in places:
        index = _read(place)
        if index is not None and dict(zip(index.classes.tolist(), index.mtimes.tolist())) == found:
            return index
    index = _list(folder, found)
    for place in places:
        try:
            _write(place, index)
            return index
        except OSError as error:
            problem = error
    message = f'Every start lists all files of {folder}, because its index cannot be saved ({problem}): set index_dir'
    print_log(message, logger='current', level=logging.WARNING)
    return index


def class_folders(folder: Path) -> Dict[bytes, int]:
    """The names of the class folders, sorted, with their modification times in nanoseconds.

    Raises:
        FishNetError: If there are no class folders, or one cannot be read.
    """
    if not folder.is_dir():
        raise FishNetError(f'no such folder of images: {folder}\n{LAYOUT.format(folder=folder)}')
    found, files = {}, []
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            for entry in entries:
                if entry.name.startswith(b'.'):
                    continue
                if entry.is_dir():
                    found[entry.name] = entry.stat().st_mtime_ns
                else:
                    files.append(os.fsdecode(entry.name).lower())
    except OSError as error:  # no permission, or symbolic links that lead to themselves
        raise _unreadable(error, folder) from error
    if found:
        return dict(sorted(found.items()))
    for text, suffixes in ((FLAT, IMAGE_SUFFIXES), (ARCHIVES, ('.tar',))):
        count = sum(name.endswith(suffixes) for name in files)
        if count:
            raise FishNetError(text.format(folder=folder, count=count))
    raise FishNetError(f'{folder} has no class folders\n{LAYOUT.format(folder=folder)}')


def _unreadable(error: OSError, folder: Path) -> FishNetError:
    name = os.fsdecode(error.filename or os.fsencode(folder))
    return FishNetError(f'cannot read {name} in the folder of images ({error.strerror}): correct or remove it')


def _default_places(folder: Path) -> Sequence[Path]:
    """The files that an index is read from and saved to, in order of preference."""
    return [folder / INDEX_NAME, cache_folder() / _index_name(folder)]


def _index_name(folder: Path) -> str:
    """A file name for a folder's index that no other folder has."""
    folder = folder.resolve()
    return f'{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.npz'


def _read(file: Path) -> Optional[Index]:
    """An index, or None if the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as content:
            index = Index(**content)
        complete = len(index.classes) == len(index.counts) and len(index.names) == index.counts.sum()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        return None
    return index if complete else None


def _write(file: Path, index: Index) -> None:
    """Saves an index; another process sees the complete file or none.

    Raises:
        OSError: If the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # The name is unique, because several machines may share the folder. It ends in .npz, because numpy would append that.
    scratch = file.with_name(f'.{uuid.uuid4().hex}.npz')
    try:
        np.savez(scratch, **index._asdict())
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def _list(folder: Path, found: Dict[bytes, int]) -> Index:
    """Lists the images of all classes.

    Raises:
        FishNetError: If a class has no images, or cannot be read.
    """
    suffixes = tuple(suffix.encode() for suffix in IMAGE_SUFFIXES)
    names = []
    for name in tqdm(found, desc=f'Listing {folder}', unit='class', delay=2, disable=None):
        try:
            files = os.listdir(os.path.join(os.fsencode(folder), name))
        except OSError as error:
            raise _unreadable(error, folder) from error
        # One array per class, because a million bytes objects would take several times the memory.
        names.append(np.array(sorted(file for file in files if file.lower().endswith(suffixes)), dtype=bytes))
    empty = [os.fsdecode(name) for name, files in zip(found, names) if not len(files)]
    if empty:
        more = ' ...' if len(empty) > 5 else ''
        raise FishNetError(
            f'{len(empty)} of the {len(found)} class folders in {folder} have no images: {", ".join(empty[:5])}{more}\n'
            f'{LAYOUT.format(folder=folder)}'
        )
    return Index(
        classes=np.array(list(found), dtype=bytes),
        mtimes=np.array(list(found.values()), dtype=np.int64),
        counts=np.array([len(files) for files in names], dtype=np.int64),
        names=np.concatenate(names),
    )
