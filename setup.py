from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def version():
    """The version, read from the package's text: importing it would need the whole stack."""
    namespace = {}
    exec((HERE / 'fishnet_mmdet/version.py').read_text(), namespace)
    return namespace['__version__']


setup(
    name='fishnet_mmdet',
    version=version(),
    description='The FishNet backbone (NeurIPS 2018) for MMDetection',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.8',
    packages=find_packages(include=['fishnet_mmdet', 'fishnet_mmdet.*']),
    # Nothing is required here on purpose: whoever has mmdet has chosen its torch, mmcv and mmengine (or the forks with the
    # same import names), and an install must not touch them. The package says on import what is missing or unfit.
    install_requires=[],
)
