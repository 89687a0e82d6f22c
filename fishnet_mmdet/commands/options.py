"""Options that several commands share."""

from argparse import ArgumentParser


def add_checkpoint_options(parser: ArgumentParser) -> None:
    """Adds ``--prefix`` and ``--trusted``."""
    parser.add_argument(
        '--prefix',
        help='key prefix of the backbone, e.g. "teacher.backbone."; needed only if the checkpoint contains several FishNets',
    )
    add_trusted(parser)


def add_trusted(parser: ArgumentParser) -> None:
    """Adds ``--trusted``."""
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='the checkpoint is a file that you made yourself: read it on PyTorch before 2.6 too, where reading a pickled '
        'file can run code from it',
    )
