"""What every sampler promises, and what each of them does in its own way."""

from collections.abc import Callable
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Trial
from autotune.search.choose import GpThenTpe, search_of, strategy_of
from autotune.search.derive import seeds
from autotune.search.gp import Gp
from autotune.search.points import PointTable
from autotune.search.sampler import Exhaustive, Grid, Tpe, Uniform
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration
from autotune.space.dimensions import DIMENSIONS, Api
from autotune.space.space import SearchSpace
from autotune.storage.optuna_study import study_in_memory
from tests.search.conftest import CAPPED, NewSearch
from tests.search.surface import LARGE, advance, failed, make_space, measured, missed, points_of
from tests.space.test_space import spaces

SMALL = make_space()
ONLY = make_space(threads_per_stream=(2,), streams=(2,), requests_per_stream=(1,), batch=(1,))
MIXED = make_space(
    device=("CPU", "GPU"), api=(Api.ASYNC, Api.SYNC), batch=(1,), requests_per_stream=(1, 2, 3)
)
"""Two devices, and both ways to issue requests."""
PARETO = Goal(Objective.PARETO, 99, 10)
GOALS = {
    "capped": CAPPED,
    "uncapped": Goal(Objective.THROUGHPUT, 99, None),
    "latency": Goal(Objective.LATENCY, 99, None),
}
DRAWING = [sampler for sampler in Sampler if sampler is not Sampler.GRID]
"""Those that leave something to chance, and so to the seed."""

every_sampler = pytest.mark.parametrize("sampler", Sampler)
every_goal = pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)


def fresh(space: SearchSpace, sampler: Sampler, *, seed: int = 0, goal: Goal = CAPPED) -> Search:
    """A search of a study that nobody else has."""
    return search_of(sampler, study_in_memory(goal), space, goal, seed=seed, name="study.db")


def asked(search: Search) -> Proposal:
    """The next proposal, which there is."""
    proposal = search.ask()
    assert proposal is not None
    return proposal


def lost(proposal: Proposal) -> Trial:
    """The trial of a proposal whose worker was lost."""
    return failed(proposal, FailureKind.LOST)


# --- what all of them promise


@every_goal
@every_sampler
def test_a_space_is_exhausted_exactly(sampler: Sampler, goal: Goal) -> None:
    """Every point is proposed once, then nothing."""
    search = fresh(SMALL, sampler, goal=goal)
    proposed = advance(search, SMALL.size)
    assert sorted(points_of(SMALL, proposed)) == sorted(SMALL.points())
    assert search.ask() is None


@every_sampler
def test_two_devices_and_both_apis_are_exhausted_exactly(sampler: Sampler) -> None:
    """Repaired dimensions are neither tried twice nor left out."""
    search = fresh(MIXED, sampler)
    proposed = advance(search, MIXED.size)
    assert sorted(points_of(MIXED, proposed)) == sorted(MIXED.points())
    assert search.ask() is None


@every_goal
@every_sampler
def test_nothing_is_proposed_twice(sampler: Sampler, goal: Goal) -> None:
    """However long it goes on in a space that is too large to be seen."""
    proposed = advance(fresh(LARGE, sampler, goal=goal), 40)
    assert len(set(proposed)) == 40


@every_sampler
def test_a_space_of_one_point_is_asked_once(sampler: Sampler) -> None:
    """A study may fix every dimension, and begin with hints that lie nowhere in it."""
    search = fresh(ONLY, sampler)
    for hint in seeds(ONLY)[:2]:
        search.tell(measured(search.begin(hint, None)))
    assert advance(search, 1) == [ONLY.configuration(next(ONLY.points()))]
    assert search.ask() is None


@every_sampler
def test_what_is_taken_is_left_out(sampler: Sampler) -> None:
    """Points that are known by other ways are not proposed; all others are."""
    search, points = fresh(SMALL, sampler), list(SMALL.points())
    rest = points[2::5]
    search.take(point for point in points if point not in rest)
    assert sorted(points_of(SMALL, advance(search, len(rest)))) == rest
    assert search.ask() is None


@every_sampler
def test_what_runs_is_left_out(sampler: Sampler) -> None:
    """A configuration that was asked for is taken before its result is told."""
    search = fresh(SMALL, sampler)
    advance(search, 5)
    running = {asked(search).configuration for _ in range(SMALL.size - 5)}
    assert len(running) == SMALL.size - 5
    assert search.ask() is None


