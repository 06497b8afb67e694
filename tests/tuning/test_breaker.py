"""Faults of the machine in a row: one pause, and then an end."""

from collections.abc import Iterable
from contextlib import closing
from itertools import repeat
from pathlib import Path

import pytest
from optuna.trial import TrialState

from autotune.analysis.story import story
from autotune.domain.events import (
    Noted,
)
from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.trial import Origin, Trial
from autotune.errors import (
    MachineFaultError,
)
from autotune.space.configuration import CompileKey
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedModel, SimulatedRunner
from autotune.tuning.breaker import Breaker
from autotune.tuning.tune import tune
from tests.builders import make_configuration, make_failure, make_trial
from tests.tuning.studies import (
    LATENCY,
    LONE,
    THROUGHPUT,
    Told,
    make_spec,
    states,
)


class BrokenRunner(SimulatedRunner):
    """Its first so many openings fail, for no fault of the configurations."""

    def __init__(self, faults: int = 1000) -> None:
        super().__init__()
        self._broken = faults

    def open(self, key: CompileKey) -> SimulatedModel:
        """Works after a while."""
        if len(self.opened) < self._broken:
            self.opened.append(key)
            raise TrialFault(make_failure(FailureKind.LOST, phase="start"))
        return super().open(key)


def test_five_machine_faults_in_a_row_end_the_run(folder: Path) -> None:
    """Something is wrong with the machine, and a night must not be spent on it."""
    broken = BrokenRunner()
    with pytest.raises(MachineFaultError, match=r"5 trials in a row.*it broke; no memory; .*logs"):
        tune(make_spec(), folder, runner=broken, recover=lambda: ["no memory"])
    assert len(broken.opened) == 5
    assert states(folder) == [TrialState.FAIL] * 5

    mended = tune(make_spec(), folder, runner=SimulatedRunner())
    assert mended.reason == "trials"
    assert {LATENCY, THROUGHPUT, LONE} <= {t.configuration for t in mended.trials if t.measurement}


def test_a_machine_that_recovers_in_a_pause_is_tuned_on(folder: Path) -> None:
    """The pause is on record; what was unlucky before it gets its turn again."""
    pauses: list[str] = []
    told = Told()

    def recover() -> list[str]:
        pauses.append("paused")
        return []

    outcome = tune(
        make_spec(),
        folder,
        runner=BrokenRunner(faults=6),
        recover=recover,
        on_event=told,
    )
    assert len(pauses) == 1
    assert outcome.reason == "trials"
    assert {LATENCY, THROUGHPUT, LONE} <= {t.configuration for t in outcome.trials if t.measurement}
    assert any(isinstance(e, Noted) and "pausing" in e.text for e in told.events)
    with closing(StudyReader.read_only(folder)) as store:
        (paused,) = [one for one in story(store) if one.data.get("kind") == "paused"]
    assert "it broke" in paused.data["text"]


def test_two_configurations_that_lose_their_workers_are_no_fault_of_the_machine(
    folder: Path,
) -> None:
    """Six faults in a row, and no pause."""
    lost = make_failure(FailureKind.LOST, phase="open")
    runner = SimulatedRunner(
        faults={key.compile_key: repeat(lost) for key in (THROUGHPUT, LATENCY)}
    )
    pauses: list[str] = []

    def recover() -> list[str]:
        pauses.append("paused")
        return []

    outcome = tune(make_spec(), folder, runner=runner, recover=recover)
    assert (outcome.reason, pauses) == ("trials", [])
    assert [trial.failure for trial in outcome.trials].count(lost) == 6


def test_there_is_one_pause_only(folder: Path) -> None:
    """When the next five fail as well, the night is over."""
    broken, pauses = BrokenRunner(), iter(((),))
    with pytest.raises(MachineFaultError, match="so did as many before a pause"):
        tune(make_spec(), folder, runner=broken, recover=lambda: next(pauses))
    assert len(broken.opened) == 10


# --- by itself

LOST = make_failure(FailureKind.LOST, phase="start")


def faults(*configurations: int) -> list[Trial]:
    """Machine faults of these configurations, one after the other."""
    return [
        Trial(
            number=number,
            configuration=make_configuration(num_requests=requests),
            origin=Origin.SAMPLED,
            failure=LOST,
        )
        for number, requests in enumerate(configurations)
    ]


def hear(breaker: Breaker, trials: Iterable[Trial]) -> None:
    """All of them."""
    for trial in trials:
        breaker.hear(trial)


@pytest.mark.parametrize(
    ("configurations", "pauses"),
    [((1, 2, 3, 1), 0), ((1, 2, 3, 1, 2), 1), ((1, 2, 1, 2, 1, 2), 0), ((1, 2, 1, 2, 1, 3), 1)],
    ids=["four", "five", "of two", "a third"],
)
def test_it_takes_five_faults_of_three_configurations(
    configurations: tuple[int, ...], pauses: int
) -> None:
    """Then there is a pause, with the reason said before it."""
    said: list[str] = []
    hear(Breaker(lambda: (), said.append, "study.db"), faults(*configurations))
    assert len(said) == pauses
    assert all("for no fault of their own: it broke" in text for text in said)


@pytest.mark.parametrize(
    "between", [make_trial(9), make_trial(9, failure=make_failure(), measurement=None)]
)
def test_what_works_or_fails_by_itself_begins_a_new_count(between: Trial) -> None:
    """The machine did run it; and there may be another pause."""
    said: list[str] = []
    breaker = Breaker(lambda: (), said.append, "study.db")
    hear(breaker, [*faults(1, 2, 3, 4), between, *faults(1, 2, 3, 4)])
    assert said == []
    hear(breaker, faults(5))
    hear(breaker, [between, *faults(1, 2, 3, 4, 5)])
    assert len(said) == 2


def test_troubles_that_stay_end_it_without_a_second_pause() -> None:
    """The message names them, and where to look."""
    said: list[str] = []
    breaker = Breaker(lambda: ["no memory", "no disk"], said.append, "here/study.db")
    with pytest.raises(MachineFaultError, match=r"no memory; no disk; .* beside here/study.db"):
        hear(breaker, faults(1, 2, 3, 4, 5))
    assert len(said) == 1
