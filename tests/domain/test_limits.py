"""The table of limits: what each is of, how it is written, and verdicts that need bounds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective, Resource, Verdict, together
from autotune.domain.limits import BY_NAME, TABLE, Limit, LimitReading, LimitRow, limits_of
from autotune.domain.measurement import Interval, Measurement, Readings
from autotune.domain.ranking import best, is_feasible, nearest_miss, nearest_misses, ratio
from autotune.domain.verdicts import (
    LATENCY,
    excesses,
    first_open,
    inverse,
    judged,
    verdict_of,
    verdict_under,
    worth,
)
from tests.domain.builders import make_block, make_measurement, make_trial

MEMORY, CPU, FLOOR = (BY_NAME[n] for n in ("max_memory", "max_cpu_per_item", "min_throughput"))


def measured(
    memory: int | None = 1000, cpu_s: Interval | None = None, **fields: float
) -> Measurement:
    """A measurement at 100 items per second with these readings."""
    readings = Readings(
        cpu_s_per_item=cpu_s, open_peak_rss_bytes=memory, load_peak_rss_bytes=memory
    )
    return replace(make_measurement(**fields), readings=readings)  # type: ignore[arg-type]


def goal(objective: Objective = Objective.THROUGHPUT, **limits: float) -> Goal:
    """Without a cap on latency."""
    return Goal(objective, 99, None, limits=limits_of(limits))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@given(value=st.floats(1e-6, 1e9, allow_nan=False))
def test_a_limit_reads_as_it_was_written(row: LimitRow, value: float) -> None:
    """To fifteen digits; bytes are whole."""
    value = float(f"{value:.12g}")
    value = float(max(1, math.floor(value))) if row is MEMORY else value
    assert row.parse(row.text(value)) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("text", ["0", "-1", "0s", "0B", "0J", "-3ms", "", "much", "1e3", "nan"])
def test_a_limit_of_nothing_is_refused(row: LimitRow, text: str) -> None:
    """Zero, below zero, without a number: no limit that anything could keep."""
    with pytest.raises(ValueError, match=r"more than zero|write|unknown unit"):
        row.parse(text)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_limit_has_a_unit(row: LimitRow) -> None:
    """But a throughput, which is items per second in any case."""
    if row is FLOOR:
        assert row.parse("500") == row.parse("500/s") == 500.0
        return
    with pytest.raises(ValueError, match=r"unit|write"):
        row.parse("500")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_speed", 1.0, "is no limit; there are max_memory"),
        ("max_memory", 0.0, "more than zero"),
        ("max_memory", math.inf, "more than zero"),
        ("max_memory", math.nan, "more than zero"),
        ("max_memory", "1", "no number"),
        ("max_memory", True, "no number"),
    ],
)
def test_what_is_stored_as_a_limit_is_one(name: str, value: float, message: str) -> None:
    """Of a row of the table, and a positive number."""
    with pytest.raises(ValueError, match=message):
        Limit(name, value)


def test_limits_stand_in_the_order_of_the_table() -> None:
    """However they were given, so that equal goals are equal."""
    given_ = {"min_throughput": 5.0, "max_memory": 7.0, "max_cpu_per_item": None}
    assert [str(limit) for limit in limits_of(given_)] == ["max_memory 7B", "min_throughput 5/s"]


def test_each_row_is_of_one_kind() -> None:
    """A mean over load has blocks and no margin, a value of a process launches and one."""
    for row in TABLE:
        of_load = (row.of_load is not None, row.sums_of_block is not None)
        of_process = (row.of_process is not None, row.of_launch is not None)
        assert of_load == tuple(not one for one in of_process)
        assert (row.margin > 0) is of_process[0]


def test_memory_is_the_larger_of_both_peaks() -> None:
    """While it opens and under load; of an older version, the whole process's mark."""
    both = Readings(open_peak_rss_bytes=5, load_peak_rss_bytes=9)
    seen = MEMORY.reading(replace(make_measurement(), readings=both))
    assert seen is not None
    assert seen.value == 9
    old = MEMORY.reading(replace(make_measurement(), peak_rss_bytes=7))
    assert old is not None
    assert old.value == 7
    assert MEMORY.reading(make_measurement()) is None


