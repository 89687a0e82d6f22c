"""Time and memory of a trained model in several runtimes, measured side by side."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Callable, Dict, List, NamedTuple, Sequence

import cv2
import numpy as np

from .model_process import PROGRAM, STACK


class Candidate(NamedTuple):
    """A model in a runtime.

    Attributes:
        name (str): What the table calls it.
        job (dict): What :mod:`.model_process` loads.
    """

    name: str
    job: dict


class Process:
    """The process of a candidate.

    Args:
        candidate (Candidate): The candidate.
        image (Path): The image that it gets.
        threads (int): CPU threads.

    Attributes:
        start (float): Seconds from the start of Python to the first result.
        found (int, optional): Number of objects.
        seconds (list[float]): Of each later run.
        peak_bytes (int, optional): The most memory of the process.

    Raises:
        RuntimeError: If it fails; the message is the last line that it printed.
    """

    def __init__(self, candidate: Candidate, image: Path, threads: int) -> None:
        self.name, self.seconds, self.peak_bytes = candidate.name, [], None
        hidden = () if candidate.job['kind'] == 'pytorch' else STACK
        self.errors = tempfile.TemporaryFile('w+')
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, '-c', PROGRAM.format(hidden=hidden)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
        )
        self.found = self._ask(dict(candidate.job, image=str(image), threads=threads))['found']
        self.start = time.perf_counter() - begin

    def run(self) -> None:
        """Runs the model once."""
        answer = self._ask({})
        self.seconds.append(answer['seconds'])
        self.peak_bytes = answer['peak_bytes']

    def close(self) -> None:
        """Ends the process."""
        with suppress(OSError):  # it has ended
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def _ask(self, question: dict) -> dict:
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            raise RuntimeError(self._last_words()) from error

    def _last_words(self) -> str:
        """Why the process ended."""
        status = self.process.wait()
        if status < 0:
            return f'killed by signal {-status}, maybe for want of memory'
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1] if lines else f'ended with status {status}'


def compare(
    candidates: Sequence[Candidate], image: np.ndarray, threads: int, rounds: int, report: Callable[[str], object]
) -> List[dict]:
    """Measures candidates in rounds: in each round every one runs once, since machines are noisy.

    Args:
        candidates (Sequence[Candidate]): The candidates.
        image (np.ndarray): (height, width, 3), uint8, BGR.
        threads (int): CPU threads of each.
        rounds (int): Number of rounds.
        report (Callable[[str], object]): Called with what is done.

    Returns:
        list[dict]: A result for each candidate, ready for JSON: 'name', and 'error'; or 'start', 'found', 'seconds',
        'median_seconds', 'ratio' (the median over the rounds of the time divided by that of the first candidate) and
        'peak_bytes'.
    """
    failed: Dict[str, dict] = {}
    processes: Dict[str, Process] = {}

    def fail(name: str, error: RuntimeError) -> None:
        failed[name] = dict(name=name, error=str(error))
        report(f'{name} fails: {error}')

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'image.png'
        cv2.imwrite(str(file), image)
        try:
            for one in candidates:
                try:
                    processes[one.name] = Process(one, file, threads)
                    report(f'{one.name} has started')
                except RuntimeError as error:
                    fail(one.name, error)
            for number in range(rounds):
                for name, one in processes.items():
                    try:
                        if name not in failed:
                            one.run()
                    except RuntimeError as error:
                        fail(name, error)
                report(f'round {number + 1} of {rounds}')
        finally:
            for one in processes.values():
                one.close()
    measured = [one for name, one in processes.items() if name not in failed]
    return [*failed.values(), *(result_of(one, measured[0]) for one in measured)]


def result_of(one: Process, first: Process) -> dict:
    """What is saved of a process."""
    return dict(
        name=one.name,
        start=one.start,
        found=one.found,
        seconds=one.seconds,
        median_seconds=median(one.seconds),
        ratio=median(mine / others for mine, others in zip(one.seconds, first.seconds)),
        peak_bytes=one.peak_bytes,
    )


def describe(image: np.ndarray, threads: int, rounds: int) -> Dict[str, object]:
    """What the results depend on."""
    info = Path('/proc/cpuinfo')
    model = re.search(r'model name\s*:\s*(.+)', info.read_text() if info.is_file() else '')
    packages = ('torch', 'mmdet', 'onnxruntime', 'openvino', 'fishnet_mmdet')
    return dict(
        machine=f'{model[1] if model else platform.machine()}, {threads} threads',
        image=f'{image.shape[0]}x{image.shape[1]}',
        rounds=rounds,
        versions={name: version for name in packages if (version := version_of(name))},
    )


def version_of(package: str) -> str:
    """The version of an installed package, or ''."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''
