"""weights: lists the published weights, and downloads them."""

from typing import List, Optional, Sequence

from ..checkpoints import RELEASES
from ..checkpoints.locate import FOLDER, find, find_local
from ..errors import FishNetError
from .arguments import Parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prints the table of published weights, or downloads one file and prints its path.

    Raises:
        FishNetError: If the name is unknown, or the download fails; the message says what to save where by hand.
    """
    parser = Parser(description='List the published weights of FishNet; with NAME, download them and print the path')
    parser.add_argument('name', nargs='?', metavar='NAME', help='a name of the list')
    name = parser.parse_args(argv).name
    if name is None:
        print('\n'.join(table()))
    elif name in RELEASES:
        print(find(name))
    else:
        raise FishNetError(f'there are no published weights {name!r}: use one of {", ".join(RELEASES)}')


def table() -> List[str]:
    """The lines of the table. Top-1 errors are in percent, as their sources state them."""
    header = ('name', 'network', 'top-1 error', 'size', 'licence', 'training', 'on this machine')
    rows = [header]
    for name, release in RELEASES.items():
        present = find_local(name)
        rows.append(
            (
                name,
                release.network,
                f'{release.top1_error:.2f} %',
                f'>= {release.megabytes} MB',
                release.licence,
                release.schedule,
                str(present) if present else 'not downloaded',
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines += [
        '',
        'Top-1 errors are those of the sources (ImageNet-1k val, one 224x224 crop). The sizes of the files are not published:',
        'the table has the size of the float32 parameters.',
        "In a config: init_cfg=dict(type='FishNetPretrained', checkpoint=NAME). It is downloaded when training begins.",
        f'To download now: python -m fishnet_mmdet weights NAME. On a machine without a network, save the file in {FOLDER}/:',
    ]
    for name, release in RELEASES.items():
        lines += [
            '',
            f'{name}: save {release.url}',
            f'    as {FOLDER / release.file_name}',
            f'    from {release.source}, SHA-1 {release.sha1 or "not published"}',
        ]
    return lines
