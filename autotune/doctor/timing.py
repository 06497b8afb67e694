"""Probes that take their time: idling, fixed work, short sleeps, full load."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

from autotune.doctor.counters import counters, runnable_tasks
from autotune.doctor.files import attempt
from autotune.doctor.readings import FullLoad, Idle, Missing, Span, Work

_SAMPLE_S = 0.1
_SLEEP_S = 0.001
_CALIBRATION_ITERATIONS = 100_000
# The process ends by itself, so that one whose parent was killed does not spin on.
_SPIN = """
import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    pass
"""
_SPIN_BEYOND_S = 10.0


def idle(root: Path, duration_s: float) -> Idle:
    """Do nothing, and look now and then who else is running."""
    before = counters(root)
    samples: list[int | Missing] = []
    while not samples or time.monotonic() - before.monotonic_s < duration_s:
        time.sleep(min(_SAMPLE_S, duration_s))
        samples.append(attempt(partial(runnable_tasks, root)))
    interval = Span(before=before, after=counters(root))
    missing = next((sample for sample in samples if isinstance(sample, Missing)), None)
    counted = tuple(sample for sample in samples if isinstance(sample, int))
    return Idle(interval=interval, runnable_tasks=missing or counted)


def fixed_work(round_s: float, rounds: int, limit_s: float) -> Work:
    """Work of about `round_s`, the same in every round: pinned, then not."""
    iterations = _calibrated_iterations(round_s)
    return Work(
        pinned_s=attempt(partial(_pinned_rounds, iterations, rounds, limit_s)),
        unpinned_s=_rounds(iterations, rounds, limit_s),
    )


def _calibrated_iterations(duration_s: float) -> int:
    # From the fastest of some runs, as noise only adds time.
    fastest_s = min(_work_s(_CALIBRATION_ITERATIONS) for _ in range(20))
    return max(1, round(_CALIBRATION_ITERATIONS * duration_s / fastest_s))


def _pinned_rounds(iterations: int, rounds: int, limit_s: float) -> tuple[float, ...]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # the first CPUs often serve more interrupts
    try:
        return _rounds(iterations, rounds, limit_s)
    finally:
        os.sched_setaffinity(0, before)


def _rounds(iterations: int, rounds: int, limit_s: float) -> tuple[float, ...]:
    """Times of `rounds`, or of fewer (but two) where a throttled machine would need too long."""
    times_s: list[float] = []
    deadline = time.perf_counter() + limit_s
    while len(times_s) < rounds and (len(times_s) < 2 or time.perf_counter() < deadline):
        times_s.append(_work_s(iterations))
    return tuple(times_s)


def _work_s(iterations: int) -> float:
    begun, mixed = time.perf_counter(), 0
    for i in range(iterations):
        mixed ^= i
    return time.perf_counter() - begun


def overshoots(sleeps: int, limit_s: float) -> tuple[float, ...]:
    """By how much sleeps of a millisecond were too long."""
    found: list[float] = []
    deadline = time.perf_counter() + limit_s
    while len(found) < sleeps and (not found or time.perf_counter() < deadline):
        begun = time.perf_counter()
        time.sleep(_SLEEP_S)
        found.append(time.perf_counter() - begun - _SLEEP_S)
    return tuple(found)


def full_load(root: Path, duration_s: float, processes: int, program: str = _SPIN) -> FullLoad:
    """Run a program that never waits in as many processes.

    Raises:
        OSError: a process cannot be started.
        ValueError: a process ended early, so that the load was not full.
    """
    with contextlib.ExitStack() as stack:
        before = counters(root)
        spinning = [
            stack.enter_context(_running(program, duration_s + _SPIN_BEYOND_S))
            for _ in range(processes)
        ]
        time.sleep(duration_s)
        after = counters(root)
        if any(process.poll() is not None for process in spinning):
            raise ValueError("the processes of the full load ended early")
    return FullLoad(interval=Span(before=before, after=after), processes=processes)


@contextlib.contextmanager
def _running(program: str, at_most_s: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-I", "-S", "-c", program, str(at_most_s)]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing) as process:
        try:
            yield process
        finally:
            process.kill()


def clock_step_s() -> float:
    """The smallest step of `time.perf_counter` that can be seen, its own cost included."""
    stamps = [time.perf_counter_ns() for _ in range(10_000)]
    steps = [after - before for before, after in pairwise(stamps) if after > before]
    if not steps:
        raise ValueError("time.perf_counter stands still")
    return min(steps) / 1e9
