"""Generated data sets with faults, and what training and testing must say about each.

`tests/test_engine/test_annotations.py` checks the table without training. This script trains and tests on each data set, in a
process of its own, and prints what happened (1 to 5 s for each):

    python tests/faulty_data.py [WORD ...]      # only faults with these words in their names
"""

import argparse
import contextlib
import functools
import gzip
import io
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable, NamedTuple

import cv2
import numpy as np

#: How a run ends: with a message that has these words; or well, with these words in its log.
ERROR, RUNS = 'error', 'runs'
NAN = float('nan')


class Fault(NamedTuple):
    """A data set with one fault."""

    kind: str
    """'file', 'classes', 'annotations', 'masks' or 'images'."""
    name: str
    damage: Callable
    """Changes the bytes of an annotation file ('file'), the folder of a split ('images'), or else the parsed content."""
    training: tuple
    """ERROR or RUNS, and a regular expression for what is printed."""
    testing: tuple


def entries(key, count=1, **values):
    """Sets values in the first entries of a list."""

    def damage(content):
        for entry in content[key][:count]:
            entry.update(values)

    return damage


def every(key, **values):
    """Sets values in all entries of a list."""
    return entries(key, None, **values)


def without(key, name, count=1):
    """Removes a key of the first entries of a list."""

    def damage(content):
        for entry in content[key][:count]:
            del entry[name]

    return damage


def classes(change):
    """Changes the names of the categories."""

    def damage(content):
        names = change([category['name'] for category in content['categories']])
        for category, name in zip(content['categories'], names):
            category['name'] = name

    return damage


def reorder(content):
    content['categories'].reverse()


def drop_category(content):
    gone = content['categories'].pop(1)['id']
    content['annotations'] = [one for one in content['annotations'] if one['category_id'] != gone]


def drop_image(content):
    """The first annotations lose their image."""
    content['images'] = [one for one in content['images'] if one['id'] != content['annotations'][0]['image_id']]


def duplicate(key):
    return lambda content: content[key].append(dict(content[key][0]))


def same_id(content):
    content['images'][1]['id'] = content['images'][0]['id']


def mask(change):
    """Changes the mask of the first annotation, which is made an RLE of its box first."""

    def damage(content):
        from pycocotools import mask as coco_mask

        one = content['annotations'][0]
        image = next(image for image in content['images'] if image['id'] == one['image_id'])
        pixels = np.zeros((image['height'], image['width']), np.uint8, order='F')
        x, y, w, h = (int(value) for value in one['bbox'])
        pixels[y : y + h, x : x + w] = 1
        rle = coco_mask.encode(pixels)
        one['segmentation'] = change(dict(size=[int(side) for side in rle['size']], counts=rle['counts'].decode()))

    return damage


def first_image(change):
    """Changes the bytes of the first image of a folder."""

    def damage(folder):
        file = sorted(folder.iterdir())[0]
        content = change(file.read_bytes())
        file.unlink() if content is None else file.write_bytes(content)

    return damage


def every_image(change):
    def damage(folder):
        for file in folder.iterdir():
            file.write_bytes(change(file.read_bytes()))

    return damage


def pixels(change):
    """Changes the pixels of the first image; its size stays."""

    def encode(content):
        return cv2.imencode('.png', change(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)))[1].tobytes()

    return first_image(encode)


