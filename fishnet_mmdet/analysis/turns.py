"""Iterations of several configs, each in a process of its own, which take turns, since machines are noisy."""

import multiprocessing
import resource
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter
from typing import Callable, List, NamedTuple, Sequence

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch.profiler import ProfilerActivity, profile

from ..engine.channels_last import compute_channels_last
from ..engine.compiling import compile_parts
from ..engine.memory import keep_freed_memory
from ..errors import FishNetError
from ..ops import OPERATORS
from ..ops.stand_in import Operators
from .iterations import build_model, test_iteration, training_iteration
from .operators import compiled, in_effect

#: Operators that multiply: the time that an iteration would take if everything else took none.
PRODUCTS = (
    'aten::convolution_backward',
    'aten::mkldnn_convolution',
    # Convolutions 1x1 of small batches in float32, with one thread.
    'aten::_slow_conv2d_forward',
    'aten::_slow_conv2d_backward',
    'aten::mm',
    'aten::addmm',
    'aten::bmm',
)
#: How many other operators the results name.
OTHERS = 16
#: What is timed.
STEPS = dict(train=training_iteration, test=test_iteration)


class Contestant(NamedTuple):
    """A config, and how it is run."""

    config: str
    cfg: Config
    #: A key of ``STEPS``.
    step: str = 'train'
    amp: bool = False
    #: As mmdet's own commands run it: in the default layout, with memory freed to the system, and with mmcv's compiled
    #: operators, where there are any.
    as_mmdet: bool = False
    compile: bool = False


def compare(contestants: Sequence[Contestant], rounds: int, report: Callable[[str], object]) -> List[dict]:
    """Times iterations. In each round all take their turn, on the same images if they have the same data.

    Args:
        contestants (Sequence[Contestant]): What is timed; ratios are to the first.
        rounds (int): Timed rounds, after two that are not counted.
        report (Callable[[str], object]): Is told the progress.

    Returns:
        list[dict]: For each contestant its ``seconds`` and their ``median``; ``ratio``: the median over the rounds of the time
        divided by the first one's; ``first``: the seconds of the first iteration; ``products``: the seconds in
        convolutions and matrix products, of an iteration that took ``profiled`` seconds (None on a GPU), and ``others``:
        those in other operators; ``peak``: the most bytes of the process (of the GPU, if there is one).

    Raises:
        FishNetError: If a process ends, or its config does not fit together.
    """
    context = multiprocessing.get_context('spawn')
    processes, pipes = [], []
    try:
        for one in contestants:
            pipe, theirs = context.Pipe()
            processes.append(context.Process(target=_serve, args=(one, theirs), daemon=True))
            processes[-1].start()
            theirs.close()
            pipes.append(pipe)
        report('built')
        results = [dict(_facts(one), first=_ask(pipe, 'time'), seconds=[]) for one, pipe in zip(contestants, pipes)]
        for number in range(rounds + 1):
            for result, pipe in zip(results, pipes):
                result['seconds'].append(_ask(pipe, 'time'))
            report(f'round {number} of {rounds}')
        for result, pipe in zip(results, pipes):
            result.update(_ask(pipe, 'profile'), peak=_ask(pipe, 'peak'))
            result['seconds'] = result['seconds'][1:]
            result['median'] = median(result['seconds'])
            result['ratio'] = median(mine / first for mine, first in zip(result['seconds'], results[0]['seconds']))
        return results
    finally:
        for process in processes:
            process.kill()


def _facts(one: Contestant) -> dict:
    """What the results say of a contestant."""
    return {name: value for name, value in one._asdict().items() if name != 'cfg'}


def _ask(pipe: Connection, what: str):
    """Lets a process do something, and returns what it answers."""
    try:
        pipe.send(what)
        answer = pipe.recv()
    except (EOFError, OSError) as error:
        raise FishNetError('a process ended, probably for lack of memory: compare fewer configs, or smaller images') from error
    if isinstance(answer, FishNetError):
        raise answer
    return answer


def _serve(one: Contestant, pipe: Connection) -> None:
    """What a process does: it builds the iteration, and runs it when it is asked to."""
    # Under autocast on a CPU, mmcv's compiled operators stop: they know no bfloat16.
    with in_effect(compiled() if one.as_mmdet and compiled() and not one.amp else Operators(OPERATORS)):
        try:
            step = _build(one)
        except FishNetError as error:
            pipe.recv()
            pipe.send(error)
            return
        answers = dict(time=lambda: _seconds(step), profile=lambda: _profile(step), peak=_peak)
        while True:
            pipe.send(answers[pipe.recv()]())


def _build(one: Contestant) -> Callable[[], None]:
    # Building a model logs a line for every parameter.
    MMLogger.get_current_instance().setLevel('WARNING')
    if not one.as_mmdet and not torch.cuda.is_available():
        keep_freed_memory()
    model = build_model(one.cfg)
    if not one.as_mmdet:
        compute_channels_last(model)
    if one.compile:
        compile_parts(model)
    return STEPS[one.step](one.cfg, model)


def _seconds(step: Callable[[], None]) -> float:
    start = perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def _profile(step: Callable[[], None]) -> dict:
    """An iteration with PyTorch's profiler: its seconds, and those in products and in other operators."""
    if torch.cuda.is_available():
        return dict(products=None, profiled=None, others={})
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        seconds = _seconds(step)
    times = {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
    products = sum(times.pop(name, 0) for name in PRODUCTS)
    others = dict(sorted(times.items(), key=lambda item: -item[1])[:OTHERS])
    return dict(products=products, profiled=seconds, others=others)


def _peak() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
