"""Time and memory of networks, measured side by side."""

import platform
import re
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence

import mmcv
import mmdet
import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from ..errors import FishNetError
from ..version import __version__
from .candidates import find_entry, norms
from .counts import count_saved_bytes
from .peak_memory import measure_peak

#: Dtype of the weights, and of autocast.
DTYPES = dict(
    float32=(torch.float32, None),
    float64=(torch.float64, None),
    bfloat16=(torch.float32, torch.bfloat16),
    float16=(torch.float32, torch.float16),
)
#: Short steps are repeated for this time in each round, in seconds.
ROUND_SECONDS = 0.2


class Conditions(NamedTuple):
    """How all networks are measured."""

    #: A key of ``SETTINGS``.
    setting: str = 'detection'
    #: A key of ``DTYPES``.
    dtype: str = 'float32'
    #: 'cpu' or 'cuda'.
    device: str = 'cpu'
    compile: bool = False
    rounds: int = 5


class Case(NamedTuple):
    """A step on images of one size: 'forward', or 'train' for forward and backward."""

    step: str
    height: int
    width: int
    batch: int

    @property
    def images(self) -> str:
        """str: '2 x 800x1344'."""
        return f'{self.batch} x {self.height}x{self.width}'

    @property
    def pixels(self) -> int:
        """int: Pixels of the batch."""
        return self.height * self.width * self.batch


class Candidate:
    """A network that is measured in a case.

    Raises:
        FishNetError: If there is no such network.
    """

    def __init__(self, name: str, case: Case, conditions: Conditions) -> None:
        self.name, self.device, self.trains = name, conditions.device, case.step == 'train'
        self.entry, layout = find_entry(name)
        dtype, half = DTYPES[conditions.dtype]
        self.autocast = torch.autocast(self.device, half, enabled=half is not None)
        like = dict(dtype=dtype, device=self.device, memory_format=layout)
        self.net = self.entry.make(conditions.setting).to(**like)
        self.net.train(self.trains)
        for norm in norms(self.net):
            # On random weights, BN frozen at the identity would let the activations grow without bounds.
            norm.running_var.fill_(1.7)
        if conditions.compile:
            self.net.compile(dynamic=False)
        self.parts = self.entry.split(self.net, torch.randn(case.batch, 3, case.height, case.width).to(**like))
        self.gradients: Dict[torch.Size, Tensor] = {}
        self.seconds: List[float] = []
        self.saved = self.peak = None

    def step(self) -> None:
        """Computes the network once: forward, and backward from given gradients of the outputs if it trains."""
        for module, x in self.parts:
            with torch.set_grad_enabled(self.trains), self.autocast:
                out = module(x)
            if self.trains:
                outputs = [one for one in ([out] if isinstance(out, Tensor) else out) if one.requires_grad]
                torch.autograd.backward(outputs, list(map(self.gradient, outputs)))
                x.grad = None
        self.net.zero_grad()

    def gradient(self, out: Tensor) -> Tensor:
        """A random gradient in the layout of the output, the same in each step."""
        if out.shape not in self.gradients:
            self.gradients[out.shape] = torch.randn_like(out).mul_(1e-3)
        return self.gradients[out.shape]

    def measure_memory(self) -> None:
        """Measures peak and saved memory of a step. The convolutions alone have none that could be compared."""
        if len(self.parts) == 1:
            if self.trains:
                with self.autocast:
                    self.saved = count_saved_bytes(*self.parts[0])
            self.peak = measure_peak(self.step, self.device)

    def measure_time(self) -> None:
        """Measures the time of a step, after one that does not count."""
        timer = Timer('step()', globals=dict(step=self.step), num_threads=torch.get_num_threads())
        self.seconds.append(timer.blocked_autorange(min_run_time=ROUND_SECONDS).median)


def compare(
    names: Sequence[str], case: Case, conditions: Conditions, report: Callable[[Case, str], object] = lambda case, title: None
) -> List[dict]:
    """Measures networks in a case, in rounds: in each round every network is measured once, since machines are noisy.

    Args:
        names (Sequence[str]): Names that :func:`.candidates.find_entry` knows.
        case (Case): The step and the images.
        conditions (Conditions): How all networks are measured.
        report (Callable[[Case, str], object]): Called after each round.

    Returns:
        list[dict]: A result for each name, ready for JSON. 'ratio' is the median over the rounds of the time divided by that
        of the first network.

    Raises:
        FishNetError: If a network cannot compute the case, or this PyTorch compiles no modules.
    """
    if conditions.compile:
        if not hasattr(torch.nn.Module, 'compile'):
            raise FishNetError(f'compiled networks need PyTorch 2.1 or newer, and {torch.__version__} is installed')
        torch.compiler.reset()
    candidates = []
    for name in names:
        with explain_errors(name, case, conditions):
            candidates.append(Candidate(name, case, conditions))
    rounds = [(f'round {number} of {conditions.rounds}', Candidate.measure_time) for number in range(1, conditions.rounds + 1)]
    for title, measure in [('warm-up', Candidate.step), ('memory', Candidate.measure_memory), *rounds]:
        for one in candidates:
            with explain_errors(one.name, case, conditions):
                measure(one)
        report(case, title)
    return [
        dict(
            network=one.name,
            title=one.entry.title,
            family=one.entry.family,
            **case._asdict(),
            images=case.images,
            seconds=one.seconds,
            median_seconds=median(one.seconds),
            ratio=median(mine / first for mine, first in zip(one.seconds, candidates[0].seconds)),
            saved_bytes=one.saved,
            peak_bytes=one.peak,
        )
        for one in candidates
    ]


@contextmanager
def explain_errors(name: str, case: Case, conditions: Conditions) -> Iterator[None]:
    """Turns an error of torch into a message that names the network and the remedy."""
    try:
        yield
    except FishNetError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = ' '.join(str(error).split())[:300]
        hint = 'choose multiples of 32 for --size, as mmdet pads images, at least 64, and a --dtype that the device supports'
        if isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in reason:
            hint = 'there is not enough memory, choose a smaller --size or --batch'
        elif conditions.compile:
            hint = 'try without --compile'
        raise FishNetError(
            f'{name} cannot compute {case.step}, {case.images}, {conditions.dtype} on {conditions.device} ({reason}): {hint}'
        ) from error


def describe(conditions: Conditions) -> dict:
    """What the results depend on besides the case: machine, versions and conditions."""
    info = Path('/proc/cpuinfo')
    model = re.search(r'model name\s*:\s*(.+)', info.read_text() if info.is_file() else '')
    cpu = f'{model[1] if model else platform.machine()}, {torch.get_num_threads()} threads'
    versions = dict(torch=torch.__version__, mmcv=mmcv.__version__, mmdet=mmdet.__version__, fishnet_mmdet=__version__)
    return dict(
        machine=torch.cuda.get_device_name() if conditions.device == 'cuda' else cpu,
        versions=', '.join(f'{package} {version}' for package, version in versions.items()),
        setting=conditions.setting,
        dtype=conditions.dtype + (', compiled' if conditions.compile else ''),
        rounds=conditions.rounds,
    )


def headline(about: dict) -> str:
    """The result of :func:`describe` in one line."""
    return '{machine}; {setting}, {dtype}; {versions}'.format(**about)
