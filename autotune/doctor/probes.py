"""All readings of this machine, in an order in which none disturbs another."""

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from autotune.doctor import hardware, space, timing
from autotune.doctor.files import attempt
from autotune.doctor.readings import Devices, Lock, MachineReadings, Missing
from autotune.errors import AutotuneError, BusyError
from autotune.host.cpus import cpus, usable_cpus
from autotune.host.memory import memory
from autotune.machines.fingerprint import fingerprint
from autotune.machines.locks import Patience, machine_lock
from autotune.machines.passing import look
from autotune.racing.calibration import load_calibration

T = TypeVar("T")
Tell = Callable[[str], None]
"""Hears what is being probed, for people."""
_ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long the timed probes take: about 15 s in all, where limits bite up to 25 s."""

    idle_s: float = 2.0
    load_s: float = 5.0
    rounds: int = 40
    round_s: float = 0.05
    sleeps: int = 200
    writes: int = 20
    limit_s: float = 3.0
    """For each of: pinned work, unpinned work, sleeps, writes."""


_EFFORT = Effort()


def examine(
    tell: Tell, effort: Effort = _EFFORT, root: Path = _ROOT, patience: Patience | None = None
) -> MachineReadings:
    """Take all readings; what needs a quiet machine, or takes it from others, under its lock."""
    with contextlib.ExitStack() as stack:
        lock = _take_lock(stack, patience)

        def timed(doing: str, probe: Callable[[], T]) -> T | Missing:
            if lock.problem is not None:
                return Missing("not probed: it needs the machine lock")
            tell(doing)
            return attempt(probe)

        # In the order of these lines: the temperature is wanted at the end of the load.
        return MachineReadings(
            lock=lock,
            cpus=attempt(partial(cpus, root)),
            idle=timed("idling", partial(timing.idle, root, effort.idle_s)),
            work=timed(
                "timing the same work again and again",
                partial(timing.fixed_work, effort.round_s, effort.rounds, effort.limit_s),
            ),
            overshoots_s=timed(
                "timing short sleeps", partial(timing.overshoots, effort.sleeps, effort.limit_s)
            ),
            load=timed(
                "loading all CPUs", partial(timing.full_load, root, effort.load_s, usable_cpus())
            ),
            temperatures=attempt(partial(hardware.temperatures, root)),
            frequency=attempt(partial(hardware.frequency, root)),
            batteries=attempt(partial(hardware.batteries, root)),
            topology=attempt(partial(hardware.topology, root)),
            clock_source=attempt(partial(hardware.clock_source, root)),
            clock_step_s=attempt(timing.clock_step_s),
            memory=attempt(partial(memory, root)),
            disk=attempt(lambda: space.disk(Path.cwd())),
            file_system=attempt(lambda: space.file_system(root, Path.cwd())),
            synced_writes=timed(
                "writing to the disk",
                lambda: space.synced_writes(Path.cwd(), effort.writes, effort.limit_s),
            ),
            sqlite=sqlite3.sqlite_version,
            openvino=attempt(_openvino),
            devices=timed("asking OpenVINO for devices", _devices),
            energy=attempt(partial(hardware.energy, root)),
        )


def _take_lock(stack: contextlib.ExitStack, patience: Patience | None) -> Lock:
    try:
        stack.enter_context(machine_lock(patience))
    except (AutotuneError, OSError) as error:
        return Lock(problem=str(error), is_held=isinstance(error, BusyError))
    return Lock()


def _openvino() -> str:
    try:
        return version("openvino")
    except PackageNotFoundError:
        raise ValueError("not installed") from None


def _devices() -> Devices:
    try:
        looked = look(None)
    except AutotuneError as error:
        return Devices(names=(), problem=str(error))
    found = {name: device.name for name, device in looked.devices.items()}
    return Devices(
        names=tuple(f"{device} ({name})" for device, name in found.items()),
        calibration=load_calibration(fingerprint(looked.openvino, found)),
    )
