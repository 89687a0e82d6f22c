"""A part of the nuclei of the 2018 Data Science Bowl, chosen by the kind of the images: the data of the demo."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Union

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import FishNetError

SPLITS = ('train', 'val')
FLUORESCENCE, STAINED, BRIGHT_FIELD = KINDS = ('fluorescence', 'stained tissue', 'bright field')
#: Shares of the kinds in a part. The whole has 82, 16 and 2 percent; two kinds of three would hardly be seen.
SHARES = {FLUORESCENCE: 0.65, STAINED: 0.32, BRIGHT_FIELD: 0.03}
INFO = dict(
    description='A part of the 2018 Data Science Bowl, stage 1 (BBBC038v1): cell nuclei',
    url='https://bbbc.broadinstitute.org/BBBC038',
    contributor='Caicedo et al., Nature Methods 16, 1247-1253 (2019), https://doi.org/10.1038/s41592-019-0612-7',
)
LICENCES = [dict(id=1, name='CC0 1.0', url='https://creativecommons.org/publicdomain/zero/1.0/')]


def kind_of(image: np.ndarray) -> str:
    """The kind of a microscopy image, by its colours.

    Fluorescence is bright on black. Stained tissue has colours on white. Bright field is grey on white.

    Args:
        image (np.ndarray): (h, w, 3), BGR, uint8.

    Returns:
        str: One of ``KINDS``.
    """
    if cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1].mean() > 5:
        return STAINED
    return FLUORESCENCE if np.median(image) < 100 else BRIGHT_FIELD


def choose_nuclei(
    source: Union[str, Path], out_dir: Union[str, Path], num_train: Optional[int] = 100, num_val: int = 40
) -> Dict[str, Counter]:
    """Copies a part of the nuclei: ``train/``, ``val/``, ``annotations/instances_{train,val}.json``.

    The validation images are from the validation part of the source. Of each kind, images are taken at equal steps from the
    list that is sorted by size and number of nuclei, so a choice has small and large, sparse and crowded images, and no
    chance in it. The folder appears when it is complete.

    Args:
        source (str | Path): The whole data set in COCO's format: ``train/``, ``val/``, ``instances_{train,val}.json``.
        out_dir (str | Path): The new folder.
        num_train (int, optional): Number of training images, chosen from the training part; None: every image of the
            source that is not one of the validation images.
        num_val (int): Number of validation images.

    Returns:
        dict[str, Counter]: Of each split the number of images of each kind.

    Raises:
        FishNetError: If the source is missing or has too few images, or ``out_dir`` exists.
        OSError: If the files cannot be written. The partial files are deleted.
    """
    source, out_dir = Path(source), Path(out_dir)
    if out_dir.exists():
        raise FishNetError(f'{out_dir} exists: delete it, or name another folder')
    whole = {split: _read(source, split) for split in SPLITS}
    chosen = dict(val=_choose(whole['val'], num_val))
    if num_train is None:
        names = {image['file_name'] for image in chosen['val']}
        everything = [image for split in SPLITS for image in whole[split]]
        chosen['train'] = [image for image in everything if image['file_name'] not in names]
    else:
        chosen['train'] = _choose(whole['train'], num_train)
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{out_dir.name}-', dir=out_dir.parent) as scratch:
        root = Path(scratch) / 'nuclei'
        (root / 'annotations').mkdir(parents=True)
        for split in SPLITS:
            _write(root, split, chosen[split])
        root.rename(out_dir)
    return {split: Counter(image['kind'] for image in chosen[split]) for split in SPLITS}


def _read(source: Path, split: str) -> List[dict]:
    """The images of a split, each with its file, kind and annotations."""
    file = source / f'instances_{split}.json'
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise FishNetError(
            f'{file} cannot be read ({error.strerror}): name the folder with instances_train.json, instances_val.json, '
            'train/ and val/'
        ) from error
    nuclei: Dict[int, List[dict]] = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        nuclei[annotation['image_id']].append(annotation)
    images = []
    for image in tqdm(content['images'], desc=f'Reading {split}', unit='image', delay=2, disable=None):
        path = source / split / image['file_name']
        pixels = cv2.imread(str(path))
        if pixels is None:
            raise FishNetError(f'the image {path} is missing, or cannot be decoded')
        images.append(dict(image, file=path, kind=kind_of(pixels), nuclei=nuclei[image['id']]))
    return images


def _choose(images: List[dict], number: int) -> List[dict]:
    """Some images of every kind, in the order of the source.

    Raises:
        FishNetError: If there are not enough.
    """
    counts = {kind: round(number * share) for kind, share in SHARES.items()}
    counts[FLUORESCENCE] = number - counts[STAINED] - counts[BRIGHT_FIELD]
    names = set()
    for kind, count in counts.items():
        candidates = sorted((image for image in images if image['kind'] == kind), key=_order)
        if len(candidates) < count:
            raise FishNetError(
                f'{number} images need {count} of the kind {kind}, and the source has {len(candidates)}: choose fewer images'
            )
        names.update(candidates[(2 * i + 1) * len(candidates) // (2 * count)]['file_name'] for i in range(count))
    return [image for image in images if image['file_name'] in names]


def _order(image: dict) -> Tuple[int, int, str]:
    return image['height'] * image['width'], len(image['nuclei']), image['file_name']


def _write(root: Path, split: str, chosen: List[dict]) -> None:
    """Copies the images of a split, and writes its annotations with ids of its own."""
    (root / split).mkdir()
    images, annotations = [], []
    for number, image in enumerate(chosen, 1):
        shutil.copyfile(image['file'], root / split / image['file_name'])
        images.append(dict({key: image[key] for key in ('file_name', 'width', 'height', 'kind')}, id=number, license=1))
        for nucleus in image['nuclei']:
            # Boxes of masks are whole pixels.
            box = [int(value) for value in nucleus['bbox']]
            annotations.append(dict(nucleus, bbox=box, id=len(annotations) + 1, image_id=number, category_id=1))
    content = dict(
        info=INFO,
        licenses=LICENCES,
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='nucleus', supercategory='cell')],
    )
    (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content, separators=(',', ':')))
