"""A simulated machine on which a race is held and everything that it does is seen."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Block
from autotune.domain.race import Contender, Slice
from autotune.machines.ports import Load
from autotune.racing.launch import Venue
from autotune.racing.plan import RacePlan
from autotune.racing.race import Race
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedModel, SimulatedRunner
from tests.builders import make_configuration

GOAL = Goal(Objective.THROUGHPUT, 99.0, 20.0)
"""The contenders need 9.5 ms."""
UNCAPPED = Goal(Objective.THROUGHPUT, 99.0, None)
PLAN = RacePlan(budget_s=600.0, launches=3)
HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
LATENCY_HINT = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
EQUALS = [
    make_configuration(pinning=pinning, precision=precision)
    for precision in ("f32", "bf16", None)
    for pinning in (True, False, None)
]
"""Nine compile keys that the simulated machine runs alike."""
QUIET = 0.001
"""Noise that leaves nothing open."""


def calm(number: int, load: int) -> None:
    """Nothing strikes."""


@dataclass(kw_only=True)
class Stage:
    """A simulated machine on which everything that a race does is seen."""

    contenders: Sequence[Contender]
    runner: SimulatedRunner = field(default_factory=lambda: SimulatedRunner(noise=QUIET))
    memory: int | None = None
    """Bytes for all resident models together."""
    strike: Callable[[int, int], None] = calm
    """Called before every slice with the contender's position and its number among its slices."""
    alter: Callable[[int, int, Block], Block] = lambda _, __, block: block
    """What becomes of every slice's block."""
    models: list["Watched"] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    kept: list[list[Slice]] = field(default_factory=list)
    slices: Counter[int] = field(default_factory=Counter)
    begun: list[list[int]] = field(default_factory=list)
    """Who was opened side by side, launch by launch."""

    @contextlib.contextmanager
    def side_by_side(self, entered: Sequence[Contender]) -> Iterator[None]:
        """Noted."""
        self.begun.append([self.contenders.index(contender) for contender in entered])
        yield

    def open_model(self, contender: Contender) -> "Watched":
        """By the simulated runner."""
        inner = self.runner.open(contender.configuration.compile_key)
        self.models.append(Watched(self, inner, self.contenders.index(contender)))
        return self.models[-1]

    def free_memory(self) -> int | None:
        """What the resident ones have left."""
        if self.memory is None:
            return None
        resident = [self.contenders[m.position] for m in self.models if not m.is_closed]
        return self.memory - sum(contender.peak_rss_bytes or 0 for contender in resident)

    def race(self, plan: RacePlan = PLAN, goal: Goal = GOAL, **fields: Any) -> Race:
        """A race on this stage; the first contender is the baseline."""
        venue = Venue(
            open_model=self.open_model,
            clock=self.runner.clock,
            side_by_side=self.side_by_side,
            free_memory=self.free_memory,
        )
        values: dict[str, Any] = {"baseline": 0, "keep": lambda s: self.kept.append(list(s))}
        return Race(self.contenders, goal, plan, venue, **{**values, **fields})

    @property
    def is_tidy(self) -> bool:
        """Whether every model that was opened is closed."""
        return all(model.is_closed for model in self.models)


class Watched:
    """A simulated model that counts its slices and knows whether it was closed."""

    def __init__(self, stage: Stage, inner: SimulatedModel, position: int) -> None:
        self._stage = stage
        self._inner = inner
        self.position = position
        self.opening = inner.opening
        self.is_closed = False

    @property
    def peak_rss_bytes(self) -> int | None:
        """As the simulation says."""
        return self._inner.peak_rss_bytes

    @property
    def load_peak_rss_bytes(self) -> int | None:
        """Likewise."""
        return self._inner.load_peak_rss_bytes

    @property
    def is_open(self) -> bool:
        """Likewise."""
        return self._inner.is_open

    def load(self, load: Load) -> Generator[Block]:
        """Blocks; those of half a second are slices, shorter ones warm up."""
        self._stage.loads.append(load)
        if load.block_s < PLAN.slice_s:
            yield from self._inner.load(load)
            return
        number = self._stage.slices[self.position]
        self._stage.slices[self.position] += 1
        self._stage.strike(self.position, number)
        for block in self._inner.load(load):
            yield self._stage.alter(self.position, number, block)

    def close(self) -> None:
        """For good."""
        self.is_closed = True
        self._inner.close()


def contenders(*configurations: Configuration, **fields: Any) -> list[Contender]:
    """Named by their position."""
    return [
        Contender(name=f"c{n}", configuration=c, **fields) for n, c in enumerate(configurations)
    ]


def equals(count: int, **fields: Any) -> list[Contender]:
    """So many that are equally fast."""
    return contenders(*EQUALS[:count], **fields)


def slowed(factors: dict[int, float], **fields: Any) -> SimulatedRunner:
    """A machine on which requests of some of the equals take so many times longer."""
    slower = {EQUALS[n].compile_key: factor for n, factor in factors.items()}
    return SimulatedRunner(slower=slower, **{"noise": QUIET, **fields})


def seats(slices: Iterable[Slice]) -> dict[int, set[int]]:
    """Who had turns in each launch."""
    found: dict[int, set[int]] = defaultdict(set)
    for piece in slices:
        found[piece.launch].add(piece.contender)
    return dict(found)


def after(count: int) -> Callable[[], bool]:
    """Says stop from the so many-th question on."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= count


def striking(position: int, numbers: Sequence[int], error: BaseException) -> Callable[..., None]:
    """Raises the error in these slices of one contender."""

    def strike(at: int, number: int) -> None:
        if at == position and number in numbers:
            raise error

    return strike
