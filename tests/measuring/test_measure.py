"""When a warm-up ends, when a measurement ends, and what it adds up to."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autotune.domain.arrival import Closed
from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.limits import limits_of
from autotune.domain.measurement import Block, Flag, StopReason
from autotune.domain.verdicts import judged, verdict_under
from autotune.machines.ports import Load
from autotune.measuring.measure import (
    Plan,
    Tally,
    common_flags,
    is_warm,
    measure,
    take_slice,
    warm_up,
)
from autotune.testing import SimulatedRunner
from tests.builders import GOAL, make_block, make_configuration, make_failure, make_opening

PLAN = Plan(limit_s=5.0, longest_s=20.0, warmup_s=1.0)
FAST = (1.0,)
SLOW = (12.0,)
HOPELESS = (16.0,)
"""Latencies in ms against a cap of 10: under it, over it, and beyond one and a half times it."""


def tally(goal: Goal = GOAL, num_requests: int = 4, to_beat_per_s: float = 0.0) -> Tally:
    """Nothing known yet; batches of one."""
    return Tally(1, num_requests, goal, PLAN, to_beat_per_s)


def fed(found: Tally, blocks: Sequence[Block]) -> Tally:
    """After these blocks, or as many as it takes to stop."""
    for block in blocks:
        if found.stop_reason is None:
            found.add(block)
    return found


def blocks_of(counts: Sequence[int], latency_ms: Sequence[float] = FAST) -> list[Block]:
    """Blocks of half a second with these numbers of completions."""
    return [make_block(tuple(latency_ms) * count) for count in counts]


class TestWarmUp:
    """At least a second and three rounds of all requests, then until the rates agree."""

    def test_steady_rates_are_warm_after_the_shortest_time(self) -> None:
        """Two blocks of half a second, the third counts."""
        found = fed(tally(), blocks_of([100] * 3))
        assert (len(found.warmup), len(found.counted)) == (2, 1)

    @pytest.mark.parametrize(
        ("num_requests", "rounds"), [(1, 3), (4, 3), (20, 6)], ids=["30 requests", "30", "3 rounds"]
    )
    def test_few_completions_take_longer(self, num_requests: int, rounds: int) -> None:
        """30 requests, or three for each in flight: whatever is more, up to the longest time."""
        found = fed(tally(num_requests=num_requests), blocks_of([10] * 7))
        assert len(found.warmup) == rounds

    def test_a_trend_is_waited_out(self) -> None:
        """Rates that rise by a tenth for each block are not warm; once they level out they are."""
        found = fed(tally(), blocks_of([50, 60, 70, 80, 80]))
        assert (len(found.warmup), len(found.counted)) == (5, 0)
        found.add(make_block())
        assert len(found.counted) == 1

    def test_an_endless_trend_ends_at_the_longest_time(self) -> None:
        """Three times the shortest."""
        found = fed(tally(), blocks_of([20, 40, 60, 80, 100, 120, 140]))
        assert (len(found.warmup), len(found.counted)) == (6, 1)

    def test_a_hopeless_latency_is_counted_at_once(self) -> None:
        """Where the fastest of many requests is far over the cap, warming up will not mend it."""
        found = fed(tally(), blocks_of([100, 100], HOPELESS))
        assert (len(found.warmup), len(found.counted)) == (0, 1)
        assert found.stop_reason is StopReason.MISSED

    def test_a_slow_first_round_is_not_hopeless(self) -> None:
        """Cold caches: one fast request among those after the first round is enough."""
        cold = make_block([50.0] * 4 + [9.0] * 4)
        assert fed(tally(num_requests=4), [cold]).warmup == [cold]

    def test_too_few_requests_are_not_hopeless(self) -> None:
        """Fewer than two rounds say nothing."""
        slow = make_block(HOPELESS * 7)
        assert fed(tally(num_requests=4), [slow]).warmup == [slow]

    def test_without_a_cap_nothing_is_hopeless(self) -> None:
        """There is nothing to miss."""
        goal = Goal(Objective.LATENCY, 99.0, None)
        assert len(fed(tally(goal), blocks_of([100], (1e5,))).warmup) == 1


class TestStop:
    """The first of: missed, dominated, decided, limit."""

    def test_a_clear_miss_stops(self) -> None:
        """Over-cap requests in two blocks, a hundred requests."""
        found = fed(tally(), blocks_of([100] * 20, SLOW))
        assert (found.stop_reason, found.verdict) == (StopReason.MISSED, Verdict.MISSED)
        assert len(found.counted) <= 2

    def test_a_verdict_and_a_precise_throughput_decide(self) -> None:
        """417 requests show p99 without one over the cap; four blocks are the fewest."""
        found = fed(tally(), blocks_of([150] * 20))
        assert (found.stop_reason, found.verdict) == (StopReason.DECIDED, Verdict.MET)
        assert len(found.counted) == 4
        assert found.seen.mean == 300.0

    def test_a_noisy_throughput_is_not_decided(self) -> None:
        """Beyond 2 % the measurement goes on to its limit, with the verdict it has."""
        found = fed(tally(), blocks_of([200, 150] * 20))
        assert (found.stop_reason, found.verdict) == (StopReason.LIMIT, Verdict.MET)
        assert len(found.counted) == 10

    def test_without_a_cap_precision_decides(self) -> None:
        """There is no verdict to wait for."""
        found = fed(tally(Goal(Objective.LATENCY, 99.0, None)), blocks_of([100] * 20))
        assert (found.stop_reason, found.verdict) == (StopReason.DECIDED, None)

    def test_a_contender_with_an_open_verdict_is_given_four_times_the_limit(self) -> None:
        """Six requests per block cannot show p99 within the limit, but may within 20 s."""
        found = fed(tally(num_requests=1), blocks_of([6] * 60))
        assert (found.stop_reason, found.verdict) == (StopReason.LIMIT, Verdict.UNCLEAR)
        assert sum(block.duration_s for block in found.counted) == PLAN.longest_s

    def test_no_contender_without_the_throughput_for_it(self) -> None:
        """An open verdict on what is slower than the best so far is not worth the time."""
        noisy = blocks_of([4, 8] * 30)
        found = fed(tally(num_requests=1, to_beat_per_s=12.5), noisy)
        assert found.stop_reason is StopReason.LIMIT
        assert sum(block.duration_s for block in found.counted) == PLAN.limit_s

    def test_what_is_clearly_slower_is_dominated(self) -> None:
        """Its upper bound lies below the lower bound of the best feasible one."""
        found = fed(tally(to_beat_per_s=300.0), blocks_of([100] * 20))
        assert found.stop_reason is StopReason.DOMINATED
        assert len(found.counted) == 3


class EndedModel:
    """A model whose load is over before it has begun."""

    opening = make_opening()
    peak_rss_bytes = None
    load_peak_rss_bytes = None
    is_open = True

    def load(self, load: Load) -> Generator[Block]:
        """No blocks."""
        yield from ()

    def close(self) -> None:
        """Nothing to close."""


def test_a_load_without_blocks_is_lost() -> None:
    """It is no measurement, and no fault of the configuration."""
    with pytest.raises(TrialFault) as caught:
        measure(EndedModel(), make_configuration(), GOAL, PLAN)
    assert caught.value.failure.kind is FailureKind.LOST


class UnstoppableModel(EndedModel):
    """Measures well, and hangs when it is told to stop."""

    def load(self, load: Load) -> Generator[Block]:
        """Blocks that decide; closing them is a fault."""
        try:
            while True:
                yield make_block((1.0,) * 200)
        finally:
            raise TrialFault(make_failure(FailureKind.HANG))


def test_what_was_decided_stands_though_the_worker_will_not_stop() -> None:
    """A fault after the last block that was needed does not cost the measurement."""
    found = measure(UnstoppableModel(), make_configuration(), GOAL, PLAN)
    assert found.stop_reason is StopReason.DECIDED


def test_a_load_that_ends_in_its_warm_up_still_measures() -> None:
    """A model so slow that one block takes all the time is measured by that block."""

    class SlowModel(EndedModel):
        def load(self, load: Load) -> Generator[Block]:
            yield make_block((9.0,) * 3, duration_s=30.0)

    found = measure(SlowModel(), make_configuration(), GOAL, PLAN)
    assert (len(found.counted), found.stop_reason) == (1, StopReason.LIMIT)


def test_a_measurement_adds_up() -> None:
    """Against a machine that is known exactly."""
    runner = SimulatedRunner()
    configuration = make_configuration(batch_size=2)
    model = runner.open(configuration.compile_key)
    found = measure(model, configuration, Goal(Objective.THROUGHPUT, 99.0, 20.0), PLAN)
    predicted = runner.predict(configuration)

    assert found.configuration == configuration
    assert found.num_requests == 4
    assert found.verdict is Verdict.MET
    assert found.stop_reason is StopReason.DECIDED
    assert found.throughput_per_s == pytest.approx(predicted.throughput_per_s)
    assert found.throughput.half_width == pytest.approx(0.072, rel=0.05)
    assert found.latency.p50_ms == found.latency.goal_ms == found.latency.max_ms
    assert found.latency.goal_ms == pytest.approx(predicted.latency_ms, abs=1e-4)
    assert found.latency.requests == sum(block.completions for block in found.counted)
    assert found.over_cap == 0
    assert found.occupancy == pytest.approx(1.0)
    assert found.measure_s == pytest.approx(sum(block.duration_s for block in found.blocks))
    assert found.warmup_blocks == len(found.blocks) - len(found.counted) == 2
    assert found.flags == frozenset()
    assert found.peak_rss_bytes == model.peak_rss_bytes


# --- turns of a resident model


TURN = Load(arrival=Closed(4), block_s=0.5, limit_s=30.0)


class ScriptedModel(EndedModel):
    """Plays its blocks, then faults if it is to; remembers its loads, and whether it is idle."""

    def __init__(self, blocks: Sequence[Block], *, faults: bool = False) -> None:
        self.blocks = blocks
        self.faults = faults
        self.loads: list[Load] = []
        self.given = 0
        self.is_idle = True

    def load(self, load: Load) -> Generator[Block]:
        """Block after block."""
        self.loads.append(load)
        self.is_idle = False
        try:
            for block in self.blocks:
                self.given += 1
                yield block
            if self.faults:
                raise TrialFault(make_failure(FailureKind.CRASH))
        finally:
            self.is_idle = True


def test_a_turn_is_one_block() -> None:
    """Of the load that was asked for; the model is idle again afterwards."""
    blocks = blocks_of([100, 110])
    model = ScriptedModel(blocks)
    assert take_slice(model, TURN) is blocks[0]
    assert (model.loads, model.given, model.is_idle) == ([TURN], 1, True)


@pytest.mark.parametrize(
    ("faults", "kind"),
    [(False, FailureKind.LOST), (True, FailureKind.CRASH)],
    ids=["ends", "crash"],
)
def test_a_turn_without_a_block_is_a_fault(faults: bool, kind: FailureKind) -> None:
    """A load that ends is the machine's fault, a crash the model's own."""
    model = ScriptedModel([], faults=faults)
    with pytest.raises(TrialFault) as caught:
        take_slice(model, TURN)
    assert caught.value.failure.kind is kind
    assert model.is_idle


def test_a_turn_on_a_simulated_model_costs_its_block() -> None:
    """And leaves it open for the next."""
    runner = SimulatedRunner()
    model = runner.open(make_configuration().compile_key)
    before = runner.clock()
    blocks = [take_slice(model, TURN) for _ in range(3)]
    assert runner.clock() - before == pytest.approx(sum(block.duration_s for block in blocks))
    assert model.is_open


def test_a_short_warm_up_ends_with_two_blocks_that_agree() -> None:
    """Each of half the least time, which was then passed; nothing else of the load is changed."""
    model = ScriptedModel([make_block(duration_s=0.25)] * 20)
    warm_up(model, TURN, 0.5)
    assert model.given == 2
    assert model.is_idle
    (load,) = model.loads
    assert (load.block_s, load.num_requests, load.limit_s) == (0.25, 4, 30.0)


def test_a_warm_up_that_never_settles_ends_at_four_times_the_least() -> None:
    """Each block a fifth faster than the one before."""
    rising = [make_block((1.0,) * round(20 * 1.2**n), duration_s=0.25) for n in range(20)]
    model = ScriptedModel(rising)
    warm_up(model, TURN, 0.5)
    assert model.given == 8


@pytest.mark.parametrize("faults", [False, True])
def test_a_warm_up_that_ends_early_is_over(faults: bool) -> None:
    """By itself, or as a fault that is the caller's to judge."""
    model = ScriptedModel(blocks_of([10]), faults=faults)
    if faults:
        with pytest.raises(TrialFault):
            warm_up(model, TURN, 5.0)
    else:
        warm_up(model, TURN, 5.0)
    assert model.is_idle


