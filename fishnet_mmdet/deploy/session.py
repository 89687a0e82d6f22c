"""A model file, opened by a runtime."""

import importlib
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from ..errors import FishNetError

#: ONNX Runtime's level of errors. Its warnings are about its own optimisations.
ERRORS = 3


class Session(NamedTuple):
    """An opened model.

    Attributes:
        inputs (dict): Name and dtype of each input.
        outputs (tuple[str, ...]): Names of the outputs.
        run (Callable): From the inputs by name to the outputs with the given names.
    """

    inputs: Dict[str, np.dtype]
    outputs: Sequence[str]
    run: Callable[[Sequence[str], Dict[str, np.ndarray]], List[np.ndarray]]


def open_session(file: Path, runtime: str = 'onnxruntime', threads: Optional[int] = None) -> Session:
    """Opens a model file. No library of custom operators is ever registered.

    Args:
        file (Path): The file.
        runtime (str): A key of ``RUNTIMES``.
        threads (int, optional): CPU threads; default: the runtime's.

    Raises:
        FishNetError: If the runtime is missing, or cannot open the file.
    """
    if runtime not in RUNTIMES:
        raise FishNetError(f'there is no runtime {runtime!r}: choose from {", ".join(RUNTIMES)}')
    module = load_runtime(runtime)
    try:
        return RUNTIMES[runtime](module, file, threads)
    # The errors of the runtimes have no type in common but this one.
    except Exception as error:
        raise FishNetError(f'{runtime} {module.__version__} cannot open {file}: {first_line(error)}') from error


def load_runtime(name: str):
    """The module of a runtime.

    Raises:
        FishNetError: If it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        state = 'is not installed' if error.name == name else f'does not import ({error})'
        raise FishNetError(f'exported models need {name}, which {state}: pip install {name}') from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, which may be very long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _open_onnxruntime(module, file: Path, threads: Optional[int]) -> Session:
    options = module.SessionOptions()
    options.log_severity_level = ERRORS
    if threads is not None:
        options.intra_op_num_threads = threads
    session = module.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])
    inputs = {one.name: DTYPES.get(one.type) for one in session.get_inputs()}
    return Session(inputs, [one.name for one in session.get_outputs()], session.run)


#: NumPy's names of ONNX Runtime's types, as far as inputs of model files have them.
DTYPES = {'tensor(uint8)': np.dtype('uint8'), 'tensor(float)': np.dtype('float32'), 'tensor(int64)': np.dtype('int64')}


def _open_openvino(module, file: Path, threads: Optional[int]) -> Session:
    # By itself, OpenVINO computes in bfloat16 where the processor can.
    settings = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32')
    if threads is not None:
        settings['INFERENCE_NUM_THREADS'] = threads
    model = module.Core().compile_model(str(file), 'CPU', settings)
    inputs = {one.any_name: one.element_type.to_dtype() for one in model.inputs}
    request = model.create_infer_request()

    def run(names: Sequence[str], values: Dict[str, np.ndarray]) -> List[np.ndarray]:
        request.infer(values)
        # The next call overwrites the tensors of the request.
        return [request.get_tensor(name).data.copy() for name in names]

    # A tensor can have several names.
    return Session(inputs, [name for one in model.outputs for name in one.names], run)


#: From the module, the file and the number of threads to the session.
RUNTIMES: Dict[str, Callable[..., Session]] = dict(onnxruntime=_open_onnxruntime, openvino=_open_openvino)
