"""Who is chosen, by which rule, what may be claimed of it, and how the others ended."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from autotune.domain.doubts import Doubts
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Feed, Flag, Opening
from autotune.domain.race import (
    Advantage,
    Choice,
    Contender,
    Dossier,
    End,
    RaceResult,
    Slice,
    State,
    Status,
)
from autotune.racing.judge import Field, judge
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import PerformanceHint
from tests.builders import GOAL, make_block, make_configuration, make_failure, make_opening

HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
UNCAPPED = Goal(Objective.THROUGHPUT, 99.0, None)
LOWEST = Goal(Objective.LATENCY, 99.0, None)
SLOW = 20.0
"""Latency in ms over the cap of 10."""
JITTER = (0.9, 1.0, 1.1)
"""What rounds of a contender differ by: enough that one is not clearly slower for 3 %."""
MANY = range(12)
"""Launches that show equals to be equal; three do not."""


def contender(name: str, **fields: Any) -> Contender:
    """A tuned one, or a hint."""
    return Contender(name=name, configuration=fields.pop("configuration", make_configuration()))


def turns(
    position: int,
    speed: float = 200.0,
    *,
    latency_ms: float = 5.0,
    over: int = 0,
    launches: Sequence[int] = (0, 1, 2),
    rounds: Sequence[float] = (1.0, 1.0, 1.0),
    requests: int = 100,
    **fields: Any,
) -> list[Slice]:
    """Slices at a speed in items per second; `rounds` are factors of it."""
    latencies = (latency_ms,) * (requests - over) + (SLOW,) * over
    return [
        Slice(
            launch,
            number,
            position,
            0.0,
            make_block(latencies, requests / speed / factor, **fields),
        )
        for launch, (number, factor) in product(launches, enumerate(rounds))
    ]


def with_threads(threads: int | None) -> Opening:
    """A model that runs on so many threads; None where the device does not tell."""
    properties = {} if threads is None else {"INFERENCE_NUM_THREADS": str(threads)}
    return make_opening(effective=Effective(properties, 2))


def judged(
    *slices: Sequence[Slice],
    contenders: Sequence[Contender] | None = None,
    dossiers: Mapping[int, Dossier] | None = None,
    end: End = End.DECIDED,
    **fields: Any,
) -> RaceResult:
    """The result of a race of tuned configurations, against the first of them."""
    pieces = [piece for taken in slices for piece in taken]
    if contenders is None:
        count = 1 + max((piece.contender for piece in pieces), default=0)
        contenders = [contender(f"trial {n}") for n in range(count)]
    values: dict[str, Any] = {"goal": GOAL, "baseline": 0, "tie_margin": 0.01, **fields}
    field = Field(
        contenders=contenders,
        dossiers=dossiers or {},
        slices=pieces,
        **values,
    )
    return judge(field, end=end, duration_s=60.0)


def states(result: RaceResult) -> list[State]:
    """Of all contenders."""
    return [standing.state for standing in result.standings]


# --- the choice


def test_the_fastest_is_chosen_where_nothing_is_tied_with_it() -> None:
    """Half as fast is slower."""
    result = judged(turns(0, 100), turns(1, 200))
    assert (result.chosen, result.choice) == (1, Choice.FASTEST)
    assert states(result) == [State.SLOWER, State.CHOSEN]


def test_the_default_hint_comes_before_everything_else() -> None:
    """Nothing beats it beyond the noise: more room, fewer threads and less memory do not count."""
    result = judged(
        turns(0, 200, latency_ms=2.0, launches=MANY),
        turns(1, 199.5, latency_ms=8.0, launches=MANY),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
        dossiers={
            0: Dossier(opening=with_threads(1), peak_rss_bytes=1),
            1: Dossier(opening=with_threads(64), peak_rss_bytes=2**34),
        },
    )
    assert (result.chosen, result.choice) == (1, Choice.DEFAULT)
    assert (result.advantage, result.undecided_s) == (Advantage.EQUAL, None)
    assert states(result) == [State.TIED, State.CHOSEN]


def test_a_hint_that_is_slower_is_not_chosen() -> None:
    """By more than the margin, in every round."""
    result = judged(
        turns(0, 200),
        turns(1, 190),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
    )
    assert (result.chosen, result.choice) == (0, Choice.FASTEST)


def test_a_likely_gain_is_not_given_up() -> None:
    """3 % ahead by its mean, and a tie is not excluded: chosen, and said to be likely."""
    result = judged(
        turns(0, 200, rounds=(1.0, 1.06, 0.94)),
        turns(1, 194, rounds=(0.94, 1.0, 1.06)),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
    )
    assert (result.chosen, result.choice) == (0, Choice.FASTEST)
    assert result.advantage is Advantage.LIKELY
    assert result.chance is not None
    assert 0.8 < result.chance < 0.975
    assert result.undecided_s is not None
    assert 0 < result.undecided_s < 600


@pytest.mark.parametrize("of_one_search", [True, False])
def test_what_a_search_saw_counts_where_one_search_found_them(of_one_search: bool) -> None:
    """It saw the first 20 % ahead; the race is of files otherwise, and takes nobody's word."""
    field = [replace(contender("fast"), search_per_s=240.0), contender("plain")]
    field[1] = replace(field[1], search_per_s=200.0)
    result = judged(
        turns(0, 200, rounds=JITTER),
        turns(1, 200, rounds=JITTER[::-1]),
        contenders=field,
        baseline=1,
        of_one_search=of_one_search,
    )
    ratio = result.standings[0].ratio
    assert ratio is not None
    assert (ratio.mean > 1.005) == of_one_search
    assert ratio.mean < 1.1


