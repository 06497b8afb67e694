"""What preparing inputs takes, and what overlapping it with inference brings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis.preparation import (
    overlap,
    preparation,
    raced_overlap,
    raced_preparation,
)
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Interval, Readings
from autotune.domain.race import State
from autotune.domain.trial import Trial
from autotune.space.dimensions import Api
from tests.builders import GOAL, make_configuration, make_measurement, make_trial
from tests.report.races import make_result, make_standing

PREPARED = Readings(prepare_ms=0.5)
SYNC = make_configuration(api=Api.SYNC)
ASYNC = make_configuration()


def trial(number: int, rate: float, *, sync: bool = False, **fields: Any) -> Trial:
    """One that prepares its inputs, at so many items a second."""
    values = {"throughput": Interval(rate, rate - 1, rate + 1), "readings": PREPARED, **fields}
    configuration = SYNC if sync else ASYNC
    return make_trial(number, configuration=configuration, measurement=make_measurement(**values))


@given(st.floats(0.001, 50), st.floats(0.001, 1000), st.integers(1, 64), st.integers(1, 8))
def test_a_thread_that_prepares_one_after_the_other_is_busy_so_long(
    prepare_ms: float, requests_per_s: float, batch: int, own: int
) -> None:
    """By requests, whatever the items in each; of the latency it is a share."""
    items = batch * own
    measured = make_measurement(
        readings=Readings(prepare_ms=prepare_ms),
        throughput=Interval(items * requests_per_s, None, None),
    )
    found = preparation(measured, items)
    assert found is not None
    assert found.prepare_ms == prepare_ms
    assert found.busy == pytest.approx(prepare_ms / 1000 * requests_per_s)
    assert found.share == pytest.approx(prepare_ms / measured.latency.mean_ms)


def test_where_nothing_is_prepared_there_is_nothing_to_say() -> None:
    """And without knowing items, not how busy a thread is."""
    assert preparation(make_measurement(), 1) is None
    assert raced_preparation(make_standing()) is None
    assert raced_preparation(make_standing(latency=None, readings=PREPARED)) is None
    found = preparation(make_measurement(readings=PREPARED), None)
    assert found is not None
    assert (found.share, found.busy) == (0.5, None)


def test_a_contender_has_its_own_figures() -> None:
    """Of the race's processes: 1374.2 items a second of one item each, 2 ms in the mean."""
    found = raced_preparation(make_standing(readings=PREPARED))
    assert found is not None
    assert [found.share, found.busy] == pytest.approx([0.25, 0.5e-3 * 1374.2])


def test_overlap_is_the_best_of_both_kinds() -> None:
    """By what they claim, of those that meet the goal and prepare anything."""
    trials = [
        trial(0, 100),
        trial(1, 300),
        trial(2, 900, verdict=Verdict.MISSED),
        trial(3, 150, sync=True),
        trial(4, 120, sync=True),
        trial(5, 400, sync=True, verdict=Verdict.UNCLEAR),
        trial(6, 5000, readings=Readings()),
    ]
    found = overlap(trials, GOAL)
    assert found is not None
    assert (found.asynchronous, found.synchronous) == ("trial 1", "trial 3")
    assert found.ratio == Interval(2.0, None, None)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0, 100)],
        [trial(0, 100, sync=True)],
        [trial(0, 100), trial(1, 90, sync=True, verdict=Verdict.MISSED)],
        [trial(0, 100), trial(1, 90, sync=True, readings=Readings())],
        [trial(0, 100), trial(1, 0, sync=True)],
    ],
)
def test_without_one_of_each_kind_there_is_none(trials: list[Trial]) -> None:
    """A rate of nothing is nothing to compare with either."""
    assert overlap(trials, GOAL) is None


def standings(**sync: Any) -> list[Any]:
    """Two asynchronous ones that prepare, and a synchronous one."""
    chosen = make_standing("trial 1", readings=PREPARED)
    slower = make_standing(
        "trial 2", State.SLOWER, readings=PREPARED, throughput=Interval(900.0, None, None)
    )
    waits = make_standing(
        "trial 3",
        sync.pop("state", State.SLOWER),
        configuration=SYNC,
        readings=PREPARED,
        throughput=Interval(687.1, 680.0, 694.0),
        **{"to_chosen": Interval(0.5, 0.4, 0.625), **sync},
    )
    return [chosen, slower, waits]


def test_the_race_says_it_with_its_interval() -> None:
    """The inverse of what the synchronous one is of the chosen one."""
    winner, *others = standings()
    found = raced_overlap(make_result(*others, winner=winner), GOAL)
    assert found is not None
    assert (found.asynchronous, found.synchronous) == ("trial 1", "trial 3")
    assert found.ratio == Interval(2.0, 1.6, 2.5)


def test_a_synchronous_choice_has_the_ratio_of_the_other() -> None:
    """As it is: what overlaps, to what was chosen."""
    chosen, slower, waits = standings()
    other = make_standing(
        "trial 1", State.SLOWER, readings=PREPARED, to_chosen=Interval(0.9, 0.8, 1.0)
    )
    result = make_result(other, slower, winner=waits)
    found = raced_overlap(result, GOAL)
    assert found is not None
    assert found.ratio == Interval(0.9, 0.8, 1.0)
    assert chosen.contender.name == found.asynchronous


@pytest.mark.parametrize(
    ("goal", "sync"),
    [
        (Goal(Objective.LATENCY, 99.0, None), {}),
        (GOAL, {"to_chosen": None}),
    ],
)
def test_ratios_of_something_else_are_not_taken_for_it(goal: Goal, sync: dict[str, Any]) -> None:
    """Then it is the ratio of the means, and nothing bounds it."""
    winner, *others = standings(**sync)
    found = raced_overlap(make_result(*others, winner=winner), goal)
    assert found is not None
    assert found.ratio == Interval(1374.2 / 687.1, None, None)


@pytest.mark.parametrize(
    "sync",
    [
        {"state": State.MISSED},
        {"state": State.FAILED},
        {"state": State.WAITING},
        {"throughput": None},
        {"readings": Readings()},
    ],
)
def test_who_is_out_is_no_part_of_it(sync: dict[str, Any]) -> None:
    """Nor who was not measured, or prepared nothing."""
    chosen, slower, _ = standings()
    values = {"configuration": SYNC, "readings": PREPARED, "state": State.SLOWER, **sync}
    waits = make_standing("trial 3", **values)
    assert raced_overlap(make_result(slower, waits, winner=chosen), GOAL) is None


def test_an_interval_that_reaches_zero_has_no_inverse() -> None:
    """Its mean has."""
    winner, *others = standings(to_chosen=Interval(0.5, 0.0, 1.0))
    found = raced_overlap(
        make_result(*others, winner=winner, conditions=make_result().conditions), GOAL
    )
    assert found is not None
    assert found.ratio == Interval(2.0, None, None)
