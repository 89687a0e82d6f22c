"""The command that kills trainings at random moments, in its short form."""

from pathlib import Path


def test_killed_trainings_end_equal(command):
    log = command(Path(__file__).parent / 'interrupted_runs.py', '--kills', '2', '--only', 'classifier, EMA', '--seed', '3')
    assert '2 kills, 2 equal' in log and log.count(': equal') == 2
