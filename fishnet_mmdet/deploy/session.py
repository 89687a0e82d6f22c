"""A model file, opened by ONNX Runtime."""

from pathlib import Path
from typing import List, Optional, Sequence

from ..errors import FishNetError

#: ONNX Runtime's level of errors. Its warnings are about its own optimisations.
ERRORS = 3


def open_session(file: Path, providers: Optional[Sequence[str]] = None, threads: Optional[int] = None):
    """Opens a model file. No library of custom operators is ever registered.

    Args:
        file (Path): The file.
        providers (Sequence[str], optional): ONNX Runtime's execution providers, the preferred one first; default: the CPU.
        threads (int, optional): CPU threads; default: one for each core.

    Returns:
        onnxruntime.InferenceSession: The session.

    Raises:
        FishNetError: If ONNX Runtime is missing, or cannot open the file.
    """
    runtime = load_runtime()
    providers = list(providers or ['CPUExecutionProvider'])
    check_providers(providers, runtime.get_available_providers())
    options = runtime.SessionOptions()
    options.log_severity_level = ERRORS
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return runtime.InferenceSession(str(file), options, providers=providers)
    # ONNX Runtime's errors have no type in common but this one.
    except Exception as error:
        raise FishNetError(f'ONNX Runtime {runtime.__version__} cannot open {file}: {first_line(error)}') from error


def load_runtime():
    """The module onnxruntime.

    Raises:
        FishNetError: If it is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        state = 'is not installed' if error.name == 'onnxruntime' else f'does not import ({error})'
        raise FishNetError(f'exported models need onnxruntime, which {state}: pip install onnxruntime') from error
    return onnxruntime


def check_providers(providers: List[str], available: Sequence[str]) -> None:
    """Checks that ONNX Runtime has the execution providers.

    Raises:
        FishNetError: If not.
    """
    for name in providers:
        if name not in available:
            raise FishNetError(f'ONNX Runtime has no {name!r} here: choose from {", ".join(available)}')


def first_line(error: Exception) -> str:
    """The first line of an error's message, which may be very long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
