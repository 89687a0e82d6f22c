"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

from fishnet_mmdet.engine.memory import keep_freed_memory

SCRIPT = """
import re, resource, torch
from pathlib import Path
{call}
def faults():
    torch.ones(16 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults())
"""
KEEP = 'from fishnet_mmdet.engine.memory import keep_freed_memory; assert keep_freed_memory()'


@pytest.mark.skipif(sys.platform != 'linux', reason='it is glibc that keeps the memory')
def test_a_tensor_takes_the_pages_of_the_one_before():
    """Of 10 tensors of 64 MiB, the system hands out each page again, or those of the first."""
    faults = [
        int(
            subprocess.run([sys.executable, '-c', SCRIPT.format(call=call)], capture_output=True, text=True, check=True).stdout
        )
        for call in ('', KEEP)
    ]
    assert faults[1] < 0.2 * faults[0]


def test_other_systems_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert keep_freed_memory() is False


def test_what_the_user_says_holds(monkeypatch):
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '131072')
    assert keep_freed_memory() is False
