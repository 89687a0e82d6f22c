"""A validation part, set aside from data that comes without one."""

import random
from typing import Dict, List, Set

from ..errors import FishNetError
from .parts import Part

SHARE = 0.1
SEED = 0


def set_aside(parts: Dict[str, Part]) -> int:
    """Splits the training part into one for training and one for validation.

    Args:
        parts (dict[str, Part]): The parts; 'train' is replaced, and 'val' is added.

    Returns:
        int: The number of images that are set aside.

    Raises:
        FishNetError: If there are fewer than two images.
    """
    whole = parts['train'].file
    chosen = choose([image['file_name'] for image in whole.images], whole.path)
    for name in ('train', 'val'):
        images = [image for image in whole.images if (image['file_name'] in chosen) == (name == 'val')]
        ids = {image['id'] for image in images}
        annotations = [one for one in whole.annotations if one['image_id'] in ids]
        parts[name] = Part(whole._replace(images=images, annotations=annotations), parts['train'].images, changed=True)
    return len(chosen)


def choose(names: List[str], source: str) -> Set[str]:
    """Chooses a tenth of some file names, at least one, by a fixed seed; their order does not matter.

    Raises:
        FishNetError: If there are fewer than two.
    """
    if len(names) < 2:
        raise FishNetError(f'{source} has {len(names)} image, and training needs two: one to train, one to validate')
    return set(random.Random(SEED).sample(sorted(names), max(1, round(SHARE * len(names)))))