def hinted(*slices: Sequence[Slice], **fields: Any) -> RaceResult:
    """Of one tuned configuration and both hints, of which the search took the first for better."""
    latency = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    seen = {"trial 0": 220.0, "LATENCY": 205.0, "THROUGHPUT": 200.0}
    settings = {"trial 0": make_configuration(), "LATENCY": latency, "THROUGHPUT": HINT}
    entered = [
        replace(contender(name, configuration=settings[name]), search_per_s=per_s)
        for name, per_s in seen.items()
    ]
    values: dict[str, Any] = {"baseline": 1, "of_one_search": True, **fields}
    return judged(turns(0, 220), *slices, contenders=entered, **values)


def test_the_better_hint_is_the_one_that_the_race_shows() -> None:
    """Ratios are to it: 1.1 times the faster one is 1.2 times the other, and that is no claim."""
    result = hinted(turns(1, 183), turns(2, 200))
    assert result.better_hint is result.standings[2]
    ratio = result.standings[0].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.1, rel=0.02)


@pytest.mark.parametrize(
    ("slices", "fields", "better"),
    [
        pytest.param([turns(1, 183), turns(2, 200)], {"of_one_search": False}, 1, id="given"),
        pytest.param([turns(1, 183), turns(2, 200)], {"baseline": None}, None, id="no hint"),
        pytest.param([turns(1, 183), turns(2, 200, over=20)], {}, 1, id="the faster misses"),
        pytest.param([turns(1, 183, over=9), turns(2, 200, over=9)], {}, 2, id="both miss"),
        pytest.param([turns(1, 183)], {}, 1, id="the other never ran"),
        pytest.param([], {}, 1, id="neither ran"),
        pytest.param(
            [turns(1, 183), turns(2, 200)],
            {"dossiers": {2: Dossier(failure=make_failure())}},
            1,
            id="the faster failed",
        ),
    ],
)
def test_which_hint_is_the_better_one(
    slices: list[list[Slice]], fields: dict[str, Any], better: int | None
) -> None:
    """Of one search: the fastest that may keep the SLA, of those that ran; else what was given."""
    assert hinted(*slices, **fields).baseline == better


def test_a_doubtful_gain_is_given_up() -> None:
    """3 % ahead by its mean, but noisy: the hint, and how long it would take to decide."""
    result = judged(
        turns(0, 200, rounds=JITTER),
        turns(1, 194, rounds=JITTER[::-1]),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
    )
    assert (result.chosen, result.choice) == (1, Choice.DEFAULT)
    assert result.advantage is Advantage.NOT_SHOWN
    assert result.chance is not None
    assert 0.5 < result.chance < 0.9
    assert result.undecided_s is not None
    assert result.undecided_s > 60


