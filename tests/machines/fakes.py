"""Workers of a few lines, each with one bad habit, and runners that have them."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from autotune.domain.arrival import Closed
from autotune.machines.deadlines import Deadlines
from autotune.machines.ports import Load
from autotune.machines.workers import SubprocessRunner
from autotune.space.configuration import CompileKey
from autotune.workload.workload import ModelSource

KEY = CompileKey("CPU", (("PERFORMANCE_HINT", "LATENCY"),), 1)
LOAD = Load(arrival=Closed(1), block_s=0.01, limit_s=60.0)

_PRELUDE = """
import json, os, resource, signal, subprocess, sys, time

OUT = int(sys.argv[1])

def write(data):
    while data:
        data = data[os.write(OUT, data):]

def say(word, **fields):
    write(json.dumps({"say": word, **fields}).encode() + b"\\n")

def hear():
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    return json.loads(line)

def opened():
    say("ready")
    hear()
    compiled()

def compiled():
    say("opened", effective={"NUM_STREAMS": "1"}, optimal_requests=1, read_s=0.0, compile_s=0.0,
        first_inference_ms=1.0, output_error=0.0)
    hear()

def together(step, count):
    '''Wait until so many workers in this folder are at this step.'''
    open(f"{step}-{os.getpid()}", "w").close()
    while sum(name.startswith(step) for name in os.listdir()) < count:
        time.sleep(0.01)

def block(ticks="ECcAAA=="):
    say("block", duration_s=0.5, latency_ticks=ticks, occupancy=1.0, loop_cpu_s=0.0,
        process_cpu_s=0.5, steal_s=None, pressure_s=None, throttled=None, major_faults=0,
        clock_drift_s=0.0)
"""


def fake_worker(folder: Path, body: str) -> Sequence[str]:
    """The command that starts a worker with this body."""
    script = folder / "worker.py"
    script.write_text(_PRELUDE + body)
    return (sys.executable, "-I", str(script))


def runner_of(
    folder: Path, body: str, block_s: float = 60.0, deadlines: Deadlines | None = None
) -> SubprocessRunner:
    """A runner whose workers have this body."""
    source = ModelSource(path=folder / "m.xml", shapes={}, inputs=None)
    deadlines = deadlines or Deadlines(block_s=block_s)
    return SubprocessRunner(source, folder / "logs", deadlines, fake_worker(folder, body))


def is_gone(group: int) -> bool:
    """Whether no process of this group lives; one that nobody has reaped yet does not live."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not members(group):
            return True
        time.sleep(0.01)
    return False


def members(group: int) -> list[psutil.Process]:
    """Living processes of a group."""
    return [process for process in psutil.process_iter() if _group(process) == group]


def _group(process: psutil.Process) -> int | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[2])
    except (psutil.Error, OSError):
        return None
