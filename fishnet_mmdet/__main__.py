"""Every command of the package: ``python -m fishnet_mmdet COMMAND``, or the script of that command in ``tools/``."""

import difflib
import sys
from importlib import import_module
from typing import List, Optional

from . import environment

#: The commands by name; fishnet_mmdet/commands has a file for each.
COMMANDS = dict(
    train='train a detector or a classifier',
    test='evaluate a checkpoint',
    infer='draw predictions on images, and save them as JSON',
    export_onnx='write a trained model to one ONNX file',
    weights='list the pretrained weights, and download them by name',
    inspect='show what a checkpoint file contains',
    convert='extract the FishNet weights from a checkpoint',
    fishify='put FishNet into an mmdet config that has a ResNet',
    compatibility="try fishify on every config of mmdet's",
    stats='count parameters, multiply-adds and memory',
    draw='draw a fish from its numbers',
    curves='plot the losses and metrics of training runs',
    benchmark='time backbones side by side',
    benchmark_iteration='time whole iterations of configs side by side',
    benchmark_data='time the input pipeline of a config',
    benchmark_onnx='time a checkpoint beside its exported model files',
    benchmark_ops="time our operators beside mmcv's compiled ones",
    compare='train models with several seeds, and print a table of their scores',
    make_shapes='generate images of shapes, annotated',
    choose_nuclei='copy the images of the demo from the whole data set',
)
USAGE = 'usage: python -m fishnet_mmdet COMMAND [ARGUMENTS], or --help after the command for its arguments'


def main(argv: Optional[List[str]] = None) -> None:
    """Runs a command.

    Args:
        argv (list[str], optional): The command and its arguments; default: those of the process.
    """
    command, *arguments = (sys.argv[1:] if argv is None else argv) or ['--help']
    if command in ('-h', '--help'):
        print('\n'.join([USAGE, '', *(f'  {name:<22}{what}' for name, what in COMMANDS.items())]))
        return
    if command not in COMMANDS:
        similar = difflib.get_close_matches(command, COMMANDS)
        hint = f'did you mean {similar[0]}?' if similar else f'the commands are {", ".join(COMMANDS)}'
        sys.exit(f'error: there is no command {command!r}: {hint}')
    if argv is None:
        # argparse shows this as the name of the program.
        sys.argv[0] = f'python -m fishnet_mmdet {command}'
    # The package can be imported without its stack; commands need it.
    environment.check()
    # Imported late: --help answers at once, and a command loads only what it needs.
    from .commands.running import run

    run(import_module(f'fishnet_mmdet.commands.{command}').main, arguments)


if __name__ == '__main__':
    main()
