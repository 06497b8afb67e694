"""Which contender to export: the likeliest best of those whose SLA may be certified.

The fastest by the posterior mean is chosen, unless one of the runtime's own hints is as good: where
the two are shown to be equal, or where the gain is too doubtful to give up what needs no settings.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.domain.goal import Goal, Objective
from autotune.domain.race import Advantage, Choice, Contender
from autotune.racing.standings import Record
from autotune.stats.posterior import Posterior, Prior
from autotune.stats.race_model import Turns, fit

_EQUAL = 0.95
"""Probability of being within the margin from which on two are equal."""
_SHOWN = 0.975
"""Probability of being faster from which on that is shown: a 95 % interval beyond 1."""
_HOPELESS = 0.01
_WORSE_BY = 0.01
_MOST_DOUBT = 0.10
"""Largest probability of being slower than the better hint, by more than `_WORSE_BY`, that is put
up with; tuned by replay (docs/decisions/0008)."""
_CONTENDER_SD, _COMMON_SD, _HINT_SD = 0.03, 0.05, 0.05
_KEPT = 0.6
"""Share of what contenders seemed to differ by in the search that is believed: the rest is chance,
and they were chosen for it."""
_LEADERS = 4
_FAR = 0.1
_VAGUE = 0.5


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to export, if anything, and what may be said of it against the better hint."""

    position: int | None
    choice: Choice | None
    advantage: Advantage | None = None
    """None where no hint meets the SLA, or where there is nothing but hints."""
    chance: float | None = None
    """Probability that what beats the hint, or is nearest to it, is faster than the hint."""
    doubt: float | None = None
    """How many times as wide as it may be the spread of their log ratio is, for a word that is
    certain: shown faster, shown slower, or equal. None where the word is."""

    def undecided_after(self, duration_s: float) -> float | None:
        """How much longer a race of this length would take to decide; None if it is decided.

        Variances fall as one over the time.
        """
        if self.doubt is None or self.doubt <= 1:
            return None
        return (self.doubt**2 - 1) * duration_s


NOTHING = Chosen(None, None)
"""Of a race in which nobody may be exported."""


def turns_of(records: Sequence[Record]) -> Turns:
    """All counted slices of a race."""
    rows = [
        (position, launch, number, math.log(speed))
        for position, record in enumerate(records)
        for (launch, number), speed in record.speeds.items()
    ]
    contender, launch, number, speed = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Turns(
        contender=np.array(contender, dtype=np.int64),
        launch=np.array(launch, dtype=np.int64),
        round=np.array(number, dtype=np.int64),
        log_speed=np.array(speed, dtype=np.float64),
        host=np.zeros(len(rows), dtype=np.int64),  # one machine
    )


def posterior_of(count: int, searched: Sequence[Contender], records: Sequence[Record]) -> Posterior:
    """What the race says of so many contenders, and the search, if it was one that found them."""
    if not searched:
        return fit(turns_of(records), Prior.vague(count, _VAGUE))
    return fit(turns_of(records), prior_of(searched, records[0].goal))


def prior_of(contenders: Sequence[Contender], goal: Goal) -> Prior:
    """What the search says of its contenders; vague where somebody is not from a search.

    They were chosen for looking fast, so that what they differ by is mostly chance: their values
    are drawn together (James and Stein 1961). One that is far behind was chosen for something else,
    and keeps its value. All of them may have been lucky together, which a hint, that nobody chose,
    was not.
    """
    seen = [_log_speed(contender, goal) for contender in contenders]
    known = [value for value in seen if value is not None]
    if not contenders or len(known) < len(seen):
        return Prior.vague(len(seen), _VAGUE)
    mean = np.array(known)
    is_hint = np.array([contender.is_default for contender in contenders])
    others = np.flatnonzero(~is_hint)
    if others.size:
        centre = float(mean[others[:_LEADERS]].mean())
        near = others[mean[others] > centre - _FAR]
        mean[near] = centre + _KEPT * (mean[near] - centre)
    own = np.where(is_hint, _HINT_SD, _CONTENDER_SD)
    common = np.where(is_hint, 0.0, _COMMON_SD)
    return Prior(mean=mean, covariance=np.diag(own**2) + np.outer(common, common))


def _log_speed(contender: Contender, goal: Goal) -> float | None:
    if goal.objective is Objective.LATENCY:
        latency_ms = contender.search_latency_ms
        return None if not latency_ms else -math.log(latency_ms)
    if goal.objective is Objective.EFFICIENCY:
        efficiency = contender.search_efficiency
        return None if not efficiency else math.log(efficiency)
    return None if not contender.search_per_s else math.log(contender.search_per_s)


