"""Who races: in which order, who waits, who never does, and how many seats a budget allows."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.trial import Trial
from autotune.racing.nomination import (
    MOST_SEATED,
    contender,
    contenders,
    launch_s,
    load_s,
    may_race,
    requests_per_s,
    seats,
)
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.domain.builders import make_trial

CAPPED = Goal(Objective.THROUGHPUT, 99, 20)
UNCAPPED = Goal(Objective.THROUGHPUT, 99, None)
LOWEST = Goal(Objective.LATENCY, 99, None)
FRONT = Goal(Objective.PARETO, 99, 20)
LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU")

TRIALS = st.lists(
    st.builds(
        make_trial,
        configuration=st.sampled_from(
            [None, None, None, LATENCY, THROUGHPUT, Configuration(device="GPU")]
        ),
        throughput_per_s=st.floats(1, 1000),
        half_width=st.none() | st.floats(0, 0.5),
        latency_ms=st.floats(1, 100),
        verdict=st.sampled_from(Verdict),
        failure=st.none() | st.sampled_from(FailureKind),
    ),
    max_size=30,
).map(lambda trials: [replace(trial, number=n) for n, trial in enumerate(trials)])


def tuned(number: int, throughput_per_s: float, latency_ms: float = 18.0) -> Trial:
    """A measured trial that is no hint, close to the cap."""
    configuration = Configuration(device="CPU", streams=1, num_requests=1 + number)
    return make_trial(
        number, configuration, throughput_per_s=throughput_per_s, latency_ms=latency_ms
    )


def numbers(trials: list[Trial], goal: Goal = CAPPED) -> list[int | None]:
    """Trials of the contenders, in order."""
    return [found.trial for found in contenders(trials, goal)[0]]


# --- who, and in which order


def test_the_best_by_what_they_can_claim_come_first() -> None:
    """A wide interval around a high mean claims little."""
    lucky = make_trial(0, throughput_per_s=130, half_width=0.5, latency_ms=18.0)
    assert numbers([lucky, tuned(1, 100), tuned(2, 120), tuned(3, 110)]) == [2, 3, 1, 0]


def test_one_with_room_below_the_cap_is_third() -> None:
    """The best that leaves a quarter of the cap free, in case the best two turn out too slow."""
    trials = [tuned(n, 200 - n) for n in range(5)]
    roomy = [tuned(5, 100, 15.0), tuned(6, 90, 5.0)]
    assert numbers([*trials, *roomy]) == [0, 1, 5, 2, 3, 4, 6]


def test_one_with_room_that_is_among_the_best_is_not_named_twice() -> None:
    """Then the third best is third."""
    trials = [tuned(0, 200), tuned(1, 199, 10.0), tuned(2, 198), tuned(3, 197, 9.0)]
    assert numbers(trials) == [0, 1, 2, 3]


def test_where_latency_is_the_goal_the_lowest_comes_first() -> None:
    """Whatever its throughput."""
    trials = [tuned(0, 900, 9.0), tuned(1, 100, 7.0), tuned(2, 500, 8.0)]
    assert numbers(trials, LOWEST) == [1, 2, 0]


def test_the_hints_come_last_and_the_better_one_is_the_baseline() -> None:
    """Both race, whether they keep the cap or not; the feasible one is what there is to beat."""
    latency = make_trial(0, LATENCY, throughput_per_s=50, latency_ms=5)
    throughput = make_trial(1, THROUGHPUT, throughput_per_s=900, verdict=Verdict.MISSED)
    found, baseline = contenders([latency, throughput, tuned(2, 100)], CAPPED)
    assert [one.trial for one in found] == [2, 0, 1]
    assert [one.is_default for one in found] == [False, True, True]
    assert baseline == 1
    assert contenders([latency, throughput, tuned(2, 100)], UNCAPPED)[1] == 2


def test_of_another_device_the_better_hint_races_where_the_device_leads() -> None:
    """Both of the device that was asked for first, one of each that leads, none of the others."""
    hints = [
        make_trial(n, Configuration(device=device, hint=hint), throughput_per_s=rate)
        for n, (device, hint, rate) in enumerate(
            (device, hint, rate)
            for device, rates in (("CPU", (50, 60)), ("GPU", (70, 40)), ("AUTO:GPU", (30, 20)))
            for hint, rate in zip(PerformanceHint, rates, strict=False)
        )
    ]
    on_gpu = make_trial(6, Configuration(device="GPU", streams=2), throughput_per_s=200)
    others = [tuned(n, 200 - n) for n in range(7, 10)]
    found, baseline = contenders([*hints, on_gpu, *others], CAPPED)
    assert [one.trial for one in found if one.is_default] == [0, 1, 2]
    assert baseline is not None
    assert found[baseline].trial == 2, "the better one of all"
    of_the_first = contenders([*hints, *others], CAPPED)[0]
    assert [one.trial for one in of_the_first if one.is_default] == [0, 1, 2], "2 is the better one"


def test_without_a_hint_there_is_no_baseline() -> None:
    """It failed, or was never measured."""
    failed = make_trial(0, LATENCY, failure=FailureKind.CRASH)
    found, baseline = contenders([failed, tuned(1, 100)], CAPPED)
    assert ([one.trial for one in found], baseline) == ([1], None)
    assert contenders([], CAPPED) == ([], None)


def test_six_wait_in_line_behind_seven() -> None:
    """More would never get a seat."""
    assert numbers([tuned(n, 200 - n) for n in range(30)]) == list(range(13))


@pytest.mark.parametrize(
    ("verdict", "latency_ms", "goal", "races"),
    [
        (Verdict.MET, 19.0, CAPPED, True),
        (Verdict.MET, 21.0, CAPPED, True),
        (Verdict.UNCLEAR, 20.0, CAPPED, True),
        (Verdict.UNCLEAR, 20.4, CAPPED, True),
        (Verdict.UNCLEAR, 20.5, CAPPED, False),
        (Verdict.MISSED, 10.0, CAPPED, False),
        (Verdict.MISSED, 30.0, FRONT, True),
        (None, 500.0, UNCAPPED, True),
        (None, 500.0, LOWEST, True),
    ],
)
def test_who_may_race(
    verdict: Verdict | None, latency_ms: float, goal: Goal, *, races: bool
) -> None:
    """Met, or open with a percentile at the cap at most; everyone where no cap excludes."""
    trial = tuned(0, 100, latency_ms)
    assert trial.measurement is not None
    trial = replace(trial, measurement=replace(trial.measurement, verdict=verdict))
    assert may_race(trial, goal) is races
    assert numbers([trial], goal) == ([0] if races else [])


def test_what_repeats_anothers_measurement_does_not_race() -> None:
    """It is the same deployment under another name; nor does what failed."""
    again = replace(tuned(1, 100), reused_from=0)
    failed = make_trial(2, failure=FailureKind.HANG)
    assert numbers([tuned(0, 100), again, failed]) == [0]


@given(TRIALS, st.sampled_from([CAPPED, UNCAPPED, LOWEST]))
def test_contenders_are_few_distinct_and_measured(trials: list[Trial], goal: Goal) -> None:
    """At most ten beside the hints, each once; the baseline is a hint among them."""
    found, baseline = contenders(trials, goal)
    assert len({one.trial for one in found}) == len(found)
    assert sum(not one.is_default for one in found) <= 10
    defaults = [one.is_default for one in found]
    assert defaults == sorted(defaults)
    hinted = [
        (t.configuration.device, t.configuration.hint)
        for t in trials
        if t.measurement and t.configuration.is_hint
    ]
    raced = {(one.configuration.device, one.configuration.hint) for one in found if one.is_default}
    assert sum(defaults) == len(raced)
    assert raced <= set(hinted)
    assert raced >= {hint for hint in hinted if hint[0] == hinted[0][0]}, "all of the first device"
    assert (baseline is None) == (not hinted)
    assert baseline is None or found[baseline].is_default


# --- one contender


def test_a_contender_is_what_the_search_knew() -> None:
    """Name, numbers, memory, and the time to open and warm up."""
    trial = tuned(7, 123.0, 18.0)
    measured = trial.measurement
    assert measured is not None
    opening = replace(measured.opening, start_s=0.5, read_s=0.25, compile_s=2.0)
    trial = replace(trial, measurement=replace(measured, opening=opening, peak_rss_bytes=2**27))
    found = contender(trial)
    assert (found.name, found.trial, found.configuration) == ("trial 7", 7, trial.configuration)
    assert (found.search_per_s, found.search_latency_ms) == (123.0, 18.0)
    assert found.peak_rss_bytes == 2**27
    assert found.open_s == pytest.approx(2.75 + 0.25 + 3 * measured.latency.mean_ms / 1000)


def test_a_hint_is_called_what_it_is() -> None:
    """Not by its trial's number."""
    assert contender(make_trial(0, LATENCY)).name == "CPU LATENCY hint"


