"""The config of a run on own data, written as a short file that inherits the config of the command."""

import re
from pathlib import Path

from mmengine.config import Config

from ..engine.configs import read_config
from ..errors import FishNetError
from ..fishify.inheritance import overrides
from ..fishify.writing import find_config, save_inheriting

#: Settings of a config that belong to one run.
OF_A_RUN = ('launcher', 'model_wrapper_cfg', 'work_dir')


def data_name(folder: str) -> str:
    """The name of a folder of data, without characters that a config's file name cannot have."""
    return re.sub(r'\W+', '_', Path(folder).expanduser().resolve().name) or 'data'


def check_inheritable(config: str) -> None:
    """Checks that a written config can inherit a config.

    Raises:
        FishNetError: If it is a new-style config.
    """
    if Config._is_lazy_import(str(find_config(config))):
        raise FishNetError(
            f'{config} is a new-style config (Python imports, read_base), and --data writes an old-style config, which cannot '
            'inherit from it: choose an old-style config, such as those of mmdet::'
        )


def save_config(cfg: Config, config: str, data: str, folder: Path) -> Path:
    """Writes a config that inherits another one and has the settings of a changed one.

    Args:
        cfg (Config): The changed config.
        config (str): The config file that it came from, or ``mmdet::FAMILY/NAME.py``.
        data (str): The folder of the data.
        folder (Path): The folder to write it to.

    Returns:
        Path: The file, named after the config and the data.

    Raises:
        FishNetError: If it cannot be written.
    """
    old, new = read_config(str(find_config(config))).to_dict(), cfg.to_dict()
    for key in OF_A_RUN:
        new.pop(key, None)
        if key in old:
            new[key] = old[key]
    out = folder / f'{Path(config).stem}_{data_name(data)}.py'
    save_inheriting(config, out, overrides(old, new), new, [f'{config} on the data in {data}, written by train --data.'])
    return out
