"""Shows which FishNet a checkpoint holds: python tools/model_converters/inspect_checkpoint.py FILE"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['inspect', *sys.argv[1:]])
