"""The initialisation log: it names the source of each parameter, as for mmdet's ResNet."""

import re

import pytest
import torch
from mmengine.model import BaseModule

from fishnet_mmdet import FishNet


class Detector(BaseModule):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


@pytest.mark.parametrize('inside', [False, True])
def test_the_log_names_the_file_of_each_loaded_parameter(inside, small_net, small_fish, tmp_path, mmengine_log):
    file = tmp_path / 'weights.pth'
    torch.save(small_net().state_dict(), file)
    net = FishNet(arch=small_fish(), init_cfg=dict(type='FishNetPretrained', checkpoint=str(file)))
    mmengine_log.set_level('INFO')
    (Detector(net) if inside else net).init_weights()
    lines = {}
    for record in mmengine_log.records:
        if match := re.match(r'\n?(\S+) - torch.Size\(.*?\): *\n(.*?) *\n', record.getMessage()):
            lines[match[1]] = match[2]
    prefix = 'backbone.' if inside else ''
    assert set(lines) == {prefix + name for name, _ in net.named_parameters()}
    assert set(lines.values()) == {f'FishNetPretrained: load from {file}'}
