"""Where results are kept that take seconds to make again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The package's folder in the user's cache."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'fishnet_mmdet'
