"""Small data sets in COCO's format for the tests of --data."""

import json
from pathlib import Path


def content(images=4, categories=None, objects=None, prefix=''):
    """An annotation file's content: each image has one object of each class, as boxes with masks, if ``objects`` is None."""
    categories = categories or [dict(id=7, name='cat'), dict(id=3, name='dog')]
    names = [f'{prefix}{number}.jpg' for number in range(1, images + 1)]
    pairs = [(image, one['id']) for image in range(1, images + 1) for one in categories] if objects is None else objects
    return dict(
        images=[dict(id=number, file_name=name, height=100, width=200) for number, name in enumerate(names, start=1)],
        annotations=[annotation(number, *pair) for number, pair in enumerate(pairs, start=1)],
        categories=categories,
    )


def annotation(number, image, category, box=(10, 20, 30, 40)):
    x, y, w, h = box
    return dict(
        id=number,
        image_id=image,
        category_id=category,
        bbox=list(box),
        area=w * h,
        iscrowd=0,
        segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]],
    )


def save(root: Path, files):
    """Writes annotation files, {path: content}, and an empty file for each image, {path of a folder: content}."""
    for name, value in files.items():
        path = root / name
        if name.endswith('.json'):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        else:
            for image in value['images']:
                file = path / image['file_name']
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    return root
