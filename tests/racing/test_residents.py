"""Who is open: entering, turns, room, faults, and that nobody stays open."""

from collections.abc import Callable

import pytest

from autotune.domain.arrival import Closed
from autotune.domain.failure import FailureKind, TrialFault
from autotune.machines.ports import Load, OpenModel
from autotune.racing.residents import Residents
from autotune.space.configuration import CompileKey
from autotune.testing import SimulatedModel, SimulatedRunner
from tests.builders import make_configuration, make_failure

KEYS = [make_configuration(streams=streams).compile_key for streams in (1, 2, 4)]
LOAD = Load(arrival=Closed(4), limit_s=30.0)


class Closing(SimulatedRunner):
    """Knows who was closed, in order, and who cannot be."""

    def __init__(
        self, *, phase: str = "", stuck: CompileKey | None = None, free: int | None = None
    ) -> None:
        """The first model crashes in a phase, if one is given."""
        faults = {KEYS[0]: [make_failure(FailureKind.CRASH, phase=phase)]} if phase else {}
        super().__init__(faults=faults)
        self.closed: list[CompileKey] = []
        self.stuck = stuck
        self.free = free

    def open(self, key: CompileKey) -> SimulatedModel:
        """As ever; its end is noted."""
        model = super().open(key)
        plain = model.close

        def close() -> None:
            plain()
            self.closed.append(key)
            if key == self.stuck:
                raise RuntimeError("stuck")

        model.close = close  # type: ignore[method-assign]
        return model


def of(runner: Closing) -> Residents[CompileKey]:
    """All of one runner's."""
    return Residents(runner.open, free_memory=lambda: runner.free)


def test_whoever_enters_is_there_until_it_leaves() -> None:
    """In the order of opening; each has turns meanwhile."""
    runner = Closing()
    with of(runner) as residents:
        assert not residents
        for key in KEYS:
            residents.enter(key)
        residents.warm_up(KEYS[0], LOAD, 0.5)
        assert residents.turn(KEYS[2], LOAD).completions > 0
        assert (list(residents), len(residents)) == (KEYS, 3)
        residents.leave(KEYS[1])
        assert list(residents) == [KEYS[0], KEYS[2]]
        assert runner.closed == [KEYS[1]]
    assert runner.closed == [KEYS[1], KEYS[2], KEYS[0]]
    assert not residents


@pytest.mark.parametrize(
    "strike",
    [lambda r: r.turn(KEYS[0], LOAD), lambda r: r.warm_up(KEYS[0], LOAD, 0.5)],
    ids=["turn", "warm-up"],
)
def test_a_fault_lets_go_of_the_one_that_it_strikes(
    strike: Callable[[Residents[CompileKey]], object],
) -> None:
    """It is passed on; the others stay."""
    runner = Closing(phase="load")
    with of(runner) as residents:
        for key in KEYS[:2]:
            residents.enter(key)
        with pytest.raises(TrialFault):
            strike(residents)
        assert (list(residents), set(runner.closed)) == ([KEYS[1]], {KEYS[0]})


def test_one_that_cannot_be_opened_is_not_there() -> None:
    """Its fault is passed on."""
    runner = Closing(phase="open")
    with of(runner) as residents:
        with pytest.raises(TrialFault):
            residents.enter(KEYS[0])
        assert not residents


def test_an_error_inside_closes_everyone() -> None:
    """Whatever it is."""
    runner = Closing()

    def fall() -> None:
        with of(runner) as residents:
            residents.enter(KEYS[0])
            residents.enter(KEYS[1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fall()
    assert set(runner.closed) == set(KEYS[:2])


def test_one_that_is_stuck_keeps_no_other_open() -> None:
    """Its error is passed on when all are gone; to close again is no matter."""
    runner = Closing(stuck=KEYS[1])
    residents = of(runner)
    for key in KEYS:
        residents.enter(key)
    with pytest.raises(RuntimeError, match="stuck"):
        residents.close()
    assert set(runner.closed) == set(KEYS)
    residents.close()
    assert len(runner.closed) == 3


@pytest.mark.parametrize(
    ("free", "need", "has"), [(100, 100.0, True), (99, 100.0, False), (None, 100.0, True)]
)
def test_room_is_what_is_free(free: int | None, need: float, *, has: bool) -> None:
    """Where nobody knows, there is."""
    assert of(Closing(free=free)).has_room(need) is has


def test_the_model_is_there_to_be_asked() -> None:
    """For its opening and its peak."""
    with of(Closing()) as residents:
        model: OpenModel = residents.enter(KEYS[0])
        assert residents[KEYS[0]] is model
