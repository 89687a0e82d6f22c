import torch
import torch.nn.functional as F

from fishnet_mmdet import FishNet


@torch.no_grad()
def test_zero_init_leaves_concatenation_and_pooling(small_fish):
    """With units that start as their shortcuts, the head's channels from F0 are F0, pooled."""
    fish = small_fish(3)
    init_cfg = [dict(type='Kaiming', layer='Conv2d'), dict(type='ZeroInitResidual')]
    net = FishNet(arch=fish, init_cfg=init_cfg).eval()
    net.init_weights()
    features = net.features(torch.randn(2, 3, 64, 96))
    f0 = features.tail[0]
    assert f0.std() > 0
    *_, last = features.body
    assert torch.equal(last[:, -f0.shape[1] :], f0)
    for level in features.refined[1:]:
        f0 = F.max_pool2d(f0, 2)
        start = last.shape[1] - f0.shape[1]
        assert torch.equal(level[:, start : last.shape[1]], f0)
