"""Who races: the best of the search, one with room below the cap, and the runtime's own hints."""

import math
from collections.abc import Sequence

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Measurement
from autotune.domain.race import Contender
from autotune.domain.ranking import baselines, better_hint, merit
from autotune.domain.trial import Trial
from autotune.domain.verdicts import LATENCY, Judged, judged, worth
from autotune.racing.plan import SLICE_S, WARM_ROUNDS, WARM_UP_S, longer_slice_s
from autotune.space.dimensions import API
from autotune.space.rows.variant import VARIANT
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN

MOST_SEATED = 7
"""Most that have a seat beside the hints."""
_RESERVES = 6
"""How many more wait in line for a seat that becomes free."""
_MOST_RIVALS = 4
_LEADERS = 3
"""Of so many of the most promising, the better hint of the device races."""
_NEAR = 1.02
_ROOM = 0.75
_LEAST_SLICES = 3
_ROUNDS_OF_REQUESTS = 5
_IDLE_ROUNDS = 3
"""Filling, one round that is not counted, draining."""


def contenders(
    trials: Sequence[Trial], goal: Goal, items_per_request: int = 1
) -> tuple[list[Contender], int | None]:
    """Everyone who may race, in order of promise, the hints last; and the better hint's position.

    First the two best by what they can claim, then the best that serves the workload in each other
    way, as one would ask for those by name; then the best that leaves a quarter of the cap free
    and has room below every limit, in case the others turn out to be too near to it (or where there
    is none, the best with room below each), then the next best. Only trials whose verdicts are met,
    or open with a value at the limit at most; none that repeats another's measurement.
    """
    able = sorted(
        (trial for trial in trials if may_race(trial, goal)), key=lambda trial: merit(trial, goal)
    )
    # A configuration that was measured twice races once, for its better measurement.
    able = list({trial.configuration: trial for trial in able}.values())[::-1]
    ranked = [*able[:2], *_rivals(able), *_with_room(able, goal), *able[2:]]
    chosen = {t.number: t for t in ranked if not t.configuration.is_hint}
    better = better_hint(trials, goal)
    hints = _hints(trials, goal, better, [t.configuration.device for t in ranked[:_LEADERS]])
    entered = [*list(chosen.values())[: MOST_SEATED + _RESERVES], *hints]
    numbers = [trial.number for trial in entered]
    baseline = None if better is None else numbers.index(better.number)
    return [
        contender(trial, items_per_request, _efficiency(trial, goal)) for trial in entered
    ], baseline


def _rivals(able: Sequence[Trial]) -> list[Trial]:
    """The best that prepares elsewhere, serves shapes otherwise, or does not overlap requests.

    What a study of these was begun to know is not left to what happens to look fast.
    """
    found: list[Trial] = []
    for one in (VARIANT, PREPROCESSING, SHAPE_PLAN, API):
        seen = {one.of(trial.configuration) for trial in able[:1]}
        for trial in able:
            if one.of(trial.configuration) not in seen:
                seen.add(one.of(trial.configuration))
                found.append(trial)
    return found[:_MOST_RIVALS]


def _hints(
    trials: Sequence[Trial], goal: Goal, better: Trial | None, leading: Sequence[str]
) -> list[Trial]:
    """The measured hints that race: all of one device; of several, those that a choice is against.

    Both of the device that was asked for first, the better one of each that leads, and the better
    one of all: every hint of every device would leave the others no time.
    """
    every = list(baselines(trials).values())
    first = every[0].configuration.device if every else None
    wanted = {better.number} if better else set()
    for device in leading:
        own = [trial for trial in every if trial.configuration.device == device]
        best_own = better_hint(own, goal)
        wanted |= {best_own.number} if best_own else set()
    return [t for t in every if t.configuration.device == first or t.number in wanted]


def contender(
    trial: Trial, items_per_request: int = 1, efficiency: float | None = None
) -> Contender:
    """A measured trial as a contender; of a model with so many items in a request at batch 1."""
    measured = trial.measurement
    assert measured is not None  # noqa: S101 - only measured trials race
    opening = measured.opening
    name = str(trial.configuration) if trial.configuration.is_hint else f"trial {trial.number}"
    return Contender(
        name=name,
        configuration=trial.configuration,
        trial=trial.number,
        search_per_s=measured.throughput_per_s,
        search_latency_ms=measured.latency.goal_ms,
        search_efficiency=efficiency,
        open_s=opening.start_s + opening.read_s + opening.compile_s + _warm_up_s(measured),
        peak_rss_bytes=measured.peak_rss_bytes,
        items_per_request=items_per_request,
    )


