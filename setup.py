import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


def version():
    """The version, read from the package's text: importing it would need the whole stack."""
    namespace = {}
    exec((HERE / 'fishnet_mmdet/version.py').read_text(), namespace)
    return namespace['__version__']


class BuildWithConfigs(build_py):
    """Takes the configs, the commands and the model index along in a wheel, in OpenMMLab's form: under .mim."""

    def run(self):
        """Builds the package, and copies them into it; an editable install has them beside it."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib, 'fishnet_mmdet/.mim')
        for folder in ('configs', 'tools'):
            shutil.copytree(HERE / folder, mim / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(HERE / 'model-index.yml', mim)


setup(
    name='fishnet_mmdet',
    version=version(),
    description='The FishNet backbone (NeurIPS 2018) for MMDetection',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.8',
    packages=find_packages(include=['fishnet_mmdet', 'fishnet_mmdet.*']),
    cmdclass=dict(build_py=BuildWithConfigs),
    # Nothing is required here on purpose: whoever has mmdet has chosen its torch, mmcv and mmengine (or the forks with the
    # same import names), and an install must not touch them. The package says on import what is missing or unfit.
    install_requires=[],
)
