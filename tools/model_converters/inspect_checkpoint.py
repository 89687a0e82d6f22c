"""Shows which FishNet a checkpoint holds: python tools/model_converters/inspect_checkpoint.py FILE"""

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the versions do not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.commands.inspect import main

if __name__ == '__main__':
    launch.run(main)