@every_goal
@every_sampler
def test_whatever_is_told_the_search_goes_on(sampler: Sampler, goal: Goal) -> None:
    """Hints outside of the space, failures, faults of the machine, misses, and sweeps between."""
    search, proposed = fresh(SMALL, sampler, goal=goal), set()
    outcomes: list[Callable[[Proposal], Trial]] = [failed, lost, missed, measured]
    for hint in seeds(SMALL)[:2]:
        search.tell(measured(search.begin(hint, None)))
    while (proposal := search.ask()) is not None:
        assert proposal.configuration not in proposed
        proposed.add(proposal.configuration)
        trial = outcomes[proposal.number % 4](proposal)
        if proposal.number % 7 == 0:
            search.forget(proposal.number)
        else:
            search.tell(trial)
        swept = next((p for p in SMALL.points() if not search.is_taken(p)), None)
        if swept is not None and len(proposed) % 4 == 0:
            configuration = SMALL.configuration(swept)
            proposed.add(configuration)
            search.tell(measured(search.begin(configuration, swept)))
    assert len(proposed) == SMALL.size


@every_sampler
def test_the_same_study_is_the_same_search(sampler: Sampler) -> None:
    """Nothing but the seed and the results decides."""
    assert advance(fresh(LARGE, sampler, seed=3), 15) == advance(fresh(LARGE, sampler, seed=3), 15)


@pytest.mark.parametrize("before", [2, 5, 16])
@every_goal
@every_sampler
def test_a_resumed_study_proposes_the_same(
    new_search: NewSearch, sampler: Sampler, goal: Goal, before: int
) -> None:
    """As if it had never stopped, in whichever phase of the search that was."""
    whole = advance(fresh(LARGE, sampler, seed=7, goal=goal), before + 4)
    first = advance(new_search(LARGE, goal, 7, sampler), before)
    resumed = new_search(LARGE, goal, 7, sampler)
    resumed.take(points_of(LARGE, first))
    assert first + advance(resumed, 4) == whole


@every_sampler
def test_a_study_that_is_resumed_at_every_trial_proposes_the_same(
    new_search: NewSearch, sampler: Sampler
) -> None:
    """What a session remembers beside the study only saves it time."""
    found: list[Configuration] = []
    for _ in range(14):
        search = new_search(LARGE, CAPPED, 1, sampler)
        search.take(points_of(LARGE, found))
        found += advance(search, 1)
    assert found == advance(fresh(LARGE, sampler, seed=1), 14)


@pytest.mark.parametrize("sampler", DRAWING)
def test_another_seed_is_another_search(sampler: Sampler) -> None:
    """Where there is something to draw."""
    first, other = (advance(fresh(LARGE, sampler, seed=seed), 5) for seed in (0, 1))
    assert first != other


def test_a_grid_needs_no_seed() -> None:
    """There is nothing to draw."""
    first, other = (advance(fresh(LARGE, Sampler.GRID, seed=seed), 9) for seed in (0, 1))
    assert first == other


# --- which is which


def test_every_name_stands_for_a_strategy() -> None:
    """As study.toml and the documents have them."""
    table = PointTable(SMALL)
    kinds = {name: type(strategy_of(name, table, CAPPED, 0)) for name in Sampler}
    assert kinds == {
        Sampler.AUTO: GpThenTpe,
        Sampler.GP: Gp,
        Sampler.TPE: Tpe,
        Sampler.RANDOM: Uniform,
        Sampler.GRID: Grid,
        Sampler.EXHAUSTIVE: Exhaustive,
    }


def test_only_what_learns_may_sweep() -> None:
    """The others have an order of their own."""
    assert {sampler for sampler in Sampler if sampler.learns} == {
        Sampler.AUTO,
        Sampler.GP,
        Sampler.TPE,
    }


@every_goal
def test_auto_begins_with_the_gaussian_process(goal: Goal) -> None:
    """Proposal for proposal."""
    auto, gp = (fresh(LARGE, sampler, goal=goal) for sampler in (Sampler.AUTO, Sampler.GP))
    assert advance(auto, 15) == advance(gp, 15)