def bomb(_):
    """A PNG that claims 100,000 x 100,000 pixels."""
    content = bytearray(cv2.imencode('.png', np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    content[16:24] = (100_000).to_bytes(4, 'big') * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, 'big')
    return bytes(content)


def sized(height, width):
    """The first image has another size, and one object that covers it: for :func:`resize_first`."""
    return (height, width)


UNCHANGED = (RUNS, '')


def skipped(count, words, testing=ERROR):
    """Training skips some entries and counts them; testing refuses them, or names them too."""
    words = rf'{count} of [\d,]+ (images|annotations) {words}'
    return (RUNS, words), (testing, words)


def refused(words):
    return (ERROR, words), (ERROR, words)


FAULTS = (
    Fault('file', 'none', lambda data: data, UNCHANGED, UNCHANGED),
    Fault('file', 'empty', lambda data: b'', *refused('is empty')),
    Fault('file', 'truncated', lambda data: data[: len(data) // 2], *refused('is truncated')),
    Fault('file', 'gzipped', gzip.compress, *refused('is gzipped: unpack')),
    Fault('file', 'UTF-16', lambda data: data.decode().encode('utf-16'), *refused('is in UTF-16: save it as UTF-8')),
    Fault('file', 'byte order mark', lambda data: b'\xef\xbb\xbf' + data, *refused('byte order mark')),
    Fault('file', 'latin-1', lambda data: data.replace(b'disc', b'd\xefsc'), *refused('is not UTF-8')),
    Fault('file', 'no JSON', lambda data: data.replace(b':', b'=', 3), *refused('is not JSON')),
    Fault('file', 'a page of HTML', lambda data: b'<html></html>', *refused('web page')),
    Fault('file', 'pointer of Git LFS', lambda data: b'version https://git-lfs.github.com/spec/v1', *refused('git lfs pull')),
    Fault('file', 'nested', lambda data: b'[' * 100_000, *refused('cannot be parsed')),
    Fault('file', 'a list', lambda data: b'[]', *refused("not in COCO's format")),
    Fault('file', 'mmdet format', lambda data: b'{"metainfo": {}, "data_list": []}', *refused("lacks 'images'")),
    Fault('file', 'images is null', lambda data: b'{"images": null, "annotations": [], "categories": []}', *refused('null')),
    Fault('annotations', 'no key categories', lambda content: content.pop('categories'), *refused("lacks 'categories'")),
    Fault('annotations', 'no key annotations', lambda content: content.pop('annotations'), *refused("lacks 'annotations'")),
    Fault('annotations', 'entries are lists', lambda c: c.update(annotations=[[1]]), *refused('not an object')),
    Fault('classes', 'spelling', classes(lambda names: ['disk', *names[1:]]), *refused(r"'disc' \(the file has 'disk'\)")),
    Fault('classes', 'case', classes(lambda names: [name.title() for name in names]), *refused("the file has 'Disc'")),
    Fault('classes', 'order', reorder, *refused('in another order')),
    Fault('classes', 'swapped names', classes(lambda names: [names[1], names[0], *names[2:]]), *refused('another order')),
    Fault('classes', 'one missing', drop_category, *refused('has no category for 1 of the 5 classes')),
    Fault('classes', 'others', classes(lambda names: list('abcde')), *refused('has no category for 5')),
    Fault('classes', 'one name twice', classes(lambda names: [names[1], *names[1:]]), *refused('2 categories with name')),
    Fault('classes', 'one id twice', entries('categories', 2, id=1), *refused('2 categories with id 1')),
    Fault('classes', 'ids are texts', every('categories', id='1'), *refused('every id must be a whole number')),
    Fault('classes', 'none', lambda content: content.update(categories=[]), *refused('has no categories')),
    Fault(
        'classes',
        'one more',
        lambda content: content['categories'].append(dict(id=9, name='cloud')),
        (RUNS, "1 categories beside the classes .'cloud'"),
        (RUNS, "1 categories beside the classes .'cloud'"),
    ),
    Fault('annotations', 'no images', lambda content: content.update(images=[]), *refused('nothing|no images')),
    Fault('annotations', 'no annotations', lambda content: content.update(annotations=[]), *refused('nothing|no annotations')),
    Fault('annotations', 'all boxes empty', every('annotations', bbox=[1, 1, 0, 0]),
          (ERROR, 'nothing is left'), (RUNS, 'below 1')),
    Fault('annotations', 'image unknown', entries('annotations', image_id=999), *skipped(1, 'belong to no image', RUNS)),
    Fault('annotations', 'category unknown', entries('annotations', 2, category_id=99), *skipped(2, 'belong to no cat', RUNS)),
    Fault('annotations', 'image not listed', drop_image, *skipped(r'\d', 'belong to no image', RUNS)),
    Fault('annotations', 'negative box', entries('annotations', bbox=[40, 40, -9, -9]), *skipped(1, 'have a box of negative')),
    Fault('annotations', 'empty box', entries('annotations', 2, bbox=[40, 40, 0, 9]), *skipped(2, 'have a box below 1', RUNS)),
    Fault('annotations', 'area 0', entries('annotations', area=0), *skipped(1, 'have a box below 1 pixel or an area', RUNS)),
    Fault('annotations', 'NaN in a box', entries('annotations', bbox=[40, NAN, 9, 9]), *skipped(1, 'have no bbox of four')),
    Fault('annotations', 'infinite box', entries('annotations', bbox=[0, 0, 1e999, 9]), *skipped(1, 'have no bbox of four')),
    Fault('annotations', 'box of 3', entries('annotations', bbox=[40, 40, 9]), *skipped(1, 'have no bbox of four')),
    Fault('annotations', 'box of texts', entries('annotations', bbox=['1', '2', '9', '9']), *skipped(1, 'have no bbox')),
    Fault('annotations', 'box null', entries('annotations', bbox=None), *skipped(1, 'have no bbox')),
    Fault('annotations', 'no box', without('annotations', 'bbox'), *skipped(1, 'have no bbox')),
    Fault('annotations', 'box outside', entries('annotations', bbox=[900, 9, 9, 9]), *skipped(1, 'have a box outside')),
    Fault('annotations', 'no area', without('annotations', 'area'), *skipped(1, 'have no finite number as area')),
    Fault('annotations', 'area NaN', entries('annotations', area=NAN), *skipped(1, 'have no finite number as area')),
    Fault('annotations', 'area is a text', entries('annotations', area='9'), *skipped(1, 'have no finite number as area')),
    Fault('annotations', 'no iscrowd', without('annotations', 'iscrowd'), (RUNS, ''), (ERROR, 'lack iscrowd')),
    Fault('annotations', 'iscrowd is a text', entries('annotations', iscrowd='no'), *skipped(1, 'have an iscrowd')),
    Fault('annotations', 'no id', without('annotations', 'id'), *skipped(1, 'lack a whole number as id')),
    Fault('annotations', 'no image_id', without('annotations', 'image_id'), *skipped(1, 'lack a whole number')),
    Fault('annotations', 'no category_id', without('annotations', 'category_id'), *skipped(1, 'lack a whole number')),
    Fault('annotations', 'ids are texts', every('annotations', image_id='1'), *refused('have a text as id')),
    Fault('annotations', 'image ids are texts', every('images', id='1'), *refused('have a text as id')),
    Fault('annotations', 'id twice', duplicate('annotations'), *refused('share an id with another annotation')),
    Fault('annotations', 'image twice', duplicate('images'), *refused('share an id with another image')),
    Fault('annotations', 'two images, one id', same_id, *refused('share an id with another image')),
    Fault('annotations', 'image without name', without('images', 'file_name'), *skipped(1, 'lack a file_name')),
    Fault('annotations', 'image without id', without('images', 'id'), *skipped(1, 'lack a file_name, or a whole')),
    Fault('annotations', 'image without size', without('images', 'height'), *skipped(1, 'have no legal height')),
    Fault('annotations', 'image of size 0', entries('images', width=0), *skipped(1, 'have no legal height')),
    Fault('annotations', 'image of huge size', entries('images', width=10**12), *skipped(1, 'have no legal height')),
    Fault('annotations', 'annotation 0', entries('annotations', id=0), (RUNS, ''), (RUNS, 'have the id 0, which never')),
    Fault('masks', 'none', without('annotations', 'segmentation'), *skipped(1, 'have no mask')),
    Fault('masks', 'null', entries('annotations', segmentation=None), *skipped(1, 'have no mask')),
    Fault('masks', 'empty', entries('annotations', segmentation=[]), *skipped(1, 'have no mask')),
    Fault('masks', 'empty polygon', entries('annotations', segmentation=[[]]), *skipped(1, 'have no mask')),
    Fault('masks', 'two points', entries('annotations', segmentation=[[1, 1, 9, 9]]), *skipped(1, 'have no mask')),
    Fault('masks', 'odd', entries('annotations', segmentation=[[1, 1, 9, 9, 1, 9, 5]]), *skipped(1, 'have no mask')),
    Fault('masks', 'odd beside others', entries('annotations', segmentation=[[1, 1, 9, 9, 1, 9], [1, 2, 3]]),
          (RUNS, 'without three'), (ERROR, 'without three')),
    Fault('masks', 'flat list', entries('annotations', segmentation=[1, 1, 9, 9, 1, 9]), *skipped(1, 'have a mask that is')),
    Fault('masks', 'NaN', entries('annotations', segmentation=[[1, 1, 9, NAN, 1, 9]]), *skipped(1, 'have a mask that is')),
    Fault('masks', 'texts', entries('annotations', segmentation=[['1', '1', '9', '9', '1', '9']]), *skipped(1, 'have a mask')),
    Fault('masks', 'a text', entries('annotations', segmentation='mask.png'), *skipped(1, 'have a mask that is')),
    Fault('masks', 'huge', entries('annotations', segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]]), *skipped(1, 'have a mask far')),
    Fault('masks', 'RLE', mask(lambda rle: rle), UNCHANGED, UNCHANGED),
    Fault('masks', 'RLE transposed', mask(lambda rle: dict(rle, size=[7, 9])), *skipped(1, 'have an RLE mask of another')),
    Fault('masks', 'RLE huge', mask(lambda rle: dict(rle, size=[10**6, 10**6])), *skipped(1, 'have an RLE mask of another')),
    Fault('masks', 'RLE without size', mask(lambda rle: dict(counts=rle['counts'])), *skipped(1, 'have an RLE mask of')),
    Fault('masks', 'RLE without counts', mask(lambda rle: dict(size=rle['size'])), *skipped(1, 'have RLE counts')),
    Fault('masks', 'RLE cut', mask(lambda rle: dict(rle, counts=rle['counts'][:-2])), *skipped(1, 'have RLE counts')),
    Fault('masks', 'RLE not ASCII', mask(lambda rle: dict(rle, counts='ü' + rle['counts'])), *skipped(1, 'have RLE counts')),
    Fault('masks', 'RLE counts of floats', mask(lambda rle: dict(rle, counts=[0.5, 9])), *skipped(1, 'have RLE counts')),
    Fault('masks', 'RLE counts negative', mask(lambda rle: dict(rle, counts=[-5, 10**6])), *skipped(1, 'have RLE counts')),
    Fault('images', 'zero bytes', first_image(lambda data: b''), (RUNS, 'has no bytes'), (ERROR, 'has no bytes')),
    Fault('images', 'missing', first_image(lambda data: None), (RUNS, 'is missing'), (ERROR, 'is missing')),
    Fault('images', 'truncated', first_image(lambda data: data[:-50]), (RUNS, 'truncated'), (ERROR, 'truncated')),
    Fault('images', 'no image', first_image(lambda data: b'no image'), (RUNS, 'cannot be'), (ERROR, 'cannot be decoded')),
    Fault('images', 'bomb', first_image(bomb), (RUNS, 'more than 178,956,970'), (ERROR, 'more than 178,956,970')),
    Fault('images', 'all broken', every_image(lambda data: b'no image'), *refused('cannot be decoded')),
    Fault('images', 'grey', pixels(lambda image: image[..., 0]), UNCHANGED, UNCHANGED),
    Fault('images', 'RGBA', pixels(lambda image: np.dstack([image, image[..., :1]])), UNCHANGED, UNCHANGED),
    Fault('images', '16 bit', pixels(lambda image: image.astype(np.uint16) * 257), UNCHANGED, UNCHANGED),
    Fault('images', 'another size', pixels(lambda image: image[:50, :60]), (RUNS, 'is 60x50'), (ERROR, 'is 60x50')),
    Fault('images', '1x1', sized(1, 1), UNCHANGED, UNCHANGED),
    Fault('images', '50x300', sized(50, 300), UNCHANGED, UNCHANGED),
    Fault('images', '300x50', sized(300, 50), UNCHANGED, UNCHANGED),
    Fault('images', '1x600', sized(1, 600), (RUNS, 'is 600x1 pixels, too thin'), (ERROR, 'is 600x1 pixels, too thin')),
    Fault('images', '2000x2', sized(2000, 2), (RUNS, 'is 2x2000 pixels, too thin'), (ERROR, 'too thin')),
)  # fmt: skip


def resize_first(root, split, size):
    """Gives the first image of a split another size, with one object that covers it."""
    annotations = root / f'annotations/instances_{split}.json'
    content = json.loads(annotations.read_text())
    image = content['images'][0]
    height, width = size
    image.update(height=height, width=width)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(root / split / image['file_name']), rng.integers(0, 255, (height, width, 3), np.uint8))
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] != image['id']]
    polygon = [0, 0, width, 0, width, height, 0, height]
    content['annotations'].append(
        dict(id=9999, image_id=image['id'], category_id=content['categories'][0]['id'], bbox=[0, 0, width, height],
             area=width * height, iscrowd=0, segmentation=[polygon])
    )  # fmt: skip
    annotations.write_text(json.dumps(content))


