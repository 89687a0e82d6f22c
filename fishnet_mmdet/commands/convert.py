"""convert: extracts the FishNet backbone of a checkpoint."""

from typing import Optional, Sequence

from ..checkpoints.convert import convert
from ..checkpoints.whole_model import pack
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
    keep = parser.add_mutually_exclusive_group()
    keep.add_argument('--with-cls-head', action='store_true', help='keep the classification head too, for tools/test.py')
    keep.add_argument(
        '--whole-model',
        action='store_true',
        help='keep the whole detector or classifier and the names of its classes, in float16, for tools/test.py and infer.py',
    )
    add_checkpoint_options(parser)
    args = parser.parse_args(argv)
    if args.whole_model:
        print(pack(args.checkpoint, args.out))
    else:
        print(convert(args.checkpoint, args.out, args.with_cls_head, args.prefix))
