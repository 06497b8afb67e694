"""Under which core budget a race is held: that of who was tuned, or the one that is asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.goal import Goal, Objective
from autotune.domain.race import Contender
from autotune.errors import StudyMismatchError, UsageError
from autotune.host.core_budget import CoreBudget, CpuRequest, parse_request
from autotune.host.cpus import affinity
from autotune.racing.contest import check_budgets, contest, held_for
from autotune.racing.named import NamedContender, RacedModel
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedRunner

LAST = max(affinity())
HINT = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
ANY = Goal(Objective.THROUGHPUT, 99.0, None)


def of(*cpus: int, asked: str | None = None) -> CoreBudget:
    """A budget of a machine of many CPUs, asked for as a list unless it says how."""
    listed = CpuRequest(len(cpus), cpus)
    return CoreBudget(listed if asked is None else parse_request(asked), cpus, 64)


def one(
    name: str, budget: CoreBudget | None, machine: Mapping[str, Any] | None = None
) -> NamedContender:
    """Tuned somewhere, under this budget; a hint is nowhere tuned."""
    return NamedContender(
        contender=Contender(name=name, configuration=HINT),
        model=RacedModel(path=Path("m.onnx"), shapes={}),
        machine=None if machine is None else dict(machine),
        budget=budget,
    )


def test_a_race_is_held_under_the_budget_of_who_was_tuned() -> None:
    """On the very same CPUs, also where only their count was asked for; hints follow."""
    budget = of(LAST, asked="1")
    assert held_for([one("a hint", None), one("a file", budget, {})], None) == budget
    assert held_for([one("a hint", None), one("another", None)], None) is None
    assert held_for([one("a file", None, {})], None) is None


def test_cpus_that_are_not_here_are_refused_by_name() -> None:
    """With the way to see what it does elsewhere."""
    with pytest.raises(StudyMismatchError, match=r"a file: its core budget .*60000.*--cpus"):
        held_for([one("a file", of(60000), {})], None)


def test_what_is_asked_for_is_held_instead() -> None:
    """A count takes the CPUs that the same count had."""
    then = one("a file", of(LAST, asked="1"), {})
    found = held_for([then], CpuRequest(1, (LAST,)))
    assert found is not None
    assert str(found.asked) == f"{LAST}-{LAST}"
    again = held_for([then], CpuRequest(1))
    assert again is not None
    assert again.cpus == (LAST,)
    with pytest.raises(UsageError, match="--cpus: '60000': 60000 CPUs"):
        held_for([then], CpuRequest(60000))


def test_several_budgets_make_no_race_until_one_is_asked_for() -> None:
    """They are told by name."""
    several = [one("a", of(0), {}), one("b", of(1), {}), one("a hint", None)]
    with pytest.raises(UsageError, match=r"\(a: 1 of 64 CPUs: 0; b: 1 of 64 CPUs: 1\).*--cpus"):
        check_budgets(several, None)
    with pytest.raises(UsageError, match="b: all CPUs"):
        check_budgets([one("a", of(0), {}), one("b", None, {})], None)
    check_budgets(several, CpuRequest(1))
    check_budgets([one("a", of(0), {}), one("b", of(0, asked="1"), {})], None)


def test_another_budget_is_no_other_machine_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is, as ever."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    runner = SimulatedRunner()
    here = runner.machine(runner.inspect(["CPU"], try_batch=False))
    then = replace(here, core_budget="9", core_budget_cpus="0-8", usable_cpus=9)

    def race(stored: Mapping[str, Any], cpus: CpuRequest | None) -> None:
        contest(
            [one("a file", None, stored)], ANY, 1.0, cpus=cpus, runners=lambda *_: SimulatedRunner()
        )

    race(then.to_dict(), CpuRequest(1))
    with pytest.raises(StudyMismatchError, match="core_budget: '9' then, None now"):
        race(then.to_dict(), None)
    with pytest.raises(StudyMismatchError, match="cpu_model"):
        race({**then.to_dict(), "cpu_model": "another"}, CpuRequest(1))
