"""Limits in a race: bounds over launches, who holds, who leaves, and what is certified."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from autotune.domain.goal import Goal, Objective, Resource, Verdict
from autotune.domain.limits import BY_NAME, TABLE, Limit, limits_of
from autotune.domain.measurement import Interval, Readings
from autotune.domain.race import Choice, LaunchReadings, RaceResult, Slice, State, Status
from autotune.domain.trial import Trial
from autotune.racing.judge import Field
from autotune.racing.limits import limit_standing, spreads
from autotune.racing.nomination import contenders, may_race
from autotune.racing.plan import RacePlan, opens_one_by_one
from autotune.racing.policy import Prospects, prospects_after
from autotune.racing.standings import Record
from autotune.stats.launches import LaunchSpread
from autotune.testing import SimulatedRunner
from tests.builders import GOAL, make_configuration, make_measurement, make_trial
from tests.racing.stage import EQUALS, HINT, LATENCY_HINT, PLAN, Stage
from tests.racing.test_judge import contender, judged, states, turns

ROOMY = LaunchSpread(0.01, 100.0)


def process(
    launch: int, position: int = 0, peak: int | None = 1000, **fields: Any
) -> LaunchReadings:
    """A fresh process that needed so much memory, and half a second to open."""
    values: dict[str, Any] = {
        "read_s": 0.1,
        "compile_s": 0.3,
        "first_inference_ms": 100.0,
        "open_peak_rss_bytes": peak,
        "load_peak_rss_bytes": peak,
        **fields,
    }
    return LaunchReadings(launch=launch, contender=position, **values)


def goal(objective: Objective = Objective.THROUGHPUT, **limits: float) -> Goal:
    """With the usual cap of 10 ms."""
    return replace(GOAL, objective=objective, limits=limits_of(limits))


def record(
    asked: Goal, slices: Sequence[Slice], processes: Sequence[LaunchReadings] = ()
) -> Record:
    """Of one contender alone."""
    return Record(tuple(slices), 1, 4, asked, tuple(processes), spreads([processes], asked))


# --- one limit


def test_memory_is_bounded_for_the_next_process() -> None:
    """Three processes of nearly the same: a bound 1 % above them."""
    found = record(goal(max_memory=1050.0), turns(0), [process(n) for n in range(3)]).limits[0]
    assert found.value == pytest.approx(1000)
    assert found.bound is not None
    assert 1005 < found.bound < 1015
    assert (found.verdict, found.search_verdict) == (Verdict.MET, Verdict.MET)


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (2000.0, Verdict.MET),
        (1005.0, Verdict.UNCLEAR),
        (995.0, Verdict.UNCLEAR),
        (900.0, Verdict.MISSED),
    ],
)
def test_a_verdict_on_memory_needs_its_bound(limit: float, verdict: Verdict) -> None:
    """At the limit it is open, on both sides."""
    found = record(goal(max_memory=limit), turns(0), [process(n) for n in range(5)])
    assert found.limits[0].verdict is verdict
    assert found.holds is (verdict is Verdict.MET)


def test_one_process_may_miss_and_never_certifies_a_mean() -> None:
    """Far over the limit shows at once; that a mean is within it takes three launches."""
    asked = goal(max_memory=500.0, max_cpu_per_item=0.1, min_throughput=1000.0)
    found = record(asked, turns(0, launches=[0]), [process(0)])
    memory, cpu, rate = found.limits
    assert memory.verdict is Verdict.MISSED
    assert (cpu.verdict, cpu.bound) == (Verdict.MET, None)
    assert rate.verdict is Verdict.MISSED
    assert found.overall is Verdict.MISSED
    alone = record(replace(asked, limits=(cpu.limit,), cap_ms=None), turns(0, launches=[0]))
    assert (alone.overall, alone.holds) == (Verdict.MET, False)


def test_what_passes_on_few_launches_is_provisional() -> None:
    """As with the SLA alone: two launches certify nothing, whatever they agree on."""
    result = judged(
        turns(0, launches=[0, 1], requests=1000),
        goal=goal(max_cpu_per_item=0.1, max_memory=2000.0),
        launches=[process(0), process(1)],
    )
    assert (result.chosen, result.status) == (0, Status.PROVISIONAL)


def test_a_mean_over_load_is_bounded_over_launches() -> None:
    """0.39 s of work for a hundred items, in each of nine slices."""
    found = record(goal(max_cpu_per_item=0.0042, min_throughput=180.0), turns(0, 200)).limits
    cpu, rate = found
    assert cpu.value == pytest.approx(0.0039)
    assert cpu.bound is not None
    assert 0.0039 < cpu.bound < 0.0042
    assert rate.value == pytest.approx(200)
    assert rate.bound is not None
    assert 180 < rate.bound < 200
    assert {one.verdict for one in found} == {Verdict.MET}


@pytest.mark.parametrize(
    ("objective", "claims"), [(Objective.THROUGHPUT, 1), (Objective.EFFICIENCY, 2)]
)
def test_all_that_is_claimed_must_be_known(objective: Objective, claims: int) -> None:
    """A race goes on until each is known to 2 %: items per second, and per CPU-second if asked."""
    found = record(goal(objective), turns(0, 200)).claimed
    expected = (200.0, 1 / 0.0039)[:claims]
    assert tuple(one and one.mean for one in found) == pytest.approx(expected)
    assert all(one is not None and one.half_width is not None for one in found)


def test_what_is_not_known_is_never_met() -> None:
    """No energy, no memory: unclear, and nothing that could be certified."""
    asked = goal(max_memory=10.0, max_energy_per_item=10.0)
    found = record(asked, turns(0), [process(n, peak=None) for n in range(3)])
    assert [(one.value, one.verdict) for one in found.limits] == [(None, Verdict.UNCLEAR)] * 2
    assert not found.holds
    assert not found.should_hold


def test_noisier_slices_widen_the_bound_of_a_mean() -> None:
    """The chance within a launch counts as well as what launches differ by."""
    limit = Limit("min_throughput", 100.0)

    def bound(rounds: Sequence[float]) -> float:
        blocks = record(goal(), turns(0, 200, rounds=rounds)).launches
        found = limit_standing(limit, blocks, (), 1, None)
        assert found.bound is not None
        return found.bound

    assert bound((0.8, 1.0, 1.2)) < bound((0.99, 1.0, 1.01)) < 200


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_of_the_table_is_judged(row: Any) -> None:
    """Something is said of each; a floor is met by more, whatever else by less."""
    blocks = record(goal(), turns(0, 200, energy_j=10.0)).launches
    processes = [process(n) for n in range(3)]
    for factor in (0.5, 2.0):
        seen = limit_standing(
            Limit(row.name, 1.0), blocks, processes, 1, ROOMY if row.of_launch else None
        )
        assert seen.value is not None
        limit = Limit(row.name, seen.value * factor)
        found = limit_standing(limit, blocks, processes, 1, ROOMY if row.of_launch else None)
        is_met = (factor > 1) is not row.is_floor
        assert found.verdict is (Verdict.MET if is_met else Verdict.MISSED)
        assert (found.excess < 0) is is_met


# --- a race of several


def both(*peaks: int) -> list[LaunchReadings]:
    """Processes of three launches of contenders that need so much."""
    return [process(n, i, peak) for i, peak in enumerate(peaks) for n in range(3)]


def test_what_misses_a_limit_is_not_exported() -> None:
    """However fast it is."""
    result = judged(
        turns(0, 100), turns(1, 200), goal=goal(max_memory=1500.0), launches=both(1000, 2000)
    )
    assert (result.chosen, result.status) == (0, Status.CERTIFIED)
    assert states(result) == [State.CHOSEN, State.MISSED]
    assert [one.limits[0].verdict for one in result.standings] == [Verdict.MET, Verdict.MISSED]


def test_nothing_is_certified_that_may_miss_a_limit() -> None:
    """Its SLA holds; its memory is at the limit."""
    result = judged(turns(0), goal=goal(max_memory=1002.0), launches=both(1000))
    assert (result.chosen, result.status) == (0, Status.UNCONFIRMED)
    assert not result.standings[0].holds
    certified = judged(turns(0), goal=goal(max_memory=1200.0), launches=both(1000))
    assert certified.status is Status.CERTIFIED


def test_who_is_nearest_to_all_limits_goes_where_none_is_kept_for_sure() -> None:
    """Both open: the one that is within both as far as was seen, although it is slower."""
    result = judged(
        turns(0, 100), turns(1, 200), goal=goal(max_memory=1005.0), launches=both(1000, 1010)
    )
    assert result.chosen == 0


def test_nothing_is_chosen_where_all_miss() -> None:
    """And who came nearest is known."""
    result = judged(turns(0), turns(1), goal=goal(max_memory=10.0), launches=both(1000, 900))
    assert result.chosen is None
    assert min(result.standings, key=lambda s: s.limits[0].excess).contender.name == "trial 1"


def field(asked: Goal, *slices: Sequence[Slice], launches: Sequence[LaunchReadings]) -> Field:
    """A race of tuned ones."""
    pieces = [piece for taken in slices for piece in taken]
    names = [contender(f"trial {n}") for n in range(len(slices))]
    return Field(
        contenders=names,
        dossiers={},
        slices=pieces,
        goal=asked,
        baseline=None,
        tie_margin=0.01,
        launches=launches,
    )


def test_who_misses_a_limit_leaves_after_the_first_launch() -> None:
    """And drops nobody by being faster."""
    seen = field(
        goal(max_memory=1500.0),
        turns(0, 200, launches=[0]),
        turns(1, 100, launches=[0]),
        launches=[process(0, 0, 9000), process(0, 1, 1000)],
    )
    found = prospects_after(seen, RacePlan(budget_s=60.0), Prospects(baseline=None))
    assert found.unfit == {0}
    assert found.slower == frozenset()
    assert found.promise == (1,)


def test_one_that_is_well_within_a_limit_should_hold() -> None:
    """After one launch: enough to drop a slower one by, and not to certify."""
    asked = replace(goal(max_cpu_per_item=0.1), cap_ms=None)
    found = record(asked, turns(0, launches=[0]))
    assert (found.holds, found.should_hold) == (False, True)
    near = record(
        replace(asked, limits=limits_of({"max_cpu_per_item": 0.004})), turns(0, launches=[0])
    )
    assert not near.should_hold


# --- efficiency


def test_efficiency_compares_items_for_each_cpu_second() -> None:
    """Twice as fast with three times the CPU time is less efficient."""
    result = judged(
        turns(0, 200, process_cpu_s=1.21),
        turns(1, 100, process_cpu_s=0.41),
        goal=goal(Objective.EFFICIENCY),
    )
    assert result.chosen == 1
    winner = result.winner
    assert winner is not None
    assert winner.efficiency is not None
    assert winner.efficiency.mean == pytest.approx(100 / 0.4)
    assert winner.ratio is not None
    assert winner.ratio.mean == pytest.approx(3.0, rel=0.02)
    assert judged(turns(0, 200), turns(1, 100)).standings[0].efficiency is None


def test_efficiency_by_energy() -> None:
    """Items for each joule of the packages."""
    asked = replace(goal(Objective.EFFICIENCY), resource=Resource.ENERGY)
    result = judged(turns(0, 200, energy_j=50.0), turns(1, 100, energy_j=10.0), goal=asked)
    assert result.chosen == 1
    assert result.standings[1].efficiency == Interval(10.0, 10.0, 10.0)


# --- who may race


def measured(
    number: int, per_s: float, memory: int | None, cpu_s: float = 0.005, **fields: Any
) -> Trial:
    """A trial at so many items per second with so much memory."""
    seen = Readings(
        cpu_s_per_item=Interval(cpu_s, 0.99 * cpu_s, 1.01 * cpu_s),
        open_peak_rss_bytes=memory,
        load_peak_rss_bytes=memory,
    )
    measurement = make_measurement(
        throughput=Interval(per_s, 0.98 * per_s, 1.02 * per_s), readings=seen, **fields
    )
    configuration = make_configuration(num_requests=number + 1)
    return make_trial(number, configuration=configuration, measurement=measurement)


def test_one_with_room_below_every_limit_races() -> None:
    """Third, before others that are faster; and where nobody has room below all, one for each."""
    asked = replace(GOAL, cap_ms=10.0, limits=limits_of({"max_memory": 1000.0}))
    trials = [measured(n, 500 - n, 970) for n in range(4)] + [measured(4, 100, 500)]
    entered, _ = contenders(trials, asked)
    assert [one.trial for one in entered] == [0, 1, 4, 2, 3]
    tight = replace(asked, limits=limits_of({"max_memory": 1000.0, "max_cpu_per_item": 0.01}))
    trials = [
        *(measured(n, 500 - n, 970, 0.0095) for n in range(4)),
        measured(4, 100, 500, 0.0095),
        measured(5, 90, 970, 0.001),
    ]
    assert [one.trial for one in contenders(trials, tight)[0]] == [0, 1, 4, 5, 2, 3]


def test_what_misses_a_limit_does_not_race() -> None:
    """Nor what is open and over it, nor what is not known."""
    asked = replace(GOAL, limits=limits_of({"max_memory": 1000.0}))
    assert may_race(measured(0, 100, 900), asked)
    assert may_race(measured(0, 100, 1001), asked)
    assert not may_race(measured(0, 100, 1100), asked)
    assert not may_race(measured(0, 100, None, peak_rss_bytes=None), asked)
    efficient = replace(GOAL, objective=Objective.EFFICIENCY, resource=Resource.ENERGY)
    assert not may_race(measured(0, 100, 900), efficient)
    assert may_race(measured(0, 100, 900), replace(efficient, resource=Resource.CPU))
    (entered, *_), _ = contenders(
        [measured(0, 100, 900)], replace(efficient, resource=Resource.CPU)
    )
    assert entered.search_efficiency == pytest.approx(200)


# --- how it is held


def test_models_are_opened_alone_where_opening_is_limited() -> None:
    """Side by side each would wait for the others."""
    assert opens_one_by_one(goal(max_compile_time=1.0))
    assert not opens_one_by_one(goal(max_memory=1.0, min_throughput=1.0))
    names = [
        contender(f"trial {n}", configuration=configuration)
        for n, configuration in enumerate([HINT, LATENCY_HINT, EQUALS[0]])
    ]
    for alone in (True, False):
        stage = Stage(contenders=names)
        stage.race(replace(PLAN, one_by_one=alone)).hold()
        assert all(begun == [] for begun in stage.begun) is alone


def test_a_race_on_a_machine_judges_what_its_processes_took() -> None:
    """Memory grows with requests and streams there; the limit lies between the two."""
    lean, greedy = make_configuration(num_requests=2), make_configuration(num_requests=64)
    names = [contender("lean", configuration=lean), contender("greedy", configuration=greedy)]
    stage = Stage(contenders=names, runner=SimulatedRunner(noise=0.001))
    asked = Goal(Objective.THROUGHPUT, 99.0, None, limits=limits_of({"max_memory": 140 * 2.0**20}))
    result: RaceResult = stage.race(goal=asked, baseline=None).hold()
    assert states(result) == [State.CHOSEN, State.MISSED]
    assert result.standings[1].launches == 1
    assert result.status is Status.CERTIFIED
    value = result.standings[0].limits[0].value
    assert value is not None
    assert value < 130 * 2**20
    assert BY_NAME["max_memory"].label == "memory"
    assert result.choice is Choice.FASTEST