def test_a_shown_gain_is_said_so() -> None:
    """Twice as fast, in every launch; nothing is left to be decided."""
    result = judged(
        turns(0, 400),
        turns(1, 200),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
    )
    assert (result.chosen, result.advantage) == (0, Advantage.SHOWN)
    assert result.undecided_s is None


def test_without_a_hint_there_is_nothing_to_be_faster_than() -> None:
    """A hint over the cap is none either."""
    alone = judged(turns(0, 400), turns(1, 200))
    late = judged(
        turns(0, 100),
        turns(1, 200, over=50),
        contenders=[contender("trial 0"), contender("hint", configuration=HINT)],
    )
    assert (alone.advantage, alone.chance) == (late.advantage, late.chance) == (None, None)
    assert late.chosen == 0


def test_of_two_hints_the_faster_is_chosen() -> None:
    """Both tied with the leader."""
    result = judged(
        turns(0, 200, launches=MANY),
        turns(1, 199, launches=MANY),
        turns(2, 199.5, launches=MANY),
        contenders=[contender("t"), *(contender(n, configuration=HINT) for n in ("a", "b"))],
    )
    assert (result.chosen, result.choice) == (2, Choice.DEFAULT)


def test_margin_comes_before_threads_and_memory() -> None:
    """Of the tied, the one with a tenth of the cap more room."""
    result = judged(
        turns(0, 200, launches=MANY, latency_ms=8.0),
        turns(1, 199.5, launches=MANY, latency_ms=4.0),
        dossiers={
            0: Dossier(opening=with_threads(1), peak_rss_bytes=2**20),
            1: Dossier(opening=with_threads(4), peak_rss_bytes=2**30),
        },
    )
    assert (result.chosen, result.choice) == (1, Choice.MARGIN)


def test_a_tie_is_not_broken_in_favour_of_one_that_is_not_shown_to_be_equal() -> None:
    """The one with more room below the cap is as fast by its mean, and noisy."""
    result = judged(
        turns(0, 204, latency_ms=8.0),
        turns(1, 204, latency_ms=4.0, rounds=JITTER),
    )
    assert (result.chosen, result.choice) == (0, Choice.FASTEST)


def test_room_of_less_than_a_tenth_of_the_cap_is_no_difference() -> None:
    """7.1 and 7.6 ms are both eight tenths; then fewer threads decide, before memory."""
    result = judged(
        turns(0, 200, launches=MANY, latency_ms=7.1),
        turns(1, 199.5, launches=MANY, latency_ms=7.6),
        dossiers={
            0: Dossier(opening=with_threads(4), peak_rss_bytes=2**20),
            1: Dossier(opening=with_threads(2), peak_rss_bytes=2**30),
        },
    )
    assert (result.chosen, result.choice) == (1, Choice.THREADS)


@pytest.mark.parametrize("goal", [GOAL, UNCAPPED])
@pytest.mark.parametrize("peak", [2**30, None])
def test_less_memory_decides_last(goal: Goal, peak: int | None) -> None:
    """At equal room and threads; an unknown peak is no small one."""
    dossiers = {
        0: Dossier(opening=with_threads(2), peak_rss_bytes=peak),
        1: Dossier(opening=with_threads(2), peak_rss_bytes=2**29),
    }
    slices = turns(0, 200, launches=MANY), turns(1, 199.5, launches=MANY)
    result = judged(*slices, dossiers=dossiers, goal=goal)
    assert (result.chosen, result.choice) == (1, Choice.MEMORY)


@pytest.mark.parametrize("known", [True, False])
def test_equals_in_everything_are_tied(known: bool) -> None:
    """The fastest by its mean; a few megabytes more or less are the same."""
    dossiers = {
        n: Dossier(opening=with_threads(2), peak_rss_bytes=2**30 + n * 2**20) for n in range(2)
    }
    slices = turns(0, 199.5, launches=MANY), turns(1, 200, launches=MANY)
    result = judged(*slices, dossiers=dossiers if known else {})
    assert (result.chosen, result.choice) == (1, Choice.TIED)
    assert [standing.contender.name for standing in result.ties] == ["trial 0"]


