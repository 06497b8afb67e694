"""Tuning, recording and replaying begin alike: the same study, held, inspected, and let go."""

from pathlib import Path

import pytest

from autotune.errors import BusyError, SpecError
from autotune.machines.locks import machine_lock, study_lock
from autotune.machines.workers import reference_file
from autotune.space.space import SearchSpace
from autotune.testing import SimulatedRunner
from autotune.tuning.prepare import prepared, prepared_on, source
from tests.tuning.studies import make_spec


def test_a_study_and_its_machine_are_held_while_it_is_prepared(folder: Path) -> None:
    """And let go afterwards, also when something goes wrong."""
    spec = make_spec()
    with prepared(spec, folder, source(spec, folder), runner=SimulatedRunner()):
        with pytest.raises(BusyError), study_lock(folder):
            pass
        with pytest.raises(BusyError), machine_lock():
            pass
    wrong, broken = make_spec(space={"batch": [4]}), SimulatedRunner(why_no_batch="they differ")
    with (
        pytest.raises(SpecError),
        prepared(wrong, folder, source(wrong, folder), runner=broken),
    ):
        pass
    with study_lock(folder), machine_lock():
        pass


def test_locks_change_nothing_of_what_is_prepared(folder: Path) -> None:
    """A replay, which needs none, has the same machine and space."""
    spec, runner = make_spec(), SimulatedRunner()
    with prepared(spec, folder, source(spec, folder), runner=runner) as held:
        assert held == prepared_on(runner, spec)
    assert held.machine == runner.machine(held.facts)
    assert held.space.cpus == held.machine.usable_cpus


def test_the_space_that_was_begun_is_asked_for_after_the_inspection(folder: Path) -> None:
    """What is wrong with the input is said first."""
    asked: list[str] = []

    def begun() -> SearchSpace | None:
        asked.append("asked")
        return None

    spec, runner = make_spec(), SimulatedRunner()
    prepared_on(runner, spec, begun)
    assert asked == ["asked"]
    wrong = make_spec(space={"batch": [4]})
    broken = SimulatedRunner(why_no_batch="outputs deviate")
    with pytest.raises(SpecError, match="cannot be batched"):
        prepared_on(broken, wrong, begun)


def test_answers_that_were_kept_for_workers_go_with_the_preparation(folder: Path) -> None:
    """They may be large, and are made anew each time."""
    spec = make_spec()
    with prepared(spec, folder, source(spec, folder), runner=SimulatedRunner()):
        (folder / "logs").mkdir()
        answers = reference_file(folder / "logs")
        answers.write_bytes(b"large")
    assert not answers.exists()
