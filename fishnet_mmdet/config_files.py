"""Where the configs lie that come with the package."""

from pathlib import Path

from .errors import FishNetError

PACKAGE = Path(__file__).parent


def config_file(name: str) -> str:
    """Path of a config that comes with the package, for a config of one's own that inherits it, anywhere.

    mmengine resolves ``package::config`` for OpenMMLab's own packages only, but takes the value of any expression::

        _base_ = __import__('fishnet_mmdet').config_file('mask_rcnn_fishnet150_fpn.py')

    Args:
        name (str): As in ``configs/``: 'classification/fishnet150_imagenet.py', say.

    Raises:
        FishNetError: If there is no such config; the message names those that there are.
    """
    # Of a wheel they are in .mim, where OpenMMLab's packages have theirs; of an editable install beside the package.
    installed = PACKAGE / '.mim/configs'
    configs = installed if installed.is_dir() else PACKAGE.parent / 'configs'
    file = configs / name
    if not file.is_file():
        found = sorted(str(one.relative_to(configs)) for one in configs.rglob('*.py') if one.parent.name != '_base_')
        raise FishNetError(f'fishnet_mmdet has no config {name!r}; it has {", ".join(found)}')
    return str(file)
