"""When the operators are in effect, and what is said about one that is missing."""

import importlib
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import mmcv
import pytest
import torch
from mmcv.ops import RoIAlign, box_iou_rotated

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.ops import OPERATORS, install, installed, nms, roi_align, vision

pytestmark = pytest.mark.usefixtures('our_operators')

WITHOUT_COMPILED = "import sys; sys.modules['mmcv._ext'] = None; "


def python(code):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_is_enough():
    """All of mmdet can be imported then, and so can all operators of mmcv."""
    code = 'import fishnet_mmdet, mmcv.ops, mmdet.apis, mmdet.models; print(fishnet_mmdet.ops.installed())'
    assert python(WITHOUT_COMPILED + code).endswith('True')


def test_mmcv_can_report_its_build():
    code = "import fishnet_mmdet; from mmcv.utils import collect_env; print(collect_env()['MMCV Compiler'])"
    assert python(WITHOUT_COMPILED + code).endswith('n/a: fishnet_mmdet.ops')


def test_compiled_operators_stay(monkeypatch):
    compiled = ModuleType('mmcv._ext')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', compiled)
    install(OPERATORS)
    assert sys.modules['mmcv._ext'] is compiled
    assert not installed()


def test_without_compiled_operators_nothing_is_said(monkeypatch, recwarn):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    install(OPERATORS)
    assert installed()
    assert not recwarn.list


def test_broken_compiled_operators_are_replaced_with_a_warning(monkeypatch, tmp_path):
    (tmp_path / '_ext.py').write_text("raise ImportError('_ext.so: undefined symbol: _ZN2at4_ops')")
    monkeypatch.setattr(mmcv, '__path__', [str(tmp_path), *mmcv.__path__])
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    del sys.modules['mmcv._ext']
    with pytest.warns(UserWarning, match='undefined symbol: _ZN2at4_ops.*fishnet_mmdet.ops take their place'):
        install(OPERATORS)
    assert installed()


def test_the_module_is_one_for_importlib(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    install(OPERATORS)
    assert importlib.util.find_spec('mmcv._ext').name == 'mmcv._ext'
    assert not hasattr(sys.modules['mmcv._ext'], '__file__')


def test_a_missing_operator_is_named_when_it_is_called():
    with pytest.raises(FishNetError, match='box_iou_rotated.*compile mmcv'):
        box_iou_rotated(torch.rand(2, 5), torch.rand(2, 5))


@pytest.fixture
def fresh_vision():
    """Forgets whether torchvision was found."""
    vision._cuda_op.cache_clear()
    yield
    vision._cuda_op.cache_clear()


@pytest.mark.parametrize('error', [ImportError('no module'), RuntimeError('operator torchvision::nms does not exist')])
def test_a_torchvision_that_cannot_be_imported_is_not_used(error, monkeypatch, tmp_path, fresh_vision):
    (tmp_path / 'torchvision.py').write_text(f'raise {type(error).__name__}({str(error)!r})')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    assert vision.torchvision_op('nms', SimpleNamespace(is_cuda=True)) is None


def test_a_torchvision_without_cuda_is_not_used(monkeypatch, fresh_vision):
    monkeypatch.setitem(sys.modules, 'torchvision', ModuleType('torchvision'))
    assert vision.torchvision_op('no_such_operator', SimpleNamespace(is_cuda=True)) is None
    assert vision.torchvision_op('nms', torch.rand(1)) is None


def test_how_torchvision_is_called(monkeypatch):
    """With the arguments of its schema: what it would get, our own operators compute here."""
    ops = {}
    for module in (nms, roi_align):
        monkeypatch.setattr(module, 'torchvision_op', lambda name, tensor: ops.get(name))
    x = torch.randn(2, 3, 14, 20, requires_grad=True)
    rois = torch.tensor([[0.0, 3, 4, 30, 21], [1, -9, -7, 12, 13]])
    boxes, scores = rois[:, 1:], torch.tensor([0.3, 0.8])
    layer = RoIAlign((3, 4), 0.5, 2)
    expected = layer(x, rois)
    (grad,) = torch.autograd.grad(expected.square().sum(), x)
    kept = mmcv.ops.nms(boxes, scores, 0.5)[1]

    def align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
        with monkeypatch.context() as without:
            without.setattr(roi_align, 'torchvision_op', lambda name, tensor: None)
            return RoIAlign((pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned=aligned)(input, rois)

    def align_backward(grad, rois, scale, height, width, n, c, h, w, sampling_ratio, aligned):
        with monkeypatch.context() as without, torch.enable_grad():
            without.setattr(roi_align, 'torchvision_op', lambda name, tensor: None)
            zeros = torch.zeros(n, c, h, w, requires_grad=True)
            output = RoIAlign((height, width), scale, sampling_ratio, aligned=aligned)(zeros, rois)
            return torch.autograd.grad(output, zeros, grad)[0]

    called = []

    def suppress(boxes, scores, iou_threshold):
        called.append(iou_threshold)
        return kept

    ops.update(roi_align=align, _roi_align_backward=align_backward, nms=suppress)
    output = layer(x, rois)
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    torch.testing.assert_close(x.grad, grad)
    assert torch.equal(mmcv.ops.nms(boxes, scores, 0.5)[1], kept) and called == [0.5]
