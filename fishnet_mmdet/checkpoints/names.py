"""The published weights of FishNet, by a short name that a config can use.

A new source of weights is a new row here. If it names its tensors in a new way, it also needs a mapping in
``fishnet_mmdet/models/released.py``.
"""

from typing import Dict, NamedTuple, Optional

AUTHORS = 'https://github.com/kevin-ssy/FishNet'
PYTORCHCV = 'https://github.com/osmr/imgclsmob'
STEPS = '100 epochs, step schedule'
COSINE = '200 epochs, cosine schedule, label smoothing'


class Release(NamedTuple):
    """One published file of weights."""

    network: str
    parameters: int
    """With the classification head of 1000 classes."""
    top1_error: float
    """In percent, on ImageNet-1k val with a single 224x224 crop, as its source states it."""
    schedule: str
    url: str
    file_name: str
    """The file's name, which also works in the folder ``checkpoints``."""
    source: str
    licence: str
    sha1: Optional[str] = None
    """SHA-1 of the weights file; of the file inside where a zip archive is published. None: not published."""

    @property
    def megabytes(self) -> int:
        """int: Size of the float32 parameters in MB. The sizes of the files are not published; they are at least this."""
        return round(self.parameters * 4 / 1e6)


def _authors(network: str, parameters: int, error: float, schedule: str, folder: str, file_name: str) -> Release:
    url = f'https://www.dropbox.com/s/{folder}/{file_name}?dl=1'
    return Release(network, parameters, error, schedule, url, file_name, AUTHORS, 'not stated')


#: A FishNet-201 with the step schedule and a FishNet-99 of pytorchcv are not in the table: no file of either was published.
RELEASES: Dict[str, Release] = {
    'fishnet99': _authors('FishNet-99', 16_628_904, 22.59, STEPS, 'hvojbdsad5ue7yb', 'fishnet99_ckpt.tar'),
    'fishnet150': _authors('FishNet-150', 24_959_400, 21.86, STEPS, 'hjadcef18ln3o2v', 'fishnet150_ckpt.tar'),
    'fishnet150_welltrained': _authors(
        'FishNet-150', 24_959_400, 20.65, COSINE, 'ajy9p6f97y45f1r', 'fishnet150_ckpt_welltrained.tar'
    ),
    'fishnet201': _authors('FishNet-201', 44_584_552, 20.29, COSINE, 'kvz2dmxe3fzn10m', 'fishnet201_ckpt_welltrain.tar'),
    'pytorchcv_fishnet150': Release(
        network='FishNet-150',
        parameters=24_959_400,
        top1_error=19.26,
        schedule='not stated',
        url=f'{PYTORCHCV}/releases/download/v0.0.502/fishnet150-0475-93e26daa.pth.zip',
        file_name='fishnet150-0475-93e26daa.pth.zip',
        source=PYTORCHCV,
        licence='MIT',
        sha1='93e26daaf570bc92b58f7421ab28c22ca405ad93',
    ),
}
