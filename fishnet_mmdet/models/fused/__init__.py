"""The fast path: norm, ReLU, convolution and max-pooling with less memory and less time. Results are equal to rounding.

What it does. FishNet repeats one step: normalisation, ReLU, convolution. PyTorch's modules save the input of each norm and
the output of each ReLU for the backward pass, and each module writes new memory. The fast path differs in four places:

- :func:`norm_relu_conv`: where BN is frozen, norm and ReLU are one pass over memory, and only the input of each convolution
  is saved.
- :class:`MaxPool2x2`: saves one byte for each output value, not its input and a 64-bit index.
- :func:`to_channels_last` and :func:`as_returned`: the network computes in the layout in which cuDNN and oneDNN are
  fastest, and returns features in it too, unless mmcv has compiled operators, which need PyTorch's default layout.
- A residual unit adds its shortcut in place.

When it runs. With ``FishNet(fused=True)``, the default. The plain modules run in its place, without a setting, where it
could not give the same result (``conditions.py``):

- a norm that trains, or is not a BatchNorm (GN, for instance), and a convolution that was replaced or wrapped, as
  quantisation does;
- a module with hooks, since hooks run only if the module is called;
- ``torch.compile``, ``torch.export``, ``torch.jit.trace`` and ``torch.fx``, which record the plain operators;
- ``torch.func`` (grad, vmap, jvp) and forward-mode differentiation.

Second derivatives are the one thing that it cannot do: the second backward pass raises a FishNetError that names
``fused=False``.

What it overwrites. Only memory that it wrote itself and that nobody else holds: the output of a convolution, before the
next norm; the output of a unit's last convolution, when the shortcut is added; and in the backward pass the gradients that
it computed. It never writes to its input, to a feature that the network returns, or to a tensor that a hook has seen.

How to switch it off. ``FishNet(fused=False)`` in Python, ``model.backbone.fused=False`` in a config. The network then
consists of PyTorch's own modules and works wherever mmdet's ResNet works. The weights are the same.
"""

from .conditions import has_hooks, is_tracing, must_run_plain
from .layout import as_returned, to_channels_last
from .max_pool import MaxPool2x2
from .pre_activation import norm_relu, norm_relu_conv

__all__ = [
    'MaxPool2x2',
    'as_returned',
    'has_hooks',
    'is_tracing',
    'must_run_plain',
    'norm_relu',
    'norm_relu_conv',
    'to_channels_last',
]
