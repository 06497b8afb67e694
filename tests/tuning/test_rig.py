"""The reference beside the trials: how fast the machine is, between them."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from autotune.domain.events import (
    TrialFinished,
)
from autotune.domain.measurement import Block, Flag
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner, Weather
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune
from tests.tuning.races import FEW, Told, make_spec
from tests.tuning.studies import THROUGHPUT

SLOW_LATER = Weather(bins=np.array([1.0] * 900 + [1.5] * 1000), spread=np.array([1.0]))
"""A machine that becomes slower after 90 s."""


def flagged(outcome: Outcome) -> list[int]:
    """Trials measured while the machine was off its usual speed."""
    return [
        t.number
        for t in outcome.trials
        if t.measurement is not None and Flag.DRIFT in t.measurement.flags
    ]


def reference(folder: Path) -> list[tuple[int, float, Block]]:
    """Slices between trials."""
    with closing(StudyReader.read_only(folder)) as store:
        return store.reference()


def test_the_reference_is_measured_between_trials(folder: Path) -> None:
    """The better hint, at a twentieth of the time; a steady machine raises no flag."""
    runner = SimulatedRunner()
    outcome = tune(make_spec(), folder, runner=runner)
    found = reference(folder)
    assert len(found) >= 3
    times_s = [at_s for _, at_s, _ in found]
    assert times_s == sorted(times_s)
    assert times_s[0] > 0
    assert times_s[-1] < runner.clock()
    assert sum(block.duration_s for _, _, block in found) < 0.1 * runner.clock()
    assert flagged(outcome) == []
    rate = runner.predict(THROUGHPUT).requests_per_s
    assert all(b.completions / b.duration_s == pytest.approx(rate) for _, _, b in found)


def test_a_drifting_machine_flags_trials(folder: Path) -> None:
    """After 90 s all takes half as long again: what is measured then says so, in the database."""
    runner, told = SimulatedRunner(weather=SLOW_LATER), Told()
    outcome = tune(make_spec("40ms", race={"share": 0.0}), folder, runner=runner, on_event=told)
    doubtful = flagged(outcome)
    assert doubtful
    ends = [event for event in told.events if isinstance(event, TrialFinished)]
    late = [e.trial.number for e in ends if e.left_s is not None and e.left_s < 30]
    assert set(doubtful) <= set(late)
    with closing(StudyReader.read_only(folder)) as store:
        kept = [t for t in store.trials() if t.measurement and Flag.DRIFT in t.measurement.flags]
    assert [trial.number for trial in kept] == doubtful


def test_the_reference_can_be_switched_off(folder: Path) -> None:
    """Then nothing is measured between trials."""
    spec = make_spec(**FEW, measure={"limit": "3s", "reference": False})
    tune(spec, folder, runner=SimulatedRunner())
    assert reference(folder) == []
