"""From a config to a Runner."""

import mmengine.runner
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.config import Config
from mmengine.registry import RUNNERS

from .runner import Runner


def build_runner(cfg: Config) -> mmengine.runner.Runner:
    """The Runner of a config, as mmdet's own tools build it: ours, unless the config names another one."""
    setup_cache_size_limit_of_dynamo()
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
