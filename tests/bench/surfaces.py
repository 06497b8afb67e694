"""The recorded surfaces of studies/surfaces, and simulated ones of a larger machine."""

import os
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from autotune.space.configuration import Configuration
from autotune.space.space import SearchSpace
from autotune.spec import build_spec
from autotune.surfaces.file import load_surface
from autotune.surfaces.record import record
from autotune.surfaces.surface import RecordPlan, Surface
from autotune.surfaces.truth import RecordedMachine
from autotune.testing import SimulatedCpu, SimulatedRunner
from tests.bench.weather import LAUNCH_NOISE, surface_noise, weather

FOLDER = Path(__file__).resolve().parents[2] / "studies" / "surfaces"
PERCENTILES = {
    "classifier": 99.0,
    "recogniser": 99.0,
    "squeezenet": 99.0,
    "detector": 95.0,
    "resnet50": 90.0,
}
"""Of each model's example study."""
SLOW = {f"slow {rate}/s": 2000 / rate for rate in (20, 50, 100, 200)}
"""Simulated models on two CPUs by their rate, with the milliseconds of an item on one thread."""
SHARES = (0.1, 0.3, 0.6)
"""Caps: what a tenth, three tenths and six tenths of the cells meet."""
SIMULATED_CPUS = 16
_SMALL = "batch 1"
_MOST_REQUESTS = 4
OWN = "own"
"""The noise that a surface was recorded with."""


def real() -> list[str]:
    """The recorded surfaces that are there."""
    return [name for name in PERCENTILES if (FOLDER / name / "surface.db").is_file()]


def simulated() -> list[str]:
    """Simulated ones, each after a recorded one: a larger machine with the same model."""
    return [f"{name} on {SIMULATED_CPUS}" for name in real()]


def small() -> list[str]:
    """Of each recorded surface the two dozen cells of a model that cannot be batched."""
    return [f"{name}, {_SMALL}" for name in real()]


def percentile(name: str) -> float:
    """Of the model's example study."""
    return PERCENTILES.get(re.split("[, ]", name)[0], 99.0)


@cache
def machine(name: str, noise: str = OWN, strength: float = 1.0) -> RecordedMachine:
    """A surface, worked out once in each process.

    Args:
        name: of a recorded one, or of a simulated one.
        noise: its own, or one of `weather.NOISES`.
        strength: of the noise.
    """
    if name in PERCENTILES:
        surface = load_surface(FOLDER / name / "surface.db")
    elif name.endswith(_SMALL):
        surface = unbatched(load_surface(FOLDER / name.removesuffix(f", {_SMALL}") / "surface.db"))
    elif name in SLOW:
        surface = _simulated(name, SimulatedCpu(cpus=2, item_ms=SLOW[name], overhead_ms=1.0))
    else:
        surface = _simulated(name, calibrated(name.split(maxsplit=1)[0])[0])
    return RecordedMachine(surface, None if noise == OWN else surface_noise(noise), strength)


def unbatched(surface: Surface) -> Surface:
    """What a surface of the same model would be if it could not be batched.

    One sample and four requests at most, asynchronous, in one precision.
    """
    identity = surface.identity
    choices = identity.space.to_dict()
    few = [n for n in choices["requests_per_stream"] if n <= _MOST_REQUESTS]
    choices |= {"batch": [1], "api": ["async"], "requests_per_stream": few}
    choices["precision"] = choices["precision"][:1]
    space = SearchSpace.from_dict(choices)
    kept = {space.configuration(point) for point in space.points()}
    numbers = [i for i, cell in enumerate(surface.cells) if cell.is_hint or cell in kept]
    cells = {number: position for position, number in enumerate(numbers)}
    launches = [
        replace(
            launch,
            slices=tuple(
                replace(taken, cell=cells[taken.cell])
                for taken in launch.slices
                if taken.cell in cells
            ),
        )
        for launch in surface.launches
    ]
    return Surface(
        identity=replace(identity, space=space),
        cells=tuple(surface.cells[number] for number in numbers),
        launches=tuple(launch for launch in launches if launch.slices),
    )


def _simulated(name: str, cpu: SimulatedCpu) -> Surface:
    """The surface of a simulated machine, recorded as a real one is."""
    runner = SimulatedRunner(
        cpu=cpu, weather=weather(1), launch_noise=LAUNCH_NOISE["first"], tail_noise=0.03, seed=1
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUTOTUNE_LOCK_DIR"] = folder  # simulated machines are not in each other's way
        model = Path(folder) / "model.onnx"
        model.write_bytes(b"simulated")
        spec = build_spec(
            {
                "model": {"path": str(model)},
                "goal": {"max_latency": "1s"},
                "space": {"pinning": True},
            },
            name,
        )
        plan = RecordPlan(launches=2, rounds=1, residents=8)
        return record(spec, Path(folder), Path(folder) / "surface.db", plan, runner=runner)


def calibrated(name: str) -> tuple[SimulatedCpu, float]:
    """A simulated CPU that does what a recorded one did, with more CPUs; and its error.

    Cost of a request and of an item, the serial share and the contention are fitted to the
    throughputs of all asynchronous cells in the runtime's own precision.

    Returns:
        The simulated CPU with `SIMULATED_CPUS`, and the median relative error of the fitted one on
        the cells that it was fitted to.
    """
    recorded = machine(name)
    precision = recorded.default_precision
    cells = [
        (position, cell)
        for position, cell in enumerate(recorded.surface.cells)
        if cell.streams is not None and cell.api == "async" and cell.precision == precision
    ]
    seen = np.log([recorded.throughputs[position] for position, _ in cells])
    small = recorded.surface.identity.space.cpus

    def cpu(x: np.ndarray, cpus: int) -> SimulatedCpu:
        item_ms, overhead_ms, serial, contention = np.exp(x)
        return SimulatedCpu(
            cpus=cpus,
            item_ms=float(item_ms),
            overhead_ms=float(overhead_ms),
            serial=float(min(serial, 1.0)),
            contention=float(contention),
        )

    def off(x: np.ndarray) -> np.ndarray:
        model = cpu(x, small)
        return np.array([_log_throughput(model, cell) for _, cell in cells]) - seen

    fitted = least_squares(off, np.log([1.0, 0.1, 0.2, 0.05]), loss="soft_l1", f_scale=0.1).x
    return cpu(fitted, SIMULATED_CPUS), float(np.median(np.abs(np.expm1(off(fitted)))))


def _log_throughput(cpu: SimulatedCpu, cell: Configuration) -> float:
    effective = cpu.effective(cell.compile_key)
    flow = cpu.flow(effective, cell.batch_size, effective.requests(cell))
    return float(np.log(flow.throughput_per_s))
