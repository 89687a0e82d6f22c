"""mmengine's loading of checkpoint files, through :func:`read_checkpoint`."""

from typing import Optional

from mmengine.runner import CheckpointLoader

from .reading import read_checkpoint

#: What mmengine takes for a file of safetensors on this machine, and for any file on it.
SAFETENSORS, ANY_FILE = r'(?!\w+://).*\.safetensors$', ''


def read_safetensors_in_mmengine() -> None:
    """Lets mmengine, and so mmdet's ``init_detector``, read files of safetensors. A second call changes nothing."""
    CheckpointLoader.register_scheme(SAFETENSORS, load_from_local, force=True)


def read_files_in_mmengine() -> None:
    """Lets mmengine read the files of ``load_from``, ``--resume`` and its own ``Pretrained`` as strictly as this package.

    For the commands: another program that imports this package keeps mmengine's loading as it is.
    """
    CheckpointLoader.register_scheme(ANY_FILE, load_from_local, force=True)


# mmengine logs the end of the function's name: "by local backend".
def load_from_local(filename: str, map_location: Optional[str] = None) -> dict:
    """Reads a checkpoint file to the CPU, whatever the device: mmengine copies the tensors into the network."""
    return read_checkpoint(filename)
