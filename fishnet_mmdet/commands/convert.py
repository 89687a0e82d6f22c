"""convert: extracts the FishNet backbone of a checkpoint."""

from typing import Optional, Sequence

from ..checkpoints import trust_pickled_files
from ..checkpoints.convert import convert
from .arguments import Parser, add_checkpoint_options


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Converts a checkpoint and prints the new file."""
    parser = Parser(
        description='Extract the FishNet backbone weights from a checkpoint and save them as NAME-HASH.pth (or .safetensors)',
    )
    parser.add_argument(
        'checkpoint', metavar='FILE', help='file, URL or name of published weights; of a classifier, detector or backbone'
    )
    parser.add_argument('out', metavar='OUT', help='NAME.pth or NAME.safetensors; the file is saved as NAME-HASH.pth')
    parser.add_argument('--with-cls-head', action='store_true', help='keep the classification head too, for tools/test.py')
    add_checkpoint_options(parser)
    args = parser.parse_args(argv)
    if args.trusted:
        trust_pickled_files()
    print(convert(args.checkpoint, args.out, args.with_cls_head, args.prefix, args.trusted))
