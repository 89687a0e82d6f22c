"""The files of a page: index.html, and beside it the data and the images that it loads when it shows them."""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np

from ..errors import FishNetError

#: The longest side of the saved images, in pixels.
IMAGE_SIDE = 512
JPEG_QUALITY = 82
#: The scripts of the page, in the order in which they need each other.
SCRIPTS = ('elements', 'counting', 'charts', 'tables', 'pictures', 'cards', 'gallery', 'main')
#: What a page consists of. Nothing else is in its folder, so that nothing else is ever replaced.
PARTS = ('index.html', 'data', 'images')


class Site:
    """Writes a page into a folder.

    A browser does not let a page from a file read JSON, so the data are scripts that call a function of the page. Each image
    has its own script, which the page loads with the image.

    Args:
        folder (Path): The folder; an earlier page in it is replaced.

    Raises:
        FishNetError: If the folder cannot be made, or has other files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            others = sorted(path.name for path in folder.iterdir() if path.name not in PARTS)
        except OSError as error:
            raise FishNetError(f'the folder {folder} of the report cannot be made: {error.strerror}') from error
        if others:
            raise FishNetError(f'the folder {folder} of the report has other files ({others[0]} ...): name a new folder')

    def begin(self) -> None:
        """Removes an earlier page."""
        for part in PARTS[1:]:
            shutil.rmtree(self.folder / part, ignore_errors=True)
            (self.folder / part).mkdir()

    def add_image(self, number: int, image: np.ndarray, data: dict) -> Tuple[int, int]:
        """Saves an image (h, w, 3), BGR, and its data.

        Args:
            number (int): Its number on the page.
            image (np.ndarray): The image; it is saved as a JPEG of at most ``IMAGE_SIDE`` pixels.
            data (dict): What the page draws on it.

        Returns:
            tuple[int, int]: Width and height of the saved image.
        """
        height, width = image.shape[:2]
        scale = min(1, IMAGE_SIDE / max(height, width))
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        (self.folder / 'images' / f'{number:06}.jpg').write_bytes(coded.tobytes())
        (self.folder / 'data' / f'{number:06}.js').write_text(f'fishnetReport.image({number}, {to_script(data)})\n')
        return image.shape[1], image.shape[0]

    def finish(self, summary: dict) -> Path:
        """Saves what the page shows at once, and the page itself, whose file is returned."""
        (self.folder / 'data/summary.js').write_text(f'fishnetReport.summary = {to_script(summary)}\n')
        source = files(__package__) / 'page'
        page = (source / 'index.html').read_text(encoding='utf-8')
        scripts = '\n'.join((source / f'{name}.js').read_text(encoding='utf-8') for name in SCRIPTS)
        page = page.replace('/* STYLE */', (source / 'style.css').read_text(encoding='utf-8'))
        page = page.replace('/* SCRIPTS */', f'(() => {{\n"use strict"\n{scripts}\n}})()')
        file = self.folder / 'index.html'
        file.write_text(page, encoding='utf-8')
        return file


def to_script(data) -> str:
    """Data as a JavaScript value, in ASCII. No text in it can end the script that it stands in."""
    return json.dumps(data, separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')
