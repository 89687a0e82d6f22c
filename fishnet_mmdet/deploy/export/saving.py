"""Writes a model to one file, in float32 or in a precision that is made of it."""

import tempfile
from pathlib import Path
from typing import Callable, Dict, Sequence

import onnx
from onnx import ModelProto

from ...engine.whole_files import part_of, publish
from ...errors import FishNetError
from .half import to_float16
from .metadata import change_metadata

#: Bytes that a message of Protocol Buffers can have, and so an ONNX file that contains its weights.
LARGEST = 2**31 - 1


def save(model: ModelProto, file: Path) -> None:
    """Saves a model, weights included. An older file of the name is replaced when the new one is whole.

    Raises:
        FishNetError: If it is too large for one file.
    """
    if model.ByteSize() > LARGEST:
        raise FishNetError(f'the model has {model.ByteSize() / 1e9:.1f} GB, and one ONNX file can have 2: try float16')
    file.parent.mkdir(parents=True, exist_ok=True)
    part_of(file).write_bytes(model.SerializeToString())
    publish(file)


def save_as(model: ModelProto, precision: str, file: Path, images: Sequence[Path] = ()) -> None:
    """Saves a model in a precision.

    Args:
        model (ModelProto): In float32. It can be changed.
        precision (str): One of ``PRECISIONS``.
        file (Path): The file.
        images (Sequence[Path]): Images of the training set, for int8.
    """
    PRECISIONS[precision](model, file, images)


def _save_float32(model: ModelProto, file: Path, images: Sequence[Path]) -> None:
    save(model, file)


def _save_float16(model: ModelProto, file: Path, images: Sequence[Path]) -> None:
    change_metadata(to_float16(model), dict(precision='float16'))
    onnx.checker.check_model(model, full_check=True)
    save(model, file)


def _save_int8(model: ModelProto, file: Path, images: Sequence[Path]) -> None:
    from ..quantization import quantize

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / 'float32.onnx'
        save(model, whole)
        file.parent.mkdir(parents=True, exist_ok=True)
        quantize(whole, file, images)


#: Functions that save a model, by its precision.
PRECISIONS: Dict[str, Callable[[ModelProto, Path, Sequence[Path]], None]] = dict(
    float32=_save_float32, float16=_save_float16, int8=_save_int8
)