def test_a_rule_that_picks_the_leader_is_no_reason_against_others() -> None:
    """The fastest has fewer threads as well: chosen among the tied, given up nothing."""
    dossiers = {n: Dossier(opening=with_threads(4 - n)) for n in range(2)}
    result = judged(turns(0, 199.5, launches=MANY), turns(1, 200, launches=MANY), dossiers=dossiers)
    assert (result.chosen, result.choice) == (1, Choice.TIED)


def test_speed_is_not_given_up_for_a_wide_interval() -> None:
    """Not shown to be slower, but 3 % behind: more room does not outweigh that."""
    result = judged(
        turns(0, 194, rounds=JITTER, latency_ms=1.0), turns(1, 200, rounds=JITTER[::-1])
    )
    assert result.chosen == 1
    assert states(result)[0] is State.TIED


def test_one_that_holds_comes_before_a_faster_one_that_does_not() -> None:
    """The faster is shown as such: its SLA was not shown."""
    result = judged(turns(0, 200), turns(1, 400, over=1))
    assert (result.chosen, result.status) == (0, Status.CERTIFIED)
    assert states(result) == [State.CHOSEN, State.FASTER]


def test_one_of_few_launches_does_not_come_before_one_that_can_be_certified() -> None:
    """Without a cap all that was measured holds, but one launch is not enough to claim it."""
    result = judged(turns(0, 200), turns(1, 400, launches=[0]), goal=UNCAPPED)
    assert (result.chosen, result.status) == (0, Status.CERTIFIED)


def test_without_a_cap_two_launches_do_not_certify() -> None:
    """They say next to nothing about how much launches differ."""
    result = judged(turns(0, launches=[0, 1]), goal=UNCAPPED)
    assert (result.chosen, result.status) == (0, Status.PROVISIONAL)


def test_one_that_meets_comes_before_a_faster_one_that_is_unclear() -> None:
    """Where nothing is certified."""
    result = judged(
        turns(0, 200, launches=[0], rounds=[1] * 9), turns(1, 400, over=1, rounds=[1] * 2)
    )
    assert (result.chosen, result.status) == (0, Status.PROVISIONAL)


def test_an_unclear_one_is_better_than_none() -> None:
    """It is chosen, unconfirmed; one that misses never is."""
    result = judged(turns(0, 200, over=1), turns(1, 400, over=30))
    assert (result.chosen, result.status) == (0, Status.UNCONFIRMED)
    assert states(result) == [State.CHOSEN, State.MISSED]


def test_one_that_the_search_would_call_met_comes_before_a_faster_one_that_is_unclear() -> None:
    """Of 500 requests none is over the cap: met at 5 %, and not yet at 1 %."""
    met = turns(0, 100, requests=500, launches=[0], rounds=[1.0])
    unclear = turns(1, 200, launches=[0], rounds=[1.0])
    result = judged(met, unclear)
    assert [s.verdict for s in result.standings] == [Verdict.UNCLEAR] * 2
    assert [s.overall_in_search for s in result.standings] == [Verdict.MET, Verdict.UNCLEAR]
    assert (result.chosen, result.status) == (0, Status.UNCONFIRMED)


@pytest.mark.parametrize(("over", "latency_ms"), [(0, 9.9), (1, 5.0)])
def test_of_the_unclear_the_fastest_within_the_cap_is_chosen(over: int, latency_ms: float) -> None:
    """Three of a hundred requests over the cap are beyond the 99th percentile, too few to miss."""
    within = turns(0, 100, over=over, latency_ms=latency_ms, rounds=[1.0])
    beyond = turns(1, 200, over=3, rounds=[1.0])
    result = judged(within, beyond)
    assert [s.verdict for s in result.standings] == [Verdict.UNCLEAR] * 2
    assert (result.chosen, result.status) == (0, Status.UNCONFIRMED)


def test_of_the_unclear_beyond_the_cap_the_nearest_is_chosen() -> None:
    """However fast the others are."""
    far = turns(0, 200, over=3, rounds=[1.0])
    near = turns(1, 100, latency_ms=9.0, rounds=[1.0], over=0)
    near = [replace(t, block=make_block((9.0,) * 97 + (10.5,) * 3, 1.0)) for t in near]
    result = judged(far, near)
    assert [s.verdict for s in result.standings] == [Verdict.UNCLEAR] * 2
    assert result.chosen == 1


