"""Whether a file has the hash that its name or the table of releases says."""

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Optional, Tuple

from ..errors import FishNetError
from .archive import open_weights

#: pytorchcv: NAME-ERROR-HASH.pth or .pth.zip, where HASH begins the SHA-1 of the .pth.
SHA1_IN_NAME = r'-\d{4}-([0-9a-f]{8})\.pth(?:\.zip)?$'
#: torch.hub and mmdet: NAME-HASH.pth, where HASH begins the SHA-256 of the file. torch.hub takes 8 digits or more.
SHA256_IN_NAME = r'-([0-9a-f]{8,64})\.[^-]*$'


def hash_in_name(name: str) -> Optional[Tuple[str, str]]:
    """The kind of hash ('sha1' or 'sha256') that a file's name holds, and its first digits; None without one."""
    if match := re.search(SHA1_IN_NAME, name):
        return 'sha1', match[1]
    match = re.search(SHA256_IN_NAME, name)
    return None if not match or _is_date(match[1]) else ('sha256', match[1])


def check_hash(file: Path, name: str, sha1: Optional[str] = None) -> None:
    """Checks the hash of a file.

    Args:
        file (Path): The file.
        name (str): The name that it was published under.
        sha1 (str, optional): Its published SHA-1, in the place of the one in the name.

    Raises:
        FishNetError: If the file has another hash.
    """
    kind, wanted = ('sha1', sha1) if sha1 else hash_in_name(name) or (None, '')
    if kind is None:
        return
    # The SHA-1 of pytorchcv is that of the weights, whether they are still in the zip archive or not.
    with open_weights(file) if kind == 'sha1' else file.open('rb') as opened:
        found = digest(opened, kind)
    if not found.startswith(wanted):
        raise FishNetError(
            f'invalid hash: the {kind.upper()} of {file} should begin with {wanted[:8]}, and begins with {found[:8]}: '
            'the file is damaged or another one; delete it and download it again, or rename it if these digits are no hash'
        )


def _is_date(digits: str) -> bool:
    # 8 digits that are a date, as in model-20200205.pth.
    try:
        return len(digits) == 8 and datetime.strptime(digits, '%Y%m%d').year >= 1990
    except ValueError:
        return False


def digest(opened, kind: str) -> str:
    """The hash of an open file, 'sha1' or 'sha256', as hexadecimal digits."""
    hashed = hashlib.new(kind, usedforsecurity=False)
    while block := opened.read(1 << 20):
        hashed.update(block)
    return hashed.hexdigest()