@pytest.mark.parametrize(
    ("latency_ms", "slice_rounds"), [(1.0, None), (10.0, None), (200.0, 5), (4000.0, 5)]
)
def test_a_launch_costs_an_opening_and_three_turns(
    latency_ms: float, slice_rounds: int | None
) -> None:
    """A slice is half a second, or five rounds of requests; three rounds fill and drain it."""
    trial = tuned(0, 100, latency_ms)
    assert trial.measurement is not None
    round_s = trial.measurement.latency.mean_ms / 1000
    slice_s = 0.5 if slice_rounds is None else slice_rounds * round_s
    assert launch_s(trial) == pytest.approx(contender(trial).open_s + 3 * (slice_s + 3 * round_s))


@pytest.mark.parametrize("latency_ms", [1.0, 10.0, 100.0, 1000.0])
def test_a_warm_up_is_a_quarter_of_a_second_or_three_rounds(latency_ms: float) -> None:
    """And what fills and drains it."""
    trial = tuned(0, 100, latency_ms)
    measured = trial.measurement
    assert measured is not None
    opening, round_s = measured.opening, measured.latency.mean_ms / 1000
    opened_s = opening.start_s + opening.read_s + opening.compile_s
    loaded_s = max(0.25, 3 * round_s) + 3 * round_s
    assert contender(trial).open_s == pytest.approx(opened_s + loaded_s)


