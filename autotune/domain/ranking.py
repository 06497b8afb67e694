"""Which trial is best: by what it can claim, and only among those that are shown to meet all."""

from collections.abc import Iterable, Sequence

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Measurement
from autotune.domain.race import RaceResult
from autotune.domain.trial import Trial
from autotune.domain.verdicts import excesses, verdict_under, worth


def is_feasible(measurement: Measurement, goal: Goal) -> bool:
    """Whether the SLA and every limit were shown to be met; `unclear` is not enough.

    And whether what the goal asks for was measured at all.
    """
    if goal.objective is Objective.EFFICIENCY and worth(measurement, goal) is None:
        return False
    return verdict_under(measurement, goal) in {None, Verdict.MET}


def best(trials: Iterable[Trial], goal: Goal) -> Trial | None:
    """The feasible trial with the most throughput or efficiency that it can claim, by lower ends.

    Or the one with the lowest latency.
    """
    feasible = [t for t in trials if t.measurement is not None and is_feasible(t.measurement, goal)]
    return max(feasible, key=lambda trial: merit(trial, goal), default=None)


def merit(trial: Trial, goal: Goal) -> float:
    """What feasible trials are ranked by: larger is better."""
    assert trial.measurement is not None  # noqa: S101 - only measured trials are ranked
    if goal.objective is Objective.LATENCY:
        return -trial.measurement.latency.goal_ms
    if goal.objective is Objective.EFFICIENCY:
        found = worth(trial.measurement, goal)
        return 0.0 if found is None or found.low is None else found.low
    return trial.measurement.claim_per_s


def chosen(trials: Sequence[Trial], goal: Goal, race: RaceResult | None) -> Trial | None:
    """What to deploy: whom the race chose, or where there was none, the best of the search."""
    if race is None:
        return best(trials, goal)
    number = None if race.winner is None else race.winner.contender.trial
    return next((trial for trial in trials if trial.number == number), None)


def is_shown(trial: Trial, goal: Goal, race: RaceResult | None) -> bool:
    """Whether the race or the search itself showed that what was chosen meets all, at 5 %.

    Where nothing is shown to, what may meet all is chosen, and is no more than a guess.
    """
    winner = None if race is None else race.winner
    if winner is not None and winner.overall_in_search in {None, Verdict.MET}:
        return True
    return trial.measurement is not None and is_feasible(trial.measurement, goal)


def nearest_miss(trials: Iterable[Trial], goal: Goal | None = None) -> Trial | None:
    """The measured trial with the lowest latency percentile; with limits, the one nearest to all.

    Which is the one that is least over whatever it is most over.
    """
    measured = [t for t in trials if t.measurement is not None]
    if goal is not None and goal.limits:
        return min(measured, key=lambda trial: _most_over(trial, goal), default=None)
    return min(
        measured, key=lambda t: t.measurement.latency.goal_ms if t.measurement else 0, default=None
    )


def nearest_misses(trials: Iterable[Trial], goal: Goal) -> dict[str, Trial]:
    """By constraint, the measured trial that comes nearest to it, whatever else it misses.

    A constraint that no trial has a reading of has none.
    """
    found: dict[str, tuple[float, Trial]] = {}
    for trial in trials:
        if trial.measurement is None:
            continue
        for name, over in excesses(trial.measurement, goal).items():
            if over is not None and (name not in found or over < found[name][0]):
                found[name] = (over, trial)
    return {name: trial for name, (_, trial) in found.items()}


def _most_over(trial: Trial, goal: Goal) -> float:
    assert trial.measurement is not None  # noqa: S101 - the caller has looked
    over = excesses(trial.measurement, goal).values()
    return max((float("inf") if one is None else one for one in over), default=0.0)


def baselines(trials: Iterable[Trial]) -> dict[str, Trial]:
    """The measured hints, by a name such as ``CPU THROUGHPUT``."""
    return {
        f"{trial.configuration.device} {trial.configuration.hint}": trial
        for trial in trials
        if trial.configuration.is_hint and trial.measurement is not None
    }


def better_hint(
    trials: Sequence[Trial], goal: Goal, race: RaceResult | None = None
) -> Trial | None:
    """The hint to beat: of the race, else the best feasible one of the search, else the fastest."""
    hints = list(baselines(trials).values())
    raced = None if race is None else race.better_hint
    if raced is not None and (found := [t for t in hints if t.number == raced.contender.trial]):
        return found[0]
    return best(hints, goal) or max(hints, key=lambda trial: merit(trial, goal), default=None)


def ratio(trial: Trial | None, baseline: Trial | None, goal: Goal) -> float | None:
    """How many times better than the baseline, by means; above 1 is better."""
    if (
        trial is None
        or baseline is None
        or trial.measurement is None
        or baseline.measurement is None
    ):
        return None
    better, worse = trial.measurement.throughput_per_s, baseline.measurement.throughput_per_s
    if goal.objective is Objective.LATENCY:
        better, worse = baseline.measurement.latency.goal_ms, trial.measurement.latency.goal_ms
    elif goal.objective is Objective.EFFICIENCY:
        mine, its = worth(trial.measurement, goal), worth(baseline.measurement, goal)
        better, worse = (0.0 if one is None else one.mean for one in (mine, its))
    return better / worse if worse > 0 else None


def latest(trials: Iterable[Trial]) -> list[Trial]:
    """The last trial of each configuration: what was repeated was disturbed before."""
    return list({trial.configuration: trial for trial in trials}.values())


def seen(trials: Iterable[Trial]) -> int:
    """How many configurations of the space were tried; the bare hints are not of the space."""
    return len({trial.configuration for trial in trials if not trial.configuration.is_hint})


def improvements(trials: Sequence[Trial], goal: Goal, by: float = 0.01) -> list[int]:
    """Positions of the trials that were better by this share than the last one that was.

    Small gains add up until they count. The first feasible trial counts.
    """
    found, leader = [], None
    for position, trial in enumerate(trials):
        if trial.measurement is None or not is_feasible(trial.measurement, goal):
            continue
        now = merit(trial, goal)
        if leader is None or now > leader + by * abs(leader):
            found.append(position)
            leader = now
    return found


def last_improvement(trials: Sequence[Trial], goal: Goal, by: float = 0.01) -> int | None:
    """Position of the last such trial; None while nothing is feasible."""
    return next(reversed(improvements(trials, goal, by)), None)
