"""Work on configs that mmengine repeats, done once.

mmengine formats the whole config with yapf five times in a training of one epoch, and once more for each further checkpoint.
It reads the 100 metafiles of mmdet for each base config of mmdet's.
"""

import functools
from types import ModuleType

from mmengine.config import config, utils
from yapf.yapflib import yapf_api


def do_once(module: ModuleType, name: str) -> None:
    """Lets a function of a module work once for equal arguments. Its results must be left unchanged."""
    function = getattr(module, name)
    known = {}

    @functools.wraps(function)
    def remembered(*args, **kwargs):
        key = repr((args, kwargs))
        if key not in known:
            known[key] = function(*args, **kwargs)
        return known[key]

    setattr(module, name, remembered)


# mmengine's fork imports FormatCode from yapf at each call.
do_once(config if hasattr(config, 'FormatCode') else yapf_api, 'FormatCode')
# mmengine.config.utils loads nothing but metafiles, and they do not change while a command runs.
do_once(utils, 'load')