@pytest.mark.parametrize(
    ("most", "expected"), [(13, Sampler.GP), (12, Sampler.TPE), (3, Sampler.TPE)]
)
def test_auto_goes_on_with_tpe_in_a_long_study(
    monkeypatch: pytest.MonkeyPatch, most: int, expected: Sampler
) -> None:
    """From the trial on at which a fit becomes dear, it proposes what TPE would."""
    monkeypatch.setattr("autotune.search.choose.MOST_OBSERVED", most)
    found = []
    for sampler in (Sampler.AUTO, expected):
        study = study_in_memory(CAPPED)
        gp = search_of(Sampler.GP, study, LARGE, CAPPED, seed=0, name="study.db")
        first = advance(gp, 12)
        search = search_of(sampler, study, LARGE, CAPPED, seed=0, name="study.db")
        search.take(points_of(LARGE, first))
        found.append(asked(search).configuration)
    assert found[0] == found[1]


def test_auto_is_tpe_for_two_objectives() -> None:
    """The Gaussian process has one."""
    assert isinstance(strategy_of(Sampler.AUTO, PointTable(SMALL), PARETO, 0), Tpe)
    auto, tpe = (fresh(LARGE, sampler, goal=PARETO) for sampler in (Sampler.AUTO, Sampler.TPE))
    assert advance(auto, 15) == advance(tpe, 15)


@pytest.mark.parametrize(
    "sampler", [Sampler.AUTO, Sampler.TPE, Sampler.RANDOM, Sampler.GRID, Sampler.EXHAUSTIVE]
)
def test_all_but_one_take_two_objectives(sampler: Sampler) -> None:
    """The space is exhausted as ever."""
    proposed = advance(fresh(SMALL, sampler, goal=PARETO), SMALL.size)
    assert len(set(proposed)) == SMALL.size


# --- exhaustive


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "mixed"])
def test_every_model_is_opened_once(space: SearchSpace, seed: int) -> None:
    """All request counts of a compiled model come one after the other."""
    proposed = advance(fresh(space, Sampler.EXHAUSTIVE, seed=seed), space.size)
    runs = [key for key, _ in groupby(proposed, key=lambda found: found.compile_key)]
    assert len(runs) == len(set(runs))


def test_models_come_in_another_order_with_another_seed() -> None:
    """A budget that ends early leaves no corner of the space out for good."""
    orders = [
        [found.compile_key for found in advance(fresh(LARGE, Sampler.EXHAUSTIVE, seed=seed), 20)]
        for seed in range(3)
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_a_model_that_was_begun_is_gone_on_with() -> None:
    """Also by a study that is resumed in the middle of it."""
    whole = advance(fresh(SMALL, Sampler.EXHAUSTIVE), SMALL.size)
    for before in range(1, SMALL.size):
        resumed = fresh(SMALL, Sampler.EXHAUSTIVE)
        resumed.take(points_of(SMALL, whole[:before]))
        assert asked(resumed).configuration == whole[before]


# --- grid


def rows_of(space: SearchSpace, configurations: list[Configuration]) -> list[int]:
    """Where configurations stand in the order of the space."""
    order = {point: row for row, point in enumerate(space.points())}
    return [order[point] for point in points_of(space, configurations)]


@given(spaces().filter(lambda space: 8 <= space.size <= 3000), st.sampled_from([4, 8]))
def test_a_grid_is_spread_over_the_space(space: SearchSpace, count: int) -> None:
    """The first so many points leave no stretch of the space open that is twice their share."""
    rows = sorted(rows_of(space, advance(fresh(space, Sampler.GRID), count)))
    gaps = [later - earlier for earlier, later in pairwise([*rows, space.size])]
    assert rows[0] == 0
    assert max(gaps) <= 2 * space.size / count


def test_a_grid_becomes_finer() -> None:
    """A longer grid has the points of a shorter one, and others between them."""
    short = advance(fresh(LARGE, Sampler.GRID), 8)
    long = advance(fresh(LARGE, Sampler.GRID), 32)
    assert long[:8] == short
    widest = [
        max(later - earlier for earlier, later in pairwise([*sorted(rows), LARGE.size]))
        for rows in (rows_of(LARGE, short), rows_of(LARGE, long))
    ]
    assert widest[1] <= widest[0] / 2


def test_a_grid_varies_every_dimension() -> None:
    """A part of the space that always has the same pinning is no grid."""
    points = points_of(LARGE, advance(fresh(LARGE, Sampler.GRID), 48))
    for axis, name in enumerate(DIMENSIONS):
        seen = {point[axis] for point in points}
        assert len(seen) >= min(2, len(LARGE.choices[name])), name
