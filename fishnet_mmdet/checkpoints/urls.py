"""URLs of checkpoints: which are remote, what to call their files, and how to print them without a password."""

import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ..errors import FishNetError
from .text import CONTROL, shown

#: Names of query parameters whose values are not printed.
SECRETS = r'((?:^|&)[^=&]*(?:token|key|sig|pass|pwd|secret|auth|credential)[^=&]*=)[^&]*'
HIDDEN = '***'
#: The beginning of a URL that has no user or password, whatever characters those may have.
PLAIN_HOST = r'(?:[\w.-]*|\[[\da-fA-F:.]*\])(?::\d*)?(?:[/?#]|$)'
LONGEST_URL = 500
#: In bytes; file systems allow 255, and a hash and the end of a partial file are added.
LONGEST_NAME = 150


def is_remote(checkpoint: str) -> bool:
    """Whether a checkpoint is a URL that has to be downloaded."""
    return '://' in checkpoint and not checkpoint.startswith('file://')


def split(url: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        FishNetError: If it is not a URL that can be downloaded.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises ValueError where the port is no number
    except ValueError as error:
        # The error names what it took for the port, which may be a part of a password.
        raise FishNetError(f'{printable(url)} is not a valid URL: in a password, write / ? # @ as %2F %3F %23 %40') from error
    if parts.scheme not in ('http', 'https'):
        raise FishNetError(f'{printable(url)} cannot be downloaded: the URL must begin with https, http or file')
    if not parts.hostname or not Path(unquote(parts.path)).name:
        raise FishNetError(f'{printable(url)} names no file to download')
    return parts


def printable(url: str) -> str:
    """A URL without its user, password and the values of parameters such as ``token``, for messages and logs."""
    scheme, mark, rest = url.partition('://')
    if not mark:
        return url
    user = re.match(rf'[^/?#@]*@(?={PLAIN_HOST})', rest)
    if user or re.match(PLAIN_HOST, rest):
        rest = (HIDDEN + '@' if user else '') + rest[user.end() if user else 0 :].partition('#')[0]
    elif '@' in rest or ':' in rest:
        # The password has one of these characters, or the host is missing.
        rest = HIDDEN + ''.join(re.findall('@[^@]*$', rest))
    place, mark, query = rest.partition('?')
    query = re.sub(SECRETS, rf'\g<1>{HIDDEN}', query, flags=re.IGNORECASE)
    return shown(f'{scheme}://{place}{mark}{query}', LONGEST_URL)


def cache_name(url: str) -> str:
    """The name of a URL's file in the cache: the beginning of the URL's hash, then the file's own name.

    So two hosts, or two queries of one host, never share a file, and no URL takes the name of a published file.
    """
    parts = split(url)
    # The same file for every user of a server.
    place = urlunsplit((parts.scheme, parts.netloc.rpartition('@')[2], parts.path, parts.query, ''))
    return f'{hashlib.sha256(place.encode()).hexdigest()[:16]}_{file_name(url)}'


def file_name(url: str) -> str:
    """The name of the file that a URL ends with; of a very long one the end."""
    name = re.sub(CONTROL, '_', Path(unquote(split(url).path)).name)
    return name.encode('utf-8', 'replace')[-LONGEST_NAME:].decode('utf-8', 'ignore')