def launch_s(trial: Trial) -> float:
    """Least time that a trial's configuration needs in one launch of a race."""
    round_s = _round_s(trial.measurement)
    slice_s = max(SLICE_S, _ROUNDS_OF_REQUESTS * round_s)
    return contender(trial).open_s + _LEAST_SLICES * (slice_s + _IDLE_ROUNDS * round_s)


def load_s(trial: Trial, requests: int, items_per_request: int = 1) -> float:
    """Time that so many requests of a trial's configuration take in turns of a race."""
    round_s = _round_s(trial.measurement)
    idle_s = _IDLE_ROUNDS * round_s
    slice_s = max(longer_slice_s(SLICE_S, idle_s), _ROUNDS_OF_REQUESTS * round_s)
    return requests / requests_per_s(trial, items_per_request) * (1 + idle_s / slice_s)


def requests_per_s(trial: Trial, items_per_request: int = 1) -> float:
    """Of a trial's configuration in the search, as far as it is known."""
    seen = contender(trial, items_per_request)
    return max(seen.search_per_s or 0.0, 1e-9) / seen.items


def _round_s(measured: Measurement | None) -> float:
    assert measured is not None  # noqa: S101 - only measured trials race
    return measured.latency.mean_ms / 1000


def _warm_up_s(measured: Measurement) -> float:
    """A short block, filled and drained."""
    round_s = _round_s(measured)
    return max(WARM_UP_S, WARM_ROUNDS * round_s) + _IDLE_ROUNDS * round_s


def seats(costs_s: Sequence[float], budget_s: float, launches: int) -> int:
    """How many may run beside the hints in every launch so that so many launches fit.

    Args:
        costs_s: least time of each in one launch, in order of promise.
        budget_s: for all of them and all launches.
        launches: that must fit.

    Returns:
        At least one where there is one, whatever the budget; at most seven.
    """
    counts = range(1, min(len(costs_s), MOST_SEATED) + 1)
    fitting = [count for count in counts if launches * sum(costs_s[:count]) <= budget_s]
    return max(fitting, default=min(1, len(costs_s)))


def may_race(trial: Trial, goal: Goal) -> bool:
    """Whether a trial's verdicts are met, or open with a value at the limit at most."""
    measured = trial.measurement
    if measured is None or trial.reused_from is not None:
        return False
    if goal.objective is Objective.EFFICIENCY and worth(measured, goal) is None:
        return False
    if not all(_may_keep(one) for one in judged(measured, goal)):
        return False
    if goal.cap_ms is None or goal.objective is Objective.PARETO:
        return True
    if measured.verdict is Verdict.UNCLEAR:
        return measured.latency.goal_ms <= _NEAR * goal.cap_ms
    return measured.verdict is Verdict.MET


def _may_keep(one: Judged) -> bool:
    """Whether a limit is met, or open with a value at it at most."""
    if one.verdict is Verdict.UNCLEAR:
        return one.excess is not None and one.excess <= math.log(_NEAR)
    return one.verdict is Verdict.MET


def _efficiency(trial: Trial, goal: Goal) -> float | None:
    """What the search saw of it, where that is what the goal asks for."""
    if goal.objective is not Objective.EFFICIENCY or trial.measurement is None:
        return None
    found = worth(trial.measurement, goal)
    return None if found is None else found.mean


def _with_room(able: Sequence[Trial], goal: Goal) -> list[Trial]:
    """The first with room below all constraints; where none has, the first below each."""
    rooms = {t.number: _rooms(t.measurement, goal) for t in able if t.measurement is not None}
    for trial in able:
        found = rooms[trial.number]
        if found and all(found.values()):
            return [trial]
    names = [] if not able else list(rooms[able[0].number])
    firsts = [next((t for t in able if rooms[t.number][name]), None) for name in names]
    return [trial for trial in firsts if trial is not None]


def _rooms(measured: Measurement, goal: Goal) -> dict[str, bool]:
    """By constraint, whether a measurement meets it with room to spare."""
    found = {}
    if goal.cap_ms is not None:
        met = measured.verdict is Verdict.MET
        found[LATENCY] = met and measured.latency.goal_ms <= _ROOM * goal.cap_ms
    for one in judged(measured, goal):
        is_far = one.excess is not None and one.excess <= math.log1p(-one.limit.row.room)
        found[one.limit.name] = one.verdict is Verdict.MET and is_far
    return found
