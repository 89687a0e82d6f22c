import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


def version():
    """The version, read from the package's text: importing it would need the whole stack."""
    namespace = {}
    exec((HERE / 'fishnet_mmdet/version.py').read_text(encoding='utf-8'), namespace)
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


#: A stack that works together, for an environment without one. mmcv-lite is mmcv without compiled operators.
MMDET = [
    'torch>=2.0',
    'mmengine>=0.10.7,<0.11',
    'mmcv-lite>=2.1,<2.2',
    'mmdet>=3.3,<3.4',
    'numpy>=1.26',
    'safetensors',
    'setuptools<81',  # mmengine imports pkg_resources, which later releases do not have
]

#: What runs an exported model: torch and mmdet are not needed.
DEPLOY = ['onnxruntime>=1.17', 'numpy', 'opencv-python-headless']

setup(
    name='fishnet_mmdet',
    version=version(),
    description='The FishNet backbone (NeurIPS 2018) for MMDetection',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The fishnet_mmdet contributors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='fishnet, mmdetection, object detection, instance segmentation, backbone, pytorch',
    project_urls={
        'Paper': 'https://arxiv.org/abs/1901.03495',
        "Authors' code": 'https://github.com/kevin-ssy/FishNet',
        'MMDetection': 'https://github.com/open-mmlab/mmdetection',
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.9',
    packages=find_packages(include=['fishnet_mmdet', 'fishnet_mmdet.*']),
    include_package_data=True,
    cmdclass=dict(build_py=BuildWithConfigs),
    # Empty on purpose: who has mmdet has chosen its torch, mmcv and mmengine (or the forks with the same import names), and
    # an install must not change them. On import, the package says which of them is missing or too old.
    install_requires=[],
    extras_require=dict(mmdet=MMDET, deploy=DEPLOY),
)