def test_the_first_answer_takes_reading_compiling_and_a_request() -> None:
    """In seconds; and compiling alone is a limit of its own."""
    found = make_measurement(open_s=0.3, latency_ms=20.0)
    reading = BY_NAME["max_first_inference"].reading(found)
    compiling = BY_NAME["max_compile_time"].reading(found)
    assert reading is not None
    assert compiling is not None
    assert reading.value == pytest.approx(0.32)
    assert compiling.value == 0.3


def test_cpu_time_is_without_that_of_the_load() -> None:
    """Of a block, for each item; nothing of no items, never below zero."""
    block = make_block([1.0] * 10)  # 0.4 s of the process, 0.01 of them the load's
    assert CPU.of_block(block, 2) == pytest.approx(0.39 / 20)
    assert CPU.of_block(make_block([]), 2) is None
    assert CPU.of_block(replace(block, loop_cpu_s=9.0), 2) == 0.0


@pytest.mark.parametrize(
    ("reading", "ceiling", "floor"),
    [
        (LimitReading(50.0, 40.0, 60.0), Verdict.MET, Verdict.MISSED),
        (LimitReading(90.0, 80.0, 101.0), Verdict.UNCLEAR, Verdict.UNCLEAR),
        (LimitReading(110.0, 99.0, 121.0), Verdict.UNCLEAR, Verdict.UNCLEAR),
        (LimitReading(120.0, 110.0, 130.0), Verdict.MISSED, Verdict.MET),
        (LimitReading(100.0, 100.0, 100.0), Verdict.MET, Verdict.MET),
        (LimitReading(1.0, None, None), Verdict.UNCLEAR, Verdict.UNCLEAR),
        (None, Verdict.UNCLEAR, Verdict.UNCLEAR),
    ],
)
def test_verdicts_come_from_bounds(
    reading: LimitReading | None, ceiling: Verdict, floor: Verdict
) -> None:
    """Never from the value alone; what is not known is unclear."""
    assert verdict_of(Limit("max_cpu_per_item", 100.0), reading) is ceiling
    assert verdict_of(Limit("min_throughput", 100.0), reading) is floor


@given(
    name=st.sampled_from([row.name for row in TABLE]),
    limit=st.floats(1e-3, 1e6),
    value=st.floats(1e-3, 1e6),
    width=st.floats(0, 1),
    wider=st.floats(0, 1),
)
def test_less_is_known_from_a_wider_interval(
    name: str, limit: float, value: float, width: float, wider: float
) -> None:
    """A verdict may become unclear, never the other one, and it agrees with the value."""

    def verdict(by: float) -> Verdict:
        return verdict_of(
            Limit(name, limit), LimitReading(value, value * math.exp(-by), value * math.exp(by))
        )

    narrow, wide = verdict(width), verdict(width + wider)
    assert wide in {narrow, Verdict.UNCLEAR}
    over = BY_NAME[name].excess(value, limit)
    assert narrow is not Verdict.MET or over <= 1e-9
    assert narrow is not Verdict.MISSED or over > -1e-9


def test_one_process_says_what_the_next_takes_within_a_margin() -> None:
    """At 95 %: both vary, each by what processes of one model differ by (simulated)."""
    random = np.random.default_rng(0)
    for row in (row for row in TABLE if row.of_process):
        this, following = random.normal(0, row.launch_sd, (2, 200_000))
        assert np.mean(following - this <= row.margin) == pytest.approx(0.95, abs=2e-3)


def test_all_constraints_together() -> None:
    """One that is missed is enough, and all must be met."""
    met, missed, unclear = Verdict.MET, Verdict.MISSED, Verdict.UNCLEAR
    assert together([]) is together([None]) is None
    assert together([met, None]) is met
    assert together([met, unclear]) is unclear
    assert together([unclear, missed, met]) is missed


def test_the_sla_is_one_of_several_constraints() -> None:
    """What meets the cap and a limit is feasible; without a reading it is not shown to be."""
    capped = replace(goal(max_memory=2000.0), cap_ms=20.0)
    assert verdict_under(measured(), capped) is Verdict.MET
    assert is_feasible(measured(), capped)
    assert verdict_under(measured(verdict=Verdict.MISSED), capped) is Verdict.MISSED  # type: ignore[arg-type]
    assert verdict_under(measured(memory=4000), capped) is Verdict.MISSED
    assert not is_feasible(measured(memory=None), capped)
    assert verdict_under(measured(memory=None), goal()) is None


