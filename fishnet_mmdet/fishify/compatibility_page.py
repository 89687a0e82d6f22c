"""The page docs/compatibility.md."""

from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import Iterator, Mapping

from .compatibility import FAILS, MMDETS, WORKS

OUTCOMES = (WORKS, MMDETS, FAILS)
#: Packages that only some of mmdet's configs need.
OPTIONAL = ('scikit-image', 'scikit-learn', 'torchvision', 'transformers', 'fairscale')


def page(rows: Mapping[str, dict], unreadable: Mapping[str, str], depth: int, size: int) -> Iterator[str]:
    """Yields the page's lines: counts, the configs that do not work and why, and all configs.

    Args:
        rows (Mapping[str, dict]): Results of :func:`try_config`, by name.
        unreadable (Mapping[str, str]): Reasons why other configs cannot be read, by name.
        depth (int): Depth of FishNet.
        size (int): Height and width of the images, in pixels.
    """
    families = {name.partition('/')[0] for name in rows}
    yield from ('# FishNet in the configs of mmdet', '')
    yield (
        f'{len(rows)} configs of mmdet, in {len(families)} folders, have a ResNet or ResNeXt. '
        f'`tools/model_converters/fishify.py --depth {depth}` converted each of them.'
    )
    yield (
        'Then each different model took one training step: it was built with random weights, and the loss and the gradients '
        f'of two random images were computed on the CPU. The images have {size}x{size} pixels, or {4 * size}x{4 * size} where '
        'the first step failed.'
    )
    yield 'Configs with the same model share one step: the column "step" names the config that took it.'
    yield ''
    yield from _counts(rows)
    yield ''
    yield '*Works*: loss and gradients are finite, and every trained parameter of FishNet has a gradient.'
    yield f'*{MMDETS.capitalize()}*: the config as mmdet ships it, with its ResNet, fails in the same step.'
    yield ''
    yield f'Made by `python tools/analysis_tools/compatibility.py -o DIR`, with {", ".join(_packages())}.'
    yield ''
    troubles = {name: row for name, row in rows.items() if row['outcome'] != WORKS}
    if troubles:
        yield from ('## Configs that do not work', '', '| config | outcome | reason |', '|---|---|---|')
        yield from (f'| {name} | {row["outcome"]} | {_cell(row["reason"])} |' for name, row in troubles.items())
        yield ''
    if unreadable:
        yield from ('## Configs that mmdet itself cannot read', '', '| config | reason |', '|---|---|')
        yield from (f'| {name} | {_cell(reason)} |' for name, reason in unreadable.items())
        yield ''
    yield from ('## All configs', '', '| config | detector | outcome | notes of fishify | step |', '|---|---|---|---|---|')
    for name, row in rows.items():
        step = f'as {row["same_as"]}' if 'same_as' in row else f'{row["seconds"]:.0f} s'
        yield f'| {name} | {row["detector"]} | {row["outcome"]} | {_cell("; ".join(row["notes"]))} | {step} |'


def _counts(rows: Mapping[str, dict]) -> Iterator[str]:
    """A table of the outcomes: models that took a step, and configs that have one of these models."""
    configs = Counter(row['outcome'] for row in rows.values())
    models = Counter(row['outcome'] for row in rows.values() if 'same_as' not in row)
    yield from ('| outcome | models that took the step | further configs with such a model | configs |', '|---|---|---|---|')
    for outcome in OUTCOMES:
        yield f'| {outcome} | {models[outcome]} | {configs[outcome] - models[outcome]} | {configs[outcome]} |'
    yield f'| all | {sum(models.values())} | {len(rows) - sum(models.values())} | {len(rows)} |'


def _packages() -> Iterator[str]:
    """The installed packages that decide what works, with their versions."""
    for name in ('torch', 'mmcv', 'mmcv-lite', 'mmdet', *OPTIONAL):
        try:
            yield f'{name} {version(name)}'
        except PackageNotFoundError:
            yield f'no {name}'


def _cell(message: str) -> str:
    return message.replace('|', '\\|').replace('<', '&lt;')
