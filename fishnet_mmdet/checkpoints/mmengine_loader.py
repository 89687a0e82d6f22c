"""mmengine's loading of checkpoint files, through :func:`read_checkpoint`."""

from mmengine.runner import CheckpointLoader

from .reading import read_checkpoint


def read_for_mmengine() -> None:
    """Lets mmengine read the files of ``load_from``, ``--resume`` and its own ``Pretrained`` as strictly as this package.

    For the commands: another program that imports this package keeps mmengine's loading as it is.
    """

    # mmengine logs the end of the name: "by local backend". The device does not matter: tensors are copied into the network.
    # On PyTorch before 2.6 the command has asked for --trusted already, and reading runs no code.
    def load_from_local(filename: str, map_location=None) -> dict:
        return read_checkpoint(filename, trusted=True)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
