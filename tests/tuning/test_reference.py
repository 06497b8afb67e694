"""The reference: how often it looks, what it makes of the machine, and what faults cost."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from autotune.domain.failure import FailureKind
from autotune.domain.measurement import Feed
from autotune.space.configuration import CompileKey
from autotune.testing import SimulatedModel, SimulatedRunner
from autotune.tuning.reference import Reading, Reference
from tests.builders import make_configuration, make_failure

BASELINE = make_configuration()
KEY = BASELINE.compile_key


class Watched(SimulatedRunner):
    """Remembers the models that it opened, and has as much memory as it is told."""

    memory: int | None = None

    def free_memory(self) -> int | None:  # type: ignore[override]
        """As much as it is told."""
        return self.memory

    def open(self, key: CompileKey) -> SimulatedModel:
        """As ever."""
        model = super().open(key)
        self.models.append(model)
        return model

    @property
    def models(self) -> list[SimulatedModel]:
        """All that were ever opened."""
        return self.__dict__.setdefault("_models", [])  # type: ignore[no-any-return]


def at_rates(*rates: float) -> Reference:
    """A reference that has read these requests per half second."""
    found = Reference(SimulatedRunner(), BASELINE, Feed.BIND)
    found.rates += [2 * rate for rate in rates]
    return found


def visits(reference: Reference, runner: SimulatedRunner, seconds: float) -> Iterator[float]:
    """A visit for each second that passes outside; yields what it cost."""
    for _ in range(int(seconds)):
        before = runner.clock()
        reference.visit()
        yield runner.clock() - before
        runner.advance(1.0)


# --- turns


def test_the_first_visit_opens_warms_up_and_reads() -> None:
    """One slice, with its time on the runner's clock; it is kept at once."""
    kept: list[Reading] = []
    runner = SimulatedRunner()
    reference = Reference(runner, BASELINE, Feed.BIND, keep=kept.append)
    reference.visit()
    assert runner.opened == [KEY]
    assert [reading.per_s for reading in kept] == reference.rates
    assert kept[0].at_s == runner.clock()
    assert kept[0].per_s == pytest.approx(runner.predict(BASELINE).requests_per_s)


def test_a_visit_that_is_not_due_costs_nothing() -> None:
    """Right after another."""
    runner = SimulatedRunner()
    reference = Reference(runner, BASELINE, Feed.BIND)
    reference.visit()
    before = runner.clock()
    reference.visit()
    assert runner.clock() == before
    assert len(reference.rates) == 1


def test_it_takes_a_twentieth_of_the_time() -> None:
    """Over ten minutes, the opening included; and it does use that time."""
    runner = SimulatedRunner()
    reference = Reference(runner, BASELINE, Feed.BIND)
    spent = sum(visits(reference, runner, 600))
    assert 0.03 < spent / runner.clock() <= 0.055
    assert len(reference.rates) > 20
    assert runner.opened == [KEY]


def test_it_stays_resident_between_visits() -> None:
    """And goes when it is told to; closing twice is no matter."""
    runner = Watched()
    reference = Reference(runner, BASELINE, Feed.BIND)
    list(visits(reference, runner, 120))
    assert [model.is_open for model in runner.models] == [True]
    reference.close()
    reference.close()
    assert [model.is_open for model in runner.models] == [False]
    runner.advance(1000.0)
    reference.visit()
    assert [model.is_open for model in runner.models] == [False, True]


@pytest.mark.parametrize(
    ("free", "need", "opens"),
    [
        (None, 100, True),
        (401, 100, True),
        (400, 100, False),
        (50, 100, False),
        (1, None, True),
    ],
)
def test_it_opens_only_where_the_trials_keep_their_memory(
    free: int | None, need: int | None, opens: bool
) -> None:
    """Four times its need must be free; where one of the two is unknown it tries."""
    runner = Watched()
    runner.memory = free
    reference = Reference(runner, BASELINE, Feed.BIND, need_bytes=need)
    reference.visit()
    assert bool(runner.opened) is opens
    assert len(reference.rates) == opens


def test_once_resident_it_needs_no_more_memory() -> None:
    """And one that found no room tries again at the next visit."""
    runner = Watched()
    runner.memory = 0
    reference = Reference(runner, BASELINE, Feed.BIND, need_bytes=100)
    reference.visit()
    runner.memory = 1000
    reference.visit()
    runner.memory = 0
    list(visits(reference, runner, 120))
    assert runner.opened == [KEY]
    assert len(reference.rates) > 2


# --- faults


@pytest.mark.parametrize("phase", ["open", "load"])
def test_a_fault_costs_the_slice_and_never_the_study(phase: str) -> None:
    """It is opened again at the next visit; the broken one is closed."""
    runner = Watched(faults={KEY: [make_failure(FailureKind.CRASH, phase=phase)]})
    reference = Reference(runner, BASELINE, Feed.BIND)
    reference.visit()
    assert reference.rates == []
    assert not any(model.is_open for model in runner.models)
    reference.visit()
    assert len(reference.rates) == 1
    assert runner.opened == [KEY, KEY]


def test_it_gives_up_after_two_faults() -> None:
    """No third opening, however often it is visited."""
    runner = Watched(faults={KEY: repeat(make_failure(FailureKind.CRASH, phase="open"))})
    reference = Reference(runner, BASELINE, Feed.BIND)
    list(visits(reference, runner, 200))
    assert runner.opened == [KEY, KEY]
    assert reference.rates == []
    assert reference.departure is None
    assert not reference.is_off


# --- drift


@pytest.mark.parametrize("rates", [(), (100,), (100, 50)])
def test_fewer_than_three_readings_tell_nothing(rates: tuple[float, ...]) -> None:
    """There is no usual speed yet."""
    reference = at_rates(*rates)
    assert reference.departure is None
    assert not reference.is_off


@pytest.mark.parametrize(
    ("rates", "departure", "is_off"),
    [
        ((100, 100, 100), 0.0, False),
        ((100, 100, 109), 0.09, False),
        ((100, 100, 111), 0.11, True),
        ((100, 100, 91), -0.09, False),
        ((100, 100, 100, 100, 80), -0.2, True),
        ((100, 100, 50, 100, 100), 0.0, False),
        ((100, 200, 100, 200, 200), 0.0, False),
    ],
)
def test_a_tenth_off_the_median_is_drift(
    rates: tuple[float, ...], departure: float, *, is_off: bool
) -> None:
    """In either direction, and only at the last reading."""
    reference = at_rates(*rates)
    assert reference.departure == pytest.approx(departure)
    assert reference.is_off is is_off


def test_a_machine_that_slows_down_is_seen() -> None:
    """Half way through, all requests take a quarter longer."""
    runner = Watched()
    reference = Reference(runner, BASELINE, Feed.BIND)
    list(visits(reference, runner, 300))
    assert reference.departure == pytest.approx(0.0, abs=0.01)
    runner.models[0]._slowness *= 1.25
    list(visits(reference, runner, 60))
    assert reference.is_off
    assert reference.departure == pytest.approx(-0.2, abs=0.01)
