"""Zip archives with a file of weights in them, as pytorchcv publishes them.

``torch.save`` writes zip archives too. Those hold a member ``NAME/data.pkl``; a published archive holds a ``NAME.pth``.
"""

import io
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Optional, Union

from ..errors import FishNetError
from .text import shown

ZIP_START = b'PK\x03\x04'
SUFFIXES = ('.pth', '.pt', '.tar')
#: Of weights in an archive, in bytes: 3 times those of FishNet-201 with the state of its optimizer. More is not unpacked, nor
#: more than 16 times the packed size: weights hardly get smaller.
LARGEST = 1 << 30


def member_of(file: Union[str, Path]) -> Optional[zipfile.ZipInfo]:
    """The file of weights in a zip archive.

    Args:
        file (str | Path): A file that begins as zip archives do.

    Returns:
        ZipInfo | None: None where ``torch.save`` wrote the archive, or the archive is cut off.

    Raises:
        FishNetError: If the archive holds no file of weights, or several, or one that cannot be unpacked.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RecursionError):
        return None
    if any(member.filename.rpartition('/')[2] == 'data.pkl' for member in members):
        return None
    weights = [m for m in members if m.filename.endswith(SUFFIXES) and not m.filename.startswith('__MACOSX/')]
    if len(weights) != 1:
        raise FishNetError(
            f'{file} is a zip archive with {len(weights)} files of weights ({", ".join(SUFFIXES)}), not with one: unpack it, '
            'and name the file'
        )
    (member,) = weights
    if member.flag_bits & 1:
        raise FishNetError(f'{file} is a zip archive with a password: unpack it, and name the file')
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FishNetError(f'{file} is a zip archive with another compression than deflate: unpack it, and name the file')
    if member.file_size > min(LARGEST, 16 * member.compress_size + (1 << 20)):
        raise FishNetError(
            f'{file} is a zip archive whose {shown(member.filename)!r} takes {member.file_size:,} bytes unpacked: '
            f'too many for weights of a FishNet of {member.compress_size:,} bytes'
        )
    return member


def open_weights(file: Union[str, Path]) -> BinaryIO:
    """Opens a file of weights, or the one in a zip archive, which is unpacked into memory and never to disk.

    Raises:
        FishNetError: If the archive is damaged, or :func:`member_of` refuses it.
        OSError: If the file cannot be read.
    """
    opened = open(file, 'rb')
    with opened:
        is_zip = opened.read(len(ZIP_START)) == ZIP_START
    member = member_of(file) if is_zip else None
    if member is None:
        return open(file, 'rb')
    try:
        with zipfile.ZipFile(file) as archive:
            # Reading a member whole checks its CRC, and gives no more bytes than the archive says.
            return io.BytesIO(archive.read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise FishNetError(f'{file} is a damaged zip archive ({shown(str(error))}): download it again') from error