def test_without_a_common_launch_no_gain_is_shown() -> None:
    """The hint never ran beside the other: nothing was compared, so the hint is chosen."""
    result = judged(
        turns(0, 200, launches=[0, 1, 2]),
        turns(1, 200, launches=[3, 4, 5]),
        contenders=[contender("t"), contender("hint", configuration=HINT)],
    )
    assert (result.chosen, result.advantage) == (1, Advantage.NOT_SHOWN)
    assert states(result)[0] is State.WAITING


def test_latency_decides_where_it_is_the_goal() -> None:
    """A third of the throughput at half the percentile is better."""
    result = judged(turns(0, 300, latency_ms=4.0), turns(1, 100, latency_ms=2.0), goal=LOWEST)
    assert (result.chosen, result.choice) == (1, Choice.FASTEST)
    assert result.standings[1].ratio is not None
    assert result.standings[1].ratio.mean == pytest.approx(2.0, rel=1e-3)
    assert result.status is Status.CERTIFIED


# --- what may be claimed


def test_certified() -> None:
    """Three launches, all requests under the cap, nothing against it; the numbers say so.

    Three that agree do not show that the next one will: 8 % for what launches are known to differ
    by.
    """
    result = judged(turns(0))
    winner = result.winner
    assert winner is not None
    assert result.status is Status.CERTIFIED
    assert (winner.launches, winner.slices, winner.requests, winner.over_cap) == (3, 9, 900, 0)
    assert (winner.verdict, winner.search_verdict) == (Verdict.MET, Verdict.MET)
    assert winner.holds
    assert winner.measured_s == pytest.approx(4.5)
    assert winner.throughput is not None
    assert winner.throughput.mean == pytest.approx(200)
    assert winner.latency_upper_ms == pytest.approx(5.39, abs=0.01)
    assert winner.missed_launches == 0


def test_without_a_cap_three_launches_certify() -> None:
    """There is no verdict; what was measured is what is claimed."""
    result = judged(turns(0, requests=10), goal=UNCAPPED)
    assert result.status is Status.CERTIFIED
    assert result.standings[0].verdict is None


@pytest.mark.parametrize(
    ("slices", "end"),
    [
        pytest.param(turns(0, launches=[0, 1], rounds=[1] * 5), End.BUDGET, id="two launches"),
        pytest.param(turns(0), End.STOPPED, id="stopped"),
        pytest.param(turns(0, steal_s=0.4), End.DECIDED, id="stolen time"),
        pytest.param(turns(0, pressure_s=0.4), End.DECIDED, id="others want the CPUs"),
        pytest.param(turns(0, throttled=1), End.DECIDED, id="throttled"),
        pytest.param(turns(0, major_faults=1), End.DECIDED, id="pages from disk"),
        pytest.param(
            [
                p
                for n, ms in enumerate((2.0, 5.0, 9.0))
                for p in turns(0, launches=[n], latency_ms=ms)
            ],
            End.DECIDED,
            id="launches differ too much",
        ),
        pytest.param(
            turns(0, requests=1000) + turns(0, launches=[3], rounds=[1] * 2, over=20),
            End.DECIDED,
            id="a launch that misses",
        ),
    ],
)
def test_provisional(slices: list[Slice], end: End) -> None:
    """It passes, but each of these is a reason not to certify."""
    result = judged(slices, end=end)
    assert result.standings[0].verdict is Verdict.MET
    assert (result.chosen, result.status) == (0, Status.PROVISIONAL)


@pytest.mark.parametrize("end", [End.BUDGET, End.LAUNCHES, End.DECIDED])
def test_an_idle_slot_is_no_noise(end: End) -> None:
    """Our own loop was the bottleneck: that is no reason to doubt the machine, nor is an end."""
    result = judged(turns(0, occupancy=0.5), end=end)
    assert Flag.LOOP_BOUND in result.standings[0].flags
    assert result.status is Status.CERTIFIED


