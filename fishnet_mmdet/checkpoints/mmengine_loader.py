"""mmengine's loading of checkpoint files, through :func:`read_checkpoint`."""

from mmengine.runner import CheckpointLoader

from .reading import read_checkpoint


def read_for_mmengine() -> None:
    """Lets mmengine read the files of ``load_from``, ``--resume`` and its own ``Pretrained`` as strictly as this package.

    For the commands: another program that imports this package keeps mmengine's loading as it is.
    """

    # mmengine logs the end of the name: "by local backend". The device does not matter: tensors are copied into the network.
    def load_from_local(filename: str, map_location=None) -> dict:
        return read_checkpoint(filename)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
