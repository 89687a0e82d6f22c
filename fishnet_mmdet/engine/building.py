"""From a config to a Runner."""

import traceback

import mmengine.runner
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.config import Config
from mmengine.registry import RUNNERS

from ..errors import FishNetError
from .runner import Runner


def build_runner(cfg: Config) -> mmengine.runner.Runner:
    """The Runner of a config, as mmdet's own tools build it: ours, unless the config names another one.

    Raises:
        FishNetError: If a part of the config cannot be built, such as a neck with ``num_outs=0``.
    """
    setup_cache_size_limit_of_dynamo()
    try:
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except FishNetError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, IndexError, ZeroDivisionError) as error:
        # The classes of mmdet and PyTorch check their arguments with any of these. The place helps where they say little.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise FishNetError(
            f'the config does not fit together: {type(error).__name__}: {error} ({place.filename}, line {place.lineno}: '
            f'{place.line})'
        ) from error
