import io

import pytest
from rich.console import Console

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Flag
from autotune.report.tables import trials_table
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.builders import GOAL, make_failure, make_measurement, make_opening, make_trial

HINT = make_trial(0, configuration=Configuration(device="CPU", hint=PerformanceHint.LATENCY))


def shown(*trials: object, width: int = 80) -> str:
    """The table as text."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(trials_table(trials, GOAL, HINT))  # type: ignore[arg-type]
    return console.export_text()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_a_word(verdict: Verdict) -> None:
    """Not by colour alone; unclear is shown as unclear."""
    assert verdict.value in shown(make_trial(1, measurement=make_measurement(verdict=verdict)))


def test_eighty_columns_hold_every_figure() -> None:
    """Nothing is cut off on a plain terminal."""
    text = shown(HINT, make_trial(12))

    assert "…" not in text
    assert all(figure in text for figure in ("200/s", "1 ms", "1.00x", "2 x 1", "LATENCY hint"))


def test_flags_stand_below_with_their_trials() -> None:
    """A reader sees which measurement to doubt."""
    doubtful = make_trial(7, measurement=make_measurement(flags=frozenset({Flag.STEAL})))

    assert "taken by the hypervisor (7)" in shown(doubtful)


def test_unproven_answers_stand_below_with_their_trials() -> None:
    """Like a flag: a fast wrong answer is no answer."""
    opening = make_opening(unproven="outputs are empty")
    doubtful = make_trial(7, measurement=make_measurement(opening=opening))

    assert "unproven answers (7)" in shown(doubtful)


def test_failed_trials_have_no_line() -> None:
    """They have no figures; status lists them apart."""
    assert "99" not in shown(make_trial(99, failure=make_failure())).replace("p99", "")