@pytest.mark.parametrize(
    "slices",
    [
        pytest.param([], id="nothing measured"),
        pytest.param(turns(0, rounds=[1.0]), id="300 requests"),
        pytest.param(turns(0, over=1), id="unclear"),
        pytest.param(turns(0, over=50), id="missed"),
        pytest.param(turns(0, clock_drift_s=1.0), id="void slices only"),
    ],
)
def test_unconfirmed(slices: list[Slice]) -> None:
    """Nothing was shown."""
    assert judged(slices).status is Status.UNCONFIRMED


@pytest.mark.parametrize("slices", [[], turns(0, over=50)])
def test_nothing_may_be_chosen(slices: list[Slice]) -> None:
    """No slices, or a clear miss: there is no winner and no reason."""
    result = judged(slices)
    assert (result.chosen, result.choice, result.winner) == (None, None, None)
    assert states(result) == [State.MISSED if slices else State.WAITING]


# --- the others


@pytest.mark.parametrize(
    "slices",
    [
        pytest.param(turns(0), id="else certified"),
        pytest.param(turns(0, steal_s=0.4), id="else provisional"),
        pytest.param(turns(0, over=1), id="else unconfirmed"),
    ],
)
def test_what_could_not_be_proven_is_unproven_whatever_else_was_shown(
    slices: list[Slice],
) -> None:
    """A fast wrong answer is no answer; why it could not be proven is handed on."""
    result = judged(slices, dossiers={0: Dossier(opening=make_opening(unproven="all zero"))})
    assert (result.chosen, result.status) == (0, Status.UNPROVEN)
    assert result.standings[0].unproven == "all zero"


@pytest.mark.parametrize("dossiers", [{}, {0: Dossier(opening=make_opening())}])
def test_what_was_found_out_since_counts_as_well(dossiers: dict[int, Dossier]) -> None:
    """Whoever opened it then found nothing, or was cut off before it was kept."""
    batch = [replace(contender("trial 0"), configuration=make_configuration(batch_size=2))]
    doubts = Doubts(batch="all zero")
    result = judged(turns(0), contenders=batch, dossiers=dossiers, doubts=doubts)
    assert (result.status, result.standings[0].unproven) == (Status.UNPROVEN, "all zero")
    assert judged(turns(0), dossiers=dossiers, doubts=doubts).status is Status.CERTIFIED


def test_an_unproven_one_that_is_not_chosen_taints_nobody() -> None:
    """The certificate is of the chosen one."""
    dossiers = {0: Dossier(opening=make_opening(unproven="all zero"))}
    result = judged(turns(0, 100), turns(1, 200), dossiers=dossiers)
    assert (result.chosen, result.status) == (1, Status.CERTIFIED)
    assert [standing.unproven for standing in result.standings] == ["all zero", None]


def test_states_of_the_others() -> None:
    """Each in its own words."""
    result = judged(
        turns(0, 200),
        turns(1, 199.5, latency_ms=9.5),
        turns(2, 400, over=1),
        turns(3, 100),
        turns(4, 400, over=50),
        turns(5, 500),
        contenders=[contender(f"trial {n}") for n in range(7)],
        dossiers={5: Dossier(failure=make_failure())},
    )
    assert states(result) == [
        State.CHOSEN,
        State.TIED,
        State.FASTER,
        State.SLOWER,
        State.MISSED,
        State.FAILED,
        State.WAITING,
    ]
    assert [s.contender.name for s in result.standings] == [f"trial {n}" for n in range(7)]


def test_a_failed_contender_is_never_chosen() -> None:
    """However fast it was before; its reason is kept."""
    failure = make_failure()
    result = judged(turns(0, 100), turns(1, 900), dossiers={1: Dossier(failure=failure)})
    assert result.chosen == 0
    assert result.standings[1].failure is failure
    assert result.standings[1].state is State.FAILED


def test_one_that_waited_has_no_numbers() -> None:
    """Not measured is None."""
    waiting = judged(turns(0), contenders=[contender("a"), contender("b")]).standings[1]
    assert (waiting.verdict, waiting.search_verdict, waiting.throughput) == (None, None, None)
    assert (waiting.latency, waiting.latency_upper_ms, waiting.ratio) == (None, None, None)
    assert (waiting.requests, waiting.launches, waiting.holds) == (0, 0, False)