def make(clean: Path, root: Path, fault: Fault, splits=('train', 'val')) -> Path:
    """Copies a data set, and damages the copy."""
    shutil.copytree(clean, root)
    for split in splits:
        annotations = root / f'annotations/instances_{split}.json'
        if isinstance(fault.damage, tuple):
            resize_first(root, split, fault.damage)
        elif fault.kind == 'file':
            annotations.write_bytes(fault.damage(annotations.read_bytes()))
        elif fault.kind == 'images':
            fault.damage(root / split)
        else:
            content = json.loads(annotations.read_text())
            fault.damage(content)
            annotations.write_text(json.dumps(content))
    return root


def run(main, arguments, channel, log):
    """Runs a command in this process, a fork, and sends how it ended."""
    from fishnet_mmdet.errors import FishNetError

    stream = log.open('w')
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    try:
        main(arguments)
        channel.send((RUNS, ''))
    except FishNetError as error:
        channel.send((ERROR, str(error).rpartition('FishNetError: ')[2]))
    except BaseException as error:
        channel.send(('trace', f'{type(error).__name__}: {error}'.strip()))
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(0)


def outcome(main, arguments, log, limit=90):
    """How a command ends in a process of its own: one of ERROR, RUNS, 'trace', 'crash', 'hang'; and what it prints."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context('fork').Process(target=run, args=(main, arguments, sender, log))
    process.start()
    sender.close()
    try:
        ending, text = receiver.recv() if receiver.poll(limit) else ('hang', f'longer than {limit} s')
    except EOFError:
        ending, text = 'crash', 'the process died'
    if ending == 'hang':
        process.kill()
    process.join()
    return ending, text + (log.read_text(errors='replace') if ending == RUNS else '')


def main() -> None:
    """Runs the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('words', nargs='*', help='run only the faults whose kind and name have one of these words')
    parser.add_argument('--base', default='scratch/mask_rcnn_fishnet150_fpn_scratch.py', help='config of the repository')
    args = parser.parse_args()
    from conftest import REPO, TINY_CONFIG, TINY_FISH
    from mmengine.config import Config, utils

    import fishnet_mmdet
    from fishnet_mmdet.commands import test, train
    from fishnet_mmdet.datasets.shapes import CLASSES, make_shapes

    folder = Path(tempfile.mkdtemp())
    os.environ['XDG_CACHE_HOME'] = str(folder / 'cache')
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        make_shapes(folder / 'clean', num_train=4, num_val=3)

    def config(root):
        file = root / 'config.py'
        file.write_text(
            TINY_CONFIG.format(
                base=str(REPO / 'configs' / args.base), fish=TINY_FISH, data_root=f'{root}/', num_classes=len(CLASSES),
                classes=CLASSES, more='train_cfg = dict(max_epochs=1, val_interval=2)',
            )
        )  # fmt: skip
        return str(file)

    # Half of so short a run goes into the layout of the config that is saved and logged, and the search for mmdet's configs.
    Config.pretty_text = property(lambda self: '')
    utils._get_cfg_metainfo = functools.lru_cache(None)(utils._get_cfg_metainfo)
    # In this process, so that the others begin with everything imported.
    train.main([config(folder / 'clean'), '--work-dir', str(folder / 'trained')])
    counts = {}
    print(f'package: {Path(fishnet_mmdet.__file__).parent}')
    for fault in FAULTS:
        if args.words and not any(word in f'{fault.kind} {fault.name}' for word in args.words):
            continue
        for what, command, split, (wanted, words) in (
            ('training', train, 'train', fault.training),
            ('testing', test, 'val', fault.testing),
        ):
            root = make(folder / 'clean', folder / 'damaged', fault, [split])
            arguments = [config(root), '--work-dir', str(folder / 'work')]
            if command is test:
                arguments.insert(1, str(folder / 'trained/epoch_1.pth'))
            begin = time.time()
            ending, text = outcome(command.main, arguments, folder / 'log')
            good = ending == wanted and re.search(words, text) is not None
            row = counts.setdefault((what, fault.kind), [0, 0])
            row[0] += 1
            row[1] += good
            said = '' if ending == RUNS else text.splitlines()[0][:150] if text else ''
            print(f'{"as expected" if good else "WRONG":<12}{what:<9}{fault.kind}: {fault.name}: {ending} {said} '
                  f'({time.time() - begin:.0f} s)', flush=True)  # fmt: skip
            for path in (root, folder / 'work'):
                shutil.rmtree(path, ignore_errors=True)
    for (what, kind), (tried, good) in sorted(counts.items()):
        print(f'{what:<9}{kind:<12}{good:>4} of {tried:>4} as expected')
    print(f'{sum(good for _, good in counts.values())} of {sum(tried for tried, _ in counts.values())}')
    shutil.rmtree(folder)


if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).parent))
    main()