@pytest.mark.parametrize(
    ("counts", "num_requests", "warm"),
    [
        pytest.param([], 1, False, id="nothing yet"),
        pytest.param([100], 1, False, id="too short"),
        pytest.param([100, 100], 1, True, id="two that agree"),
        pytest.param([100, 120], 1, False, id="two that differ"),
        pytest.param([100, 120, 100, 120], 1, True, id="four without a trend"),
        pytest.param([100, 120, 140, 160], 1, False, id="a trend"),
        pytest.param([14, 14], 1, False, id="28 requests"),
        pytest.param([15, 15], 1, True, id="30 requests"),
        pytest.param([50, 50], 40, False, id="two rounds and a half"),
        pytest.param([60, 60], 40, True, id="three rounds"),
        pytest.param([1, 2, 4, 8, 16, 32, 64, 128], 100, True, id="as long as it may be"),
    ],
)
def test_what_is_warm(counts: list[int], num_requests: int, warm: bool) -> None:
    """A second, every request's turns, and rates that agree; or four seconds."""
    assert is_warm(blocks_of(counts), num_requests, 1.0, 4.0) is warm


@pytest.mark.parametrize(("bad", "expected"), [(1, frozenset()), (2, frozenset({Flag.LOOP_BOUND}))])
def test_a_flag_counts_when_more_than_a_fifth_of_the_blocks_have_it(
    bad: int, expected: frozenset[Flag]
) -> None:
    """One block in five is chance."""
    good = make_block()
    slow_loop = make_block(occupancy=0.5)
    assert common_flags([slow_loop] * bad + [good] * (5 - bad)) == expected


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"occupancy": 0.96}, Flag.LOOP_BOUND),
        ({"occupancy": 1.002}, Flag.CLOCK),
        ({"clock_drift_s": -0.06}, Flag.CLOCK),
        ({"steal_s": 0.06, "cpus": 2}, Flag.STEAL),
        ({"loop_cpu_s": 0.06, "cpus": 2}, Flag.LOOP_CPU),
        ({"pressure_s": 0.26}, Flag.PRESSURE),
        ({"throttled": 1}, Flag.THROTTLED),
        ({"major_faults": 1}, Flag.MAJOR_FAULTS),
    ],
)
def test_every_reason_to_doubt_a_block_has_its_flag(fields: dict[str, Any], flag: Flag) -> None:
    """And an undisturbed block has none."""
    assert make_block(**fields).flags == {flag}
    assert make_block(steal_s=0.04, cpus=2, throttled=0).flags == frozenset()