@pytest.mark.parametrize(
    ("mean_ms", "idle"), [(10.0, 0.06), (100.0, 0.25), (300.0, 0.45), (1000.0, 0.6)]
)
@pytest.mark.parametrize("with_blocks", [True, False])
def test_requests_take_what_the_rate_says_and_the_idle_share_of_turns(
    mean_ms: float, idle: float, *, with_blocks: bool
) -> None:
    """Also of a trial of an earlier session, of whose blocks only the sums are left."""
    trial = tuned(0, 100)
    measured = trial.measurement
    assert measured is not None
    measured = replace(measured, latency=replace(measured.latency, mean_ms=mean_ms))
    if not with_blocks:
        measured = replace(measured, blocks=(), warmup_blocks=0)
    trial = replace(trial, measurement=measured)
    assert requests_per_s(trial) == 100 / contender(trial).items
    assert load_s(trial, 608) == pytest.approx(608 / requests_per_s(trial) * (1 + idle))


# --- seats


@pytest.mark.parametrize(
    ("costs_s", "budget_s", "expected"),
    [
        ([3.0] * 10, 1000.0, 7),
        ([3.0] * 10, 89.0, 5),
        ([3.0] * 10, 60.0, 4),
        ([3.0] * 10, 59.0, 3),
        ([3.0] * 10, 30.0, 2),
        ([3.0] * 10, 0.0, 1),
        ([3.0] * 10, -5.0, 1),
        ([3.0], 1000.0, 1),
        ([], 1000.0, 0),
        ([3.0, 3.0, 60.0, 1.0], 100.0, 2),
    ],
)
def test_seats_of_five_launches(costs_s: list[float], budget_s: float, expected: int) -> None:
    """As many of the best as fit in, one at least, seven at most."""
    assert seats(costs_s, budget_s, 5) == expected


@given(st.lists(st.floats(0.1, 100), max_size=12), st.floats(0, 3000), st.integers(1, 10))
def test_seats_fit_in_the_budget_or_are_the_least(
    costs_s: list[float], budget_s: float, launches: int
) -> None:
    """One more would not fit; and more time never means fewer."""
    found = seats(costs_s, budget_s, launches)
    assert min(1, len(costs_s)) <= found <= min(MOST_SEATED, len(costs_s))
    if found > 1:
        assert launches * sum(costs_s[:found]) <= budget_s
    if found < min(MOST_SEATED, len(costs_s)):
        assert launches * sum(costs_s[: found + 1]) > budget_s
    assert seats(costs_s, 2 * budget_s, launches) >= found
