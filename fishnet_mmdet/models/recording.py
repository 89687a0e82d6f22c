"""Whether the network is computed, or its graph is recorded."""

import torch


def is_recorded() -> bool:
    """Whether a compiler, an export or a trace records what is called: it takes PyTorch's modules, and fuses them itself."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
