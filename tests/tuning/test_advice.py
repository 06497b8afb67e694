"""A budget that cannot show the SLA is said while there is time to change it."""

import re
from pathlib import Path

import pytest

from autotune.domain.events import (
    Noted,
    TrialFinished,
)
from autotune.domain.race import Status
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune
from tests.tuning.races import FEW, Told, make_spec


@pytest.mark.parametrize(
    ("percentile", "says"),
    [(99.99, r"p99\.99 needs at least \d+ requests for a verdict, \d+ (s|min) at"), (90.0, None)],
)
def test_a_percentile_beyond_the_budget_is_said_at_the_first_trial(
    folder: Path, percentile: float, says: str | None
) -> None:
    """Once, with the time that it takes and the way out; not where the time is enough."""
    told = Told()
    spec = make_spec(
        goal={"max_latency": "20ms", "percentile": percentile},
        **FEW,
        measure={"limit": "2s"},
    )
    tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    if says is None:
        assert told.notes() == []
        return
    (note,) = told.notes()
    assert note.startswith("p99.99 needs at least")
    assert "give a longer [measure] limit or budget, or a lower percentile" in note
    kinds = [type(event) for event in told.events]
    assert kinds.index(Noted) == kinds.index(TrialFinished) + 1


def test_a_race_too_short_for_the_percentile_is_said(folder: Path) -> None:
    """A trial may decide it, the race may not: with what it takes, and the budget that would do."""
    told = Told()
    cpu = SimulatedCpu(cpus=2, item_ms=100.0, serial=0.0, contention=0.0)
    spec = make_spec(
        goal={"max_latency": "500ms"}, budget={"duration": "60s"}, measure={"limit": "40s"}
    )
    tune(spec, folder, runner=SimulatedRunner(cpu=cpu), on_event=told)
    (note,) = [note for note in told.notes() if "certificate of p99" in note]
    found = re.search(
        r"at least 608 requests each of the best and of the hint: at ([\d.]+) requests/s a race of "
        r"(\d+) s, and this budget has 24 s for it; give at least (\d+) min, or the result stays",
        note,
    )
    assert found is not None, note
    rate, race_s, minutes = map(float, found.groups())
    assert 2 * 608 / rate < race_s < 1.5 * 2 * 608 / rate + 15
    assert 60 * minutes >= race_s / 0.4 > 60 * (minutes - 1)


def test_the_least_budget_for_a_certificate_is_enough(folder: Path) -> None:
    """What is said to do does, and is not said to be too little."""
    told = Told()
    cpu = SimulatedCpu(cpus=2, item_ms=100.0, serial=0.0, contention=0.0)
    spec = make_spec(goal={"max_latency": "500ms"}, budget={"duration": "5m"})
    outcome = tune(spec, folder, runner=SimulatedRunner(cpu=cpu), on_event=told)
    assert not [note for note in told.notes() if "certificate" in note]
    assert outcome.race is not None
    assert outcome.race.status is Status.CERTIFIED