def choose(
    pool: Sequence[int],
    is_hint: Callable[[int], bool],
    posterior: Posterior,
    tie_margin: float,
    costs: Sequence[tuple[Choice, Callable[[int], float]]],
    *,
    is_portable: bool = False,
) -> Chosen:
    """The choice among those that may be exported.

    Args:
        pool: their positions.
        is_hint: whether one is a hint of the runtime's.
        posterior: of all contenders.
        tie_margin: relative difference below which two are equal.
        costs: what breaks a tie among equals, in order; less is better.
        is_portable: whether what holds elsewhere is preferred: a hint goes unless something is
            shown to be faster, and equal is whoever is expected to be so within the margin.
    """
    margin = -math.log1p(-tie_margin)
    hint = fastest(posterior, [i for i in pool if is_hint(i)])
    rival = fastest(posterior, [i for i in pool if not is_hint(i)])
    if rival is None:
        return NOTHING if hint is None else Chosen(hint, Choice.DEFAULT)
    if hint is None:
        equals = _equals(pool, rival, posterior, margin, is_portable=is_portable)
        return Chosen(*_best_of_equals(equals, rival, costs))

    def said(position: int, choice: Choice, advantage: Advantage, of: int) -> Chosen:
        is_certain = advantage in {Advantage.SHOWN, Advantage.EQUAL}
        doubt = None if is_certain else _doubt(posterior, of, hint, margin)
        return Chosen(position, choice, advantage, posterior.chance_above(of, hint), doubt)

    if posterior.chance_equal(rival, hint, margin) >= _EQUAL:
        return said(hint, Choice.DEFAULT, Advantage.EQUAL, rival)
    # A gain within the margin is not worth any settings, however likely it is.
    is_small = posterior.difference(rival, hint) <= margin
    is_doubtful = 1 - posterior.chance_above(rival, hint, -_WORSE_BY) > _MOST_DOUBT
    if is_portable:
        is_doubtful = posterior.chance_above(rival, hint) < _SHOWN
    if is_small or is_doubtful:
        return said(hint, Choice.DEFAULT, Advantage.NOT_SHOWN, rival)
    others = [i for i in pool if not is_hint(i)]
    equals = _equals(others, rival, posterior, margin, is_portable=is_portable)
    position, choice = _best_of_equals(equals, rival, costs)
    is_shown = posterior.chance_above(position, hint) >= _SHOWN
    return said(position, choice, Advantage.SHOWN if is_shown else Advantage.LIKELY, position)


def _doubt(posterior: Posterior, one: int, other: int, margin: float) -> float:
    """The spread of a log ratio over what would show a difference, or equality within the margin.

    Whichever of the two the mean speaks for.
    """
    mean = abs(posterior.difference(one, other))
    is_apart = mean > margin
    low, high = posterior.interval(one, other, 2 * _SHOWN - 1)
    return (high - low) / 2 / max(mean if is_apart else margin - mean, 1e-9)


def _equals(
    pool: Sequence[int], leader: int, posterior: Posterior, margin: float, *, is_portable: bool
) -> list[int]:
    """Who counts as equal to the leader, itself included."""
    if is_portable:
        return [i for i in pool if posterior.difference(leader, i) <= margin]
    return [i for i in pool if posterior.chance_equal(i, leader, margin) >= _EQUAL]


def _best_of_equals(
    equal: list[int], leader: int, costs: Sequence[tuple[Choice, Callable[[int], float]]]
) -> tuple[int, Choice]:
    if len(equal) == 1:
        return leader, Choice.FASTEST
    for choice, cost in costs:
        values = {i: cost(i) for i in equal}
        least = min(values.values())
        equal = [i for i in equal if values[i] == least]
        if len(equal) == 1:
            return equal[0], Choice.TIED if equal[0] == leader else choice
    return (leader if leader in equal else equal[0]), Choice.TIED


def is_hopeless(posterior: Posterior, one: int, leader: int) -> bool:
    """Whether a contender is all but certain to be slower than another."""
    return posterior.chance_above(one, leader) < _HOPELESS


def may_win(
    posterior: Posterior, one: int, leader: int, tie_margin: float, *, is_hint: bool
) -> bool:
    """Whether more launches may show that one is to be chosen in place of the leader.

    It may still be faster by more than the margin, and a hint may be as fast; but for those that
    are shown to be equal.
    """
    margin = -math.log1p(-tie_margin)
    least = 0.0 if is_hint else margin
    is_slower = posterior.chance_above(one, leader, least) < 1 - _SHOWN
    return not is_slower and posterior.chance_equal(one, leader, margin) < _EQUAL


def fastest(posterior: Posterior, among: Sequence[int]) -> int | None:
    """Position of the largest posterior mean; None of nobody."""
    return max(among, key=posterior.mean.__getitem__, default=None)