def test_ratios_are_to_the_baseline_and_to_the_chosen() -> None:
    """Neither has one to itself."""
    baseline, chosen, other = judged(turns(0, 100), turns(1, 200), turns(2, 150)).standings
    assert baseline.ratio is None
    assert chosen.to_chosen is None
    assert [s.ratio.mean for s in (chosen, other) if s.ratio] == pytest.approx([2.0, 1.5], rel=1e-3)
    assert [s.to_chosen.mean for s in (baseline, other) if s.to_chosen] == pytest.approx(
        [0.5, 0.75], rel=1e-3
    )


def test_without_a_baseline_there_is_no_ratio_to_it() -> None:
    """But there is one to the chosen."""
    result = judged(turns(0, 100), turns(1, 200), baseline=None)
    assert result.better_hint is None
    assert [standing.ratio for standing in result.standings] == [None, None]
    assert result.standings[0].to_chosen is not None


@pytest.mark.parametrize("requests", [1, 8])
def test_requests_in_flight_come_from_the_opening(requests: int) -> None:
    """A hint leaves them to the model: ten rounds of them are needed to miss."""
    slices = turns(0, requests=30, over=6, launches=[0], rounds=[1] * 4)
    opening = make_opening(effective=Effective({}, requests * 8))
    result = judged(
        slices,
        contenders=[contender("hint", configuration=HINT)],
        dossiers={0: Dossier(opening=opening)},
    )
    expected = Verdict.MISSED if requests == 1 else Verdict.UNCLEAR
    assert result.standings[0].verdict is expected
    assert result.standings[0].effective is opening.effective


# --- what the machine did


def test_a_race_with_many_void_slices_is_not_certified() -> None:
    """A clock that is stepped all the time is no clock: a fifth of the slices is the most."""
    void = turns(0, 200, clock_drift_s=1.0, launches=[3, 4, 5])
    assert judged(turns(0), void).status is Status.PROVISIONAL


def test_void_slices_never_count() -> None:
    """They are shown in the conditions, and nowhere else."""
    void = turns(
        0, 9000, clock_drift_s=1.0, steal_s=0.1, major_faults=5, launches=[3], rounds=[1.0]
    )
    clean, dirty = judged(turns(0)), judged(turns(0), void)
    assert dirty.standings == clean.standings
    assert dirty.status is Status.CERTIFIED
    assert (clean.conditions.void_slices, dirty.conditions.void_slices) == (0, 1)
    assert dirty.conditions.major_faults == 0
    assert dirty.conditions.steal_share is None


def test_conditions_add_up() -> None:
    """Shares of the CPUs' time, the worst of them, and counts; unknown stays None."""
    slices = [
        *turns(0, launches=[0], rounds=[1], steal_s=0.1, cpus=2, throttled=1, major_faults=3),
        *turns(0, launches=[1], rounds=[1], steal_s=0.0, cpus=2, throttled=2),
        *turns(0, launches=[2], rounds=[1]),
    ]
    found = judged(slices).conditions
    assert found.steal_share == pytest.approx(0.05)
    assert found.most_steal_share == pytest.approx(0.1)
    assert (found.throttled, found.major_faults) == (3, 3)
    assert judged(turns(0)).conditions.throttled is None


def test_the_dispersion_is_that_of_the_chosen() -> None:
    """None where nothing is chosen."""
    chosen = turns(0, 400, over=1, requests=1000), turns(1, 100)
    assert judged(*chosen).conditions.dispersion == pytest.approx(0.0)
    assert judged([]).conditions.dispersion is None


def test_the_result_says_how_it_was_held() -> None:
    """Launches and rounds that were seen, the end, the margin and the feed."""
    result = judge(
        Field(
            contenders=[contender("a")],
            dossiers={},
            slices=turns(0, launches=[0, 2], rounds=[1, 1]),
            goal=GOAL,
            baseline=None,
            tie_margin=0.02,
            feed=Feed.COPY,
        ),
        end=End.LAUNCHES,
        duration_s=12.0,
        noise=0.015,
    )
    assert (result.launches, result.rounds, result.end) == (2, 4, End.LAUNCHES)
    assert (result.duration_s, result.tie_margin, result.feed) == (12.0, 0.02, Feed.COPY)
    assert result.conditions.noise == 0.015