class TestLimits:
    """A limit that is clearly missed ends a trial, one that is open keeps it from being decided."""

    def asked(self, **limits: float) -> Goal:
        """Without a cap on latency."""
        return replace(GOAL, cap_ms=None, limits=limits_of(limits))

    def tally(self, goal: Goal, **opening: Any) -> Tally:
        """Of a model that was opened."""
        return Tally(1, 4, goal, PLAN, 0.0, make_opening(**opening))

    @pytest.mark.parametrize(
        ("limits", "verdicts"),
        [
            ({"max_cpu_per_item": 0.0020}, [Verdict.MISSED]),
            ({"min_throughput": 300.0}, [Verdict.MISSED]),
            ({"max_compile_time": 0.2}, [Verdict.MISSED]),
            ({"max_memory": 1.0}, []),
        ],
    )
    def test_a_clear_miss_stops(self, limits: dict[str, float], verdicts: list[Verdict]) -> None:
        """Once the throughput has an interval; memory is not known until the load ends."""
        found = fed(self.tally(self.asked(**limits)), blocks_of([100] * 30))
        assert list(found.limits.values()) == verdicts
        is_missed = bool(verdicts)
        assert (found.stop_reason is StopReason.MISSED) is is_missed
        assert len(found.counted) == 4

    def test_what_more_load_may_decide_is_waited_for(self) -> None:
        """0.0039 s for each item, give or take: open at 0.00391 until time is up."""
        found = fed(self.tally(self.asked(max_cpu_per_item=0.00391)), blocks_of([100] * 60))
        assert found.limits == {"max_cpu_per_item": Verdict.UNCLEAR}
        assert found.stop_reason is StopReason.LIMIT
        assert sum(block.duration_s for block in found.counted) == PLAN.longest_s

    def test_what_more_load_cannot_decide_is_not(self) -> None:
        """Opening took what it took: near the limit, the trial ends as any other."""
        found = fed(self.tally(self.asked(max_compile_time=0.42)), blocks_of([100] * 60))
        assert found.limits == {"max_compile_time": Verdict.UNCLEAR}
        assert found.stop_reason is StopReason.DECIDED

    def test_what_is_slower_than_the_best_is_not_waited_for(self) -> None:
        """An open limit of something slow is of no use."""
        goal = self.asked(max_cpu_per_item=0.00391)
        slow = Tally(1, 4, goal, PLAN, 1000.0, make_opening())
        assert fed(slow, blocks_of([100] * 60)).stop_reason is StopReason.DOMINATED

    def test_efficiency_is_measured_to_the_same_precision(self) -> None:
        """A steady rate is not enough where CPU time varies."""
        goal = replace(GOAL, cap_ms=None, objective=Objective.EFFICIENCY)
        steady = blocks_of([100] * 60)
        assert fed(self.tally(goal), steady).stop_reason is StopReason.DECIDED
        uneven = [
            replace(block, process_cpu_s=0.3 + 0.2 * (number % 2))
            for number, block in enumerate(steady)
        ]
        found = fed(self.tally(goal), uneven)
        assert found.stop_reason in {StopReason.LIMIT, StopReason.DECIDED}
        assert len(found.counted) > 4

    def test_a_measurement_of_a_simulated_machine_is_judged(self) -> None:
        """Its CPU time and memory are those of the formula."""
        runner = SimulatedRunner()
        configuration = make_configuration()
        goal = self.asked(max_cpu_per_item=1.0, max_memory=1e9, min_throughput=1.0)
        found = measure(runner.open(configuration.compile_key), configuration, goal, PLAN)
        assert [one.verdict for one in judged(found, goal)] == [Verdict.MET] * 3
        assert verdict_under(found, goal) is Verdict.MET
