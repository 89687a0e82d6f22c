"""What mmcv's report of the environment asks its compiled module for."""


def compiler_version() -> str:
    """In the place of the compiler's version."""
    return 'n/a: fishnet_mmdet.ops'


def cuda_version() -> str:
    """In the place of the version of CUDA that mmcv was compiled with."""
    return 'n/a: fishnet_mmdet.ops'
