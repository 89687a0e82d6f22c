"""mmcv's compiled operators in PyTorch, for where mmcv has none.

``mmcv-lite`` holds all Python of ``mmcv.ops``; it lacks only the compiled module ``mmcv._ext``, which exists ready-made
for few PyTorch releases. :func:`install` puts a module with the functions of ``OPERATORS`` in its place. Importing
``fishnet_mmdet`` calls it. Where mmcv has compiled operators that work, nothing changes.

The functions take mmcv's arguments and write into mmcv's buffers. Coordinates, weights and sums are computed in float32
(float64 for float64 input), so that float16 and bfloat16 work too. To add an operator: one file, one row in ``OPERATORS``,
one test in ``tests/test_ops``.
"""

from typing import Callable, Dict

from . import (
    attention,
    build_info,
    carafe,
    deform_conv,
    deform_roi_pool,
    focal_loss,
    masked_conv,
    nms,
    roi_align,
    roi_pool,
    soft_nms,
    sync_bn,
)
from .stand_in import install, installed

#: Function by its name in ``mmcv._ext``.
OPERATORS: Dict[str, Callable] = {
    'nms': nms.nms,
    'nms_match': nms.nms_match,
    'softnms': soft_nms.soft_nms,
    'roi_align_forward': roi_align.forward,
    'roi_align_backward': roi_align.backward,
    'roi_pool_forward': roi_pool.forward,
    'roi_pool_backward': roi_pool.backward,
    'deform_roi_pool_forward': deform_roi_pool.forward,
    'deform_roi_pool_backward': deform_roi_pool.backward,
    'deform_conv_forward': deform_conv.forward,
    'deform_conv_backward_input': deform_conv.backward_input,
    'deform_conv_backward_parameters': deform_conv.backward_parameters,
    'modulated_deform_conv_forward': deform_conv.modulated_forward,
    'modulated_deform_conv_backward': deform_conv.modulated_backward,
    'masked_im2col_forward': masked_conv.im2col,
    'masked_col2im_forward': masked_conv.col2im,
    'carafe_forward': carafe.forward,
    'carafe_backward': carafe.backward,
    'carafe_naive_forward': carafe.naive_forward,
    'carafe_naive_backward': carafe.naive_backward,
    'ms_deform_attn_forward': attention.forward,
    'ms_deform_attn_backward': attention.backward,
    'sigmoid_focal_loss_forward': focal_loss.sigmoid_forward,
    'sigmoid_focal_loss_backward': focal_loss.sigmoid_backward,
    'softmax_focal_loss_forward': focal_loss.softmax_forward,
    'softmax_focal_loss_backward': focal_loss.softmax_backward,
    'sync_bn_forward_mean': sync_bn.forward_mean,
    'sync_bn_forward_var': sync_bn.forward_var,
    'sync_bn_forward_output': sync_bn.forward_output,
    'sync_bn_backward_param': sync_bn.backward_param,
    'sync_bn_backward_data': sync_bn.backward_data,
    'get_compiler_version': build_info.compiler_version,
    'get_compiling_cuda_version': build_info.cuda_version,
}

__all__ = ['OPERATORS', 'install', 'installed']
