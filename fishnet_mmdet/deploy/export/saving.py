"""Writes a model to one file."""

from pathlib import Path

from onnx import ModelProto

from ...engine.whole_files import part_of, publish
from ...errors import FishNetError

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