def test_a_throughput_floor_needs_the_lower_end() -> None:
    """100 items per second, give or take ten."""
    seen = measured(half_width=0.1)
    assert verdict_under(seen, goal(min_throughput=89.0)) is Verdict.MET
    assert verdict_under(seen, goal(min_throughput=95.0)) is Verdict.UNCLEAR
    assert verdict_under(seen, goal(min_throughput=111.0)) is Verdict.MISSED


def test_what_stands_in_the_way_is_named() -> None:
    """Missed before unclear, in the order of the table."""
    asked = goal(max_memory=1000.0, max_cpu_per_item=1.0, min_throughput=500.0)
    found = first_open(measured(), asked)
    assert found is not None
    assert found.limit.name == "min_throughput"
    other = first_open(measured(), goal(max_memory=1000.0, max_cpu_per_item=1.0))
    assert other is not None
    assert (other.limit.name, other.verdict) == ("max_memory", Verdict.UNCLEAR)
    assert first_open(measured(), goal(max_memory=9000.0)) is None
    assert [one.verdict for one in judged(measured(), asked)] == [
        *(Verdict.UNCLEAR, Verdict.UNCLEAR, Verdict.MISSED)
    ]


def test_the_nearest_miss_of_each_constraint() -> None:
    """And the one that is nearest to all of them; what was not read is of none."""
    asked = replace(goal(max_memory=100.0, max_energy_per_item=1.0), cap_ms=5.0)
    trials = [
        replace(make_trial(0), measurement=measured(memory=150, latency_ms=40.0)),
        replace(make_trial(1), measurement=measured(memory=400, latency_ms=6.0)),
        replace(make_trial(2), measurement=measured(memory=220, latency_ms=11.0)),
    ]
    assert {n: t.number for n, t in nearest_misses(trials, asked).items()} == {
        LATENCY: 1,
        "max_memory": 0,
    }
    known = replace(asked, limits=limits_of({"max_memory": 100.0}))
    near = nearest_miss(trials, known)
    assert near is not None
    assert near.number == 2
    plain = nearest_miss(trials, replace(known, limits=()))
    assert plain is not None
    assert plain.number == 1
    over = excesses(measured(memory=None, latency_ms=10.0), asked)
    assert over == {
        LATENCY: pytest.approx(math.log(2)),
        "max_memory": None,
        "max_energy_per_item": None,
    }


def test_efficiency_is_items_for_each_cpu_second() -> None:
    """The claim is by the upper end of what an item takes; joules where those are asked for."""
    cheap = measured(cpu_s=Interval(0.004, 0.0035, 0.005))
    found = worth(cheap, goal(Objective.EFFICIENCY))
    assert found == Interval(250.0, 200.0, 1 / 0.0035)
    by_energy = replace(goal(Objective.EFFICIENCY), resource=Resource.ENERGY)
    assert worth(cheap, by_energy) is None
    assert not is_feasible(cheap, by_energy)
    assert is_feasible(cheap, goal(Objective.EFFICIENCY))
    assert worth(cheap, goal()) == cheap.throughput
    slow = worth(make_measurement(latency_ms=20.0), goal(Objective.LATENCY))
    assert slow == Interval(50.0, None, None)
    assert inverse(Interval(0.5, -0.1, 1.1)) == Interval(2.0, 1 / 1.1, None)


def test_the_most_efficient_is_best_and_not_the_fastest() -> None:
    """By what it can claim; ratios are of items for each CPU-second."""
    asked = goal(Objective.EFFICIENCY)
    fast = measured(cpu_s=Interval(0.004, 0.0039, 0.0041), throughput_per_s=500.0)
    cheap = measured(cpu_s=Interval(0.002, 0.0019, 0.0021), throughput_per_s=300.0)
    unsure = measured(cpu_s=Interval(0.0019, 0.0001, 0.01), throughput_per_s=300.0)
    trials = [
        replace(make_trial(number), measurement=one)
        for number, one in enumerate((fast, cheap, unsure))
    ]
    found = best(trials, asked)
    assert found is not None
    assert found.number == 1
    assert ratio(found, trials[0], asked) == pytest.approx(2.0)
    assert best(trials, goal()) is trials[0]
