"""Runs a command: python -m fishnet_mmdet COMMAND ... (interim)."""

import sys
from functools import partial
from importlib import import_module

from fishnet_mmdet.engine import launch


def main(argv=None):
    """Runs the command that the first argument names."""
    name, *rest = sys.argv[1:] if argv is None else argv
    launch.run(partial(import_module(f'fishnet_mmdet.commands.{name}').main, rest))


if __name__ == '__main__':
    main()
