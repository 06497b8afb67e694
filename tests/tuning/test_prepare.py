"""Tuning, recording and replaying begin alike: the same study, held, inspected, and let go."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.inspection import Inspection
from autotune.errors import BusyError, SpecError
from autotune.host.cpus import affinity, usable_cpus
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import machine_lock, study_lock
from autotune.machines.model_files import reference_file
from autotune.machines.workers import SubprocessRunner
from autotune.space.rows.variant import GIVEN
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec
from autotune.testing import SimulatedRunner
from autotune.tuning import prepare
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


# --- the core budget


class Inspected(SubprocessRunner):
    """Real workers' place, without workers: what it was given shows in its machine."""

    def inspect(
        self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
    ) -> Inspection:
        """Without a worker."""
        return SimulatedRunner().inspect(devices, try_batch=try_batch, variant=variant)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is prepared without a runner has these."""
    monkeypatch.setattr(prepare, "SubprocessRunner", Inspected)


def machine_of(spec: StudySpec, folder: Path, then: Mapping[str, Any]) -> tuple[Machine, int, Any]:
    """The machine that a study would be measured on, the CPUs of its space, and its notes."""
    with prepared(spec, folder, source(spec, folder), machine_then=lambda: then) as study:
        return study.machine, study.space.cpus, study.notes


@pytest.mark.usefixtures("workers")
def test_spaces_follow_the_core_budget(folder: Path) -> None:
    """Threads and streams are of its CPUs, whatever else the machine has."""
    last = max(affinity())
    spec = make_spec(machine={"cpus": f"{last}-{last}"})
    machine, cpus, notes = machine_of(spec, folder, {})
    assert (cpus, machine.usable_cpus, notes) == (1, 1, ())
    assert machine.core_budget_cpus == str(last)
    plain, every, _ = machine_of(make_spec(), folder, {})
    assert plain.core_budget is None
    assert every == plain.usable_cpus == usable_cpus()


@pytest.mark.usefixtures("workers")
def test_a_count_is_remembered(folder: Path) -> None:
    """The CPUs that the study was begun with, unless they are gone: then it says so."""
    last, spec = max(affinity()), make_spec(machine={"cpus": 1})
    begun = {"core_budget": "1", "core_budget_cpus": str(last), "logical_cpus": 64}
    assert machine_of(spec, folder, begun)[0].core_budget_cpus == str(last)
    machine, _, notes = machine_of(spec, folder, {**begun, "core_budget_cpus": "60000"})
    (note,) = notes
    assert note.startswith("CPU 60000, with which it was begun, cannot all be had any more")
    assert note.endswith(f"CPU {machine.core_budget_cpus}")
    other = {**begun, "core_budget": "2", "core_budget_cpus": "60000-60001"}
    assert machine_of(spec, folder, other)[2] == ()


@pytest.mark.usefixtures("workers")
def test_a_budget_that_cannot_be_held_names_the_file_and_the_key(folder: Path) -> None:
    """Before anybody waits for the machine."""
    spec = make_spec(machine={"cpus": 60000})
    with machine_lock(), pytest.raises(SpecError, match=r"study\.toml: \[machine\] cpus: '60000'"):
        machine_of(spec, folder, {})


def test_a_runner_that_is_given_has_its_own_cpus(folder: Path) -> None:
    """A simulated machine is confined by nobody."""
    spec, runner = make_spec(machine={"cpus": 60000}), SimulatedRunner()
    with prepared(spec, folder, source(spec, folder), runner=runner) as study:
        assert study.space.cpus == runner.cpu.cpus
