"""Surfaces of a simulated machine, as they would have been recorded, and their replay."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from autotune.domain.arrival import Closed
from autotune.domain.failure import Failure
from autotune.domain.measurement import Block
from autotune.machines.ports import Load
from autotune.search.derive import seeds
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.surfaces.recording import Recording
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.surface import (
    RecordedLaunch,
    RecordPlan,
    Surface,
    SurfaceIdentity,
)
from autotune.surfaces.truth import RecordedMachine
from autotune.testing import SimulatedCpu, SimulatedRunner
from tests.search.surface import make_space

SPACE = make_space(precision=("f32", "bf16"), api=(Api.ASYNC, Api.SYNC))
CPU = SimulatedCpu(speed={"f32": 1.0, "bf16": 1.5})
HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
UNKNOWN = CompileKey("CPU", (("NUM_STREAMS", "3"),), 1)


def surface_of(plan: RecordPlan, **fields: Any) -> Surface:
    """What a simulated machine makes of the space; fields are the runner's."""
    runner = SimulatedRunner(cpu=CPU, **fields)
    cells = list(dict.fromkeys([*seeds(SPACE), *map(SPACE.configuration, SPACE.points())]))
    kept: list[RecordedLaunch] = []
    Recording(cells, plan, runner, keep=kept.extend).run()
    facts = runner.inspect(["CPU"], try_batch=True)
    identity = SurfaceIdentity(
        name="demo",
        spec="",
        model_sha256="ab" * 32,
        shapes={"x": [1, 3, 32, 32]},
        machine=runner.machine(facts).to_dict(),
        versions={},
        space=SPACE,
        plan=plan,
        started_at="2026-11-25T03:42:00+00:00",
    )
    return Surface(identity=identity, cells=tuple(cells), launches=tuple(kept))


@cache
def quiet() -> Surface:
    """Three launches without any noise."""
    return surface_of(RecordPlan(launches=3, rounds=2, residents=5))


@cache
def noisy() -> Surface:
    """Two launches whose blocks and latencies differ; all models are resident together."""
    return surface_of(RecordPlan(launches=2, rounds=6, residents=99), noise=0.1, seed=5)


def machine_of(surface: Surface, launch_sd: float | None = None) -> RecordedMachine:
    """What the surface tells; with another deviation between launches if that is given."""
    machine = RecordedMachine(surface)
    if launch_sd is not None:
        machine.__dict__["fit"] = replace(machine.fit, launch_sd=launch_sd)
    return machine


def load_for(runner: RecordedRunner, cell: int, **fields: Any) -> Load:
    """The load of a cell."""
    values: dict[str, Any] = {"block_s": 0.3, "block_rounds": 2, "limit_s": 1e6, **fields}
    recorded = runner.recorded
    is_blocking = recorded.surface.cells[cell].is_blocking
    return Load(arrival=Closed(recorded.effective_requests(cell), is_blocking), **values)


def blocks_of(runner: RecordedRunner, cell: int, count: int, **fields: Any) -> list[Block]:
    """The first blocks of a cell in a fresh process."""
    model = runner.open(runner.recorded.surface.cells[cell].compile_key)
    blocks = model.load(load_for(runner, cell, **fields))
    found = list(islice(blocks, count))
    blocks.close()
    return found


def rate(block: Block) -> float:
    """Requests per second."""
    return block.completions / block.duration_s


def changed(surface: Surface, change: Callable[[RecordedLaunch], RecordedLaunch]) -> Surface:
    """The surface with other launches."""
    return replace(surface, launches=tuple(change(launch) for launch in surface.launches))


def failed(launch: RecordedLaunch, failure: Failure | None) -> RecordedLaunch:
    """The launch as it is kept where it could not be measured."""
    return replace(launch, opening=None, failure=failure, peak_rss_bytes=None, slices=())
