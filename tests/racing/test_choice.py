"""What is exported, and what is said of it, by the posterior alone."""

from collections.abc import Sequence

import numpy as np
import pytest

from autotune.domain.goal import Goal, Objective
from autotune.domain.race import Advantage, Choice, Contender
from autotune.racing.choice import NOTHING, Chosen, choose, prior_of
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.stats.posterior import Posterior
from tests.builders import GOAL, make_configuration

HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
LOWEST = Goal(Objective.LATENCY, 99.0, None)


def posterior(means: Sequence[float], sd: float) -> Posterior:
    """Independent contenders, each known to a standard deviation."""
    return Posterior(
        weights=np.ones(1),
        means=np.array([means]),
        covariances=sd**2 * np.eye(len(means))[None],
        rest=0.01,
        launch=0.01,
    )


def chosen(means: Sequence[float], sd: float, hints: Sequence[int] = (0,)) -> Chosen:
    """Of all, with a margin of 1 % and nothing to break ties with."""
    everyone = range(len(means))
    return choose(everyone, lambda i: i in hints, posterior(means, sd), 0.01, ())


@pytest.mark.parametrize(
    ("gain", "sd", "position", "advantage"),
    [
        (0.10, 0.01, 1, Advantage.SHOWN),
        (0.03, 0.015 / 2**0.5, 1, Advantage.SHOWN),
        (0.03, 0.02 / 2**0.5, 1, Advantage.LIKELY),
        (0.03, 0.04 / 2**0.5, 0, Advantage.NOT_SHOWN),
        (0.005, 0.002, 0, Advantage.EQUAL),
        (0.009, 0.0001, 0, Advantage.EQUAL),
        (0.009, 0.01, 0, Advantage.NOT_SHOWN),
        (-0.03, 0.01, 0, Advantage.NOT_SHOWN),
        (-0.002, 0.002, 0, Advantage.EQUAL),
    ],
)
def test_what_is_said_against_the_hint(
    gain: float, sd: float, position: int, advantage: Advantage
) -> None:
    """Shown, likely, equal, not shown; a hint is exported in the last two."""
    found = chosen([0.0, gain], sd)
    assert (found.position, found.advantage) == (position, advantage)
    assert found.chance is not None
    assert (found.chance > 0.5) == (gain > 0)
    if advantage in {Advantage.SHOWN, Advantage.EQUAL}:
        assert found.undecided_after(60.0) is None


@pytest.mark.parametrize(("gain", "sd"), [(0.03, 0.03), (0.0, 0.02), (0.006, 0.01)])
def test_after_the_time_that_it_names_it_is_decided(gain: float, sd: float) -> None:
    """Variances fall as one over the time."""
    found = chosen([0.0, gain], sd)
    more_s = found.undecided_after(60.0)
    assert more_s is not None
    later = chosen([0.0, gain], sd * (60.0 / (60.0 + 1.02 * more_s)) ** 0.5)
    assert later.undecided_after(60.0) is None
    assert later.advantage in {Advantage.SHOWN, Advantage.EQUAL}


def test_only_hints_and_nobody() -> None:
    """The faster hint; or nothing."""
    assert chosen([0.0, 0.1], 0.01, hints=(0, 1)) == Chosen(1, Choice.DEFAULT)
    assert chosen([], 0.01) == NOTHING


def test_the_better_hint_is_the_one_to_beat() -> None:
    """Three percent above the worse one is no gain."""
    found = chosen([0.0, 0.03, 0.03], 0.001, hints=(0, 1))
    assert (found.position, found.advantage) == (1, Advantage.EQUAL)


def test_a_tie_is_broken_among_equals_only() -> None:
    """The cheapest of those within the margin; one 3 % behind is not asked."""
    costs = ((Choice.THREADS, [3.0, 1.0, 2.0, 0.0].__getitem__),)
    found = choose(
        range(4), lambda _: False, posterior([0.1, 0.099, 0.1, 0.07], 0.001), 0.01, costs
    )
    assert found == Chosen(1, Choice.THREADS)


# --- what the search says


def contender(value: float | None, configuration: Configuration | None = None) -> Contender:
    """With what the search said of it: items per second, and milliseconds of latency."""
    return Contender(
        name="c",
        configuration=configuration or make_configuration(),
        search_per_s=value,
        search_latency_ms=None if value is None else 1000 / value,
    )


@pytest.mark.parametrize("goal", [GOAL, LOWEST])
def test_contenders_are_drawn_together(goal: Goal) -> None:
    """They look 10 % apart, and are believed to be 6 % apart; the hint keeps its value."""
    field = [contender(105.0), contender(95.0), contender(90.0, HINT)]
    prior = prior_of(field, goal)
    assert prior.mean[0] - prior.mean[1] == pytest.approx(0.6 * np.log(105 / 95))
    assert prior.mean[:2].mean() - prior.mean[2] == pytest.approx(np.log((105 * 95) ** 0.5 / 90))


def test_all_contenders_may_have_been_lucky() -> None:
    """What they have in common is as uncertain as the hint; what they differ by is less so."""
    c = prior_of([contender(105.0), contender(95.0), contender(90.0, HINT)], GOAL).covariance
    among, against = c[0, 0] + c[1, 1] - 2 * c[0, 1], c[0, 0] + c[2, 2] - 2 * c[0, 2]
    assert against > among
    assert np.linalg.eigvalsh(c).min() > 0


def test_one_that_is_far_behind_keeps_its_value() -> None:
    """It was chosen for its room below the cap, not for its speed."""
    prior = prior_of([contender(200.0), contender(198.0), contender(100.0)], GOAL)
    assert prior.mean[2] == pytest.approx(np.log(100.0))


@pytest.mark.parametrize("field", [[], [contender(None)], [contender(100.0), contender(None)]])
def test_without_a_search_nothing_is_believed(field: list[Contender]) -> None:
    """All are alike, and may differ by half."""
    prior = prior_of(field, GOAL)
    assert prior.mean.tolist() == [0.0] * len(field)
    assert np.allclose(prior.covariance, 0.25 * np.eye(len(field)))


# --- portable


def portable(
    means: Sequence[float], sd: float, settings: Sequence[int], hints: Sequence[int] = (0,)
) -> Chosen:
    """Of all, where what holds elsewhere is preferred; by their numbers of settings."""
    return choose(
        range(len(means)),
        lambda i: i in hints,
        posterior(means, sd),
        0.01,
        ((Choice.PORTABLE, lambda i: float(settings[i])),),
        is_portable=True,
    )


def test_a_hint_goes_unless_something_is_shown_to_be_faster() -> None:
    """3 % that are only likely are not worth settings that hold here only."""
    likely = portable([0.0, 0.03], 0.02 / 2**0.5, [0, 5])
    assert (likely.position, likely.advantage) == (0, Advantage.NOT_SHOWN)
    shown = portable([0.0, 0.10], 0.01, [0, 5])
    assert (shown.position, shown.advantage) == (1, Advantage.SHOWN)


def test_of_equals_the_one_with_fewer_settings_goes() -> None:
    """Equal is whoever is expected to be within the margin; more is given up for nothing."""
    found = portable([0.0, 0.100, 0.096, 0.05], 0.01, [0, 5, 3, 1])
    assert (found.position, found.choice) == (2, Choice.PORTABLE)
    assert portable([0.0, 0.1, 0.08], 0.01, [0, 5, 1]).position == 1
    without_hint = portable([0.100, 0.096], 0.01, [5, 3], hints=())
    assert (without_hint.position, without_hint.choice) == (1, Choice.PORTABLE)
