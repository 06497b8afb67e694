"""Studies to replay: surfaces, caps, seeds, and whoever knows the truth beforehand."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial

from autotune.domain.goal import Goal, Objective
from autotune.domain.sampler import Sampler
from autotune.search.points import PointTable
from autotune.search.sampler import Strategy
from autotune.spec import StudySpec
from autotune.surfaces.replay import caps_ms, regret, spec_for
from autotune.surfaces.truth import RecordedMachine
from tests.bench import surfaces

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Job:
    """One study: a surface, a cap, a seed, and the noise of the machine."""

    surface: str
    share: float
    seed: int
    noise: str = surfaces.OWN
    strength: float = 1.0
    percentile: float | None = None
    """Of the goal; that of the model's example study without one."""

    @property
    def machine(self) -> RecordedMachine:
        """The surface, worked out."""
        return surfaces.machine(self.surface, self.noise, self.strength)

    @property
    def goal(self) -> Goal:
        """Throughput under the cap."""
        percentile = self.percentile or surfaces.percentile(self.surface)
        (cap_ms,) = caps_ms(self.machine, percentile, [self.share])
        # As users give caps: two digits. The latency of a cell itself would always put one at the
        # cap, where nothing can be certified.
        return Goal(Objective.THROUGHPUT, percentile, float(f"{cap_ms:.2g}"))

    def spec(
        self,
        *,
        sampler: Sampler = Sampler.AUTO,
        trials: int | None = None,
        duration_s: float | None = None,
        race_share: float | None = None,
    ) -> StudySpec:
        """The job's study with this budget."""
        goal = self.goal
        return spec_for(
            self.machine,
            sampler=sampler,
            seed=self.seed,
            percentile=goal.percentile,
            cap_ms=goal.cap_ms,
            trials=trials,
            duration_s=duration_s,
            race_share=race_share,
        )


def jobs(
    seeds: int, names: Sequence[str], noise: str = surfaces.OWN, strength: float = 1.0
) -> list[Job]:
    """Every surface with every cap and seed."""
    return [
        Job(name, share, seed, noise, strength)
        for name in names
        for share in surfaces.SHARES
        for seed in range(seeds)
    ]


def hint_regret(machine: RecordedMachine, goal: Goal) -> float:
    """Of the better hint, by the surface's truth."""
    hints = [cell for cell in machine.surface.cells if cell.is_hint]
    return min(regret(machine, goal, hint)[0] for hint in hints)


def knowing(machine: RecordedMachine, goal: Goal) -> Callable[[PointTable], Strategy]:
    """A strategy that knows the surface, and proposes what is truly best first."""
    latencies = machine.latencies_ms(goal.percentile)
    promise = np.where(latencies <= (goal.cap_ms or np.inf), machine.throughputs, 0.0)

    class Oracle:
        """Proposes the truly best first."""

        def choose(
            self, study: Study, trial: FrozenTrial, table: PointTable, random: np.random.Generator
        ) -> int:
            """The free point with the highest true throughput within the cap."""
            free = table.free
            cells = [machine.cells[table.space.configuration(table[row])] for row in free.tolist()]
            return int(free[np.argmax(promise[cells])])

    return lambda _: Oracle()


def run_jobs(work: Callable[[T], R], todo: Iterable[T]) -> list[R]:
    """All jobs, on all CPUs; each process works out a surface once."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(work, todo, chunksize=2))
