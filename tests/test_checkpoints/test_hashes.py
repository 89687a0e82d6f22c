"""Hashes in names: whose they are, and what they are of."""

import hashlib
import zipfile

import pytest

from fishnet_mmdet.checkpoints.hashes import check_hash, hash_in_name
from fishnet_mmdet.errors import FishNetError


@pytest.mark.parametrize(
    'name, found',
    [
        ('fishnet150-0475-93e26daa.pth.zip', ('sha1', '93e26daa')),
        ('fishnet150-0475-93e26daa.pth', ('sha1', '93e26daa')),
        ('resnet50-19c8e357.pth', ('sha256', '19c8e357')),
        ('mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth', ('sha256', 'd4b0c5d6')),
        ('slim-0123abcd.safetensors', ('sha256', '0123abcd')),
        (f'x-{"ab" * 32}.pth.tar', ('sha256', 'ab' * 32)),
        ('fishnet-99.pth', None),
        ('model-20200205.pth', None),
        ('model-99999999.pth', ('sha256', '99999999')),
        ('model-0123ABCD.pth', None),
        ('fishnet150_ckpt.tar', None),
    ],
)
def test_the_hash_in_a_name(name, found):
    assert hash_in_name(name) == found


def test_sha256_is_of_the_file_and_sha1_of_the_weights_in_it(saved, tmp_path):
    body = saved()
    sha1, sha256 = hashlib.sha1(body).hexdigest(), hashlib.sha256(body).hexdigest()
    plain, zipped = tmp_path / 'plain', tmp_path / 'zipped'
    plain.write_bytes(body)
    with zipfile.ZipFile(zipped, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('x.pth', body)
    check_hash(plain, f'x-{sha256[:8]}.pth')
    check_hash(plain, f'x-0475-{sha1[:8]}.pth')
    check_hash(zipped, f'x-0475-{sha1[:8]}.pth.zip')
    check_hash(zipped, 'x.pth.zip', sha1)
    for file, name, known in [
        (plain, f'x-{sha1[:8]}.pth', None),
        (plain, f'x-0475-{sha256[:8]}.pth', None),
        (zipped, f'x-{sha256[:8]}.pth.zip', None),
        (zipped, 'x.pth.zip', sha1[:-1] + 'x'),
    ]:
        with pytest.raises(FishNetError, match='invalid hash.*SHA.*damaged'):
            check_hash(file, name, known)
    check_hash(plain, 'x.pth')
