"""A race without a study: contenders head to head, on this machine, now."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from autotune.domain.goal import Goal, Objective
from autotune.domain.inspection import Inspection
from autotune.domain.measurable import why_unmeasurable
from autotune.domain.measurement import Feed
from autotune.domain.model_file import fault_of
from autotune.domain.place import BUDGET, LAYOUT
from autotune.domain.race import Contender
from autotune.errors import ModelError, StudyMismatchError, UsageError
from autotune.host.confinement import fault_of_request, held_budget
from autotune.host.core_budget import CoreBudget, CpuRequest
from autotune.machines.deadlines import deadlines_of
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience, machine_lock
from autotune.machines.ports import Runner
from autotune.machines.scratch import scratch_folder
from autotune.machines.workers import SubprocessRunner
from autotune.racing.calibration import load_calibration, tie_margin
from autotune.racing.launch import Venue
from autotune.racing.named import NamedContender, RacedModel
from autotune.racing.plan import RacePlan, opens_one_by_one
from autotune.racing.race import Race
from autotune.space.rows.variant import GIVEN

LAUNCHES = 3


def contest(  # noqa: PLR0913 - the parts of a race
    named: Sequence[NamedContender],
    goal: Goal,
    budget_s: float,
    *,
    baseline: int = 0,
    launches: int = LAUNCHES,
    margin: float | None = None,
    anyway: bool = False,
    cpus: CpuRequest | None = None,
    feed: Feed = Feed.BIND,
    seed: int = 0,
    on_launch: Callable[[Race], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
    runners: Callable[[RacedModel, Path], Runner] | None = None,
) -> tuple[Race, Machine]:
    """Race the contenders head to head; nobody is dropped but for a failure.

    Contenders of the same model count the same items: what one of them says, else what is found.

    Args:
        named: at least one; of several models if need be.
        goal: decides the verdicts.
        budget_s: longest time, opening included.
        baseline: position of the one that ratios are taken to.
        launches: launches to aim at.
        margin: relative difference that is a tie; the machine's own without one.
        anyway: race also those that were tuned on another machine or runtime.
        cpus: the core budget of everyone; the one that they share without.
        feed: how requests get their inputs.
        seed: of the order of turns.
        on_launch: hears of every finished launch.
        is_stopped: asked after every round.
        patience: how long to wait while another process measures; not at all without.
        runners: how a model is run, given a folder for logs; worker processes by default.

    Raises:
        BusyError: another measurement runs on this machine.
        StudyMismatchError: a contender was tuned elsewhere, or its core budget is not there.
        UsageError: `cpus` cannot be held here, contenders have several core budgets, or the goal
            asks for what cannot be measured here.
        ModelError, DeviceError: a model or device cannot be used.
    """
    check_budgets(named, cpus)
    with machine_lock(patience), scratch_folder() as folder:
        if runners is None:
            runners = partial(_subprocess_runner, held_for(named, cpus))
        made = _runners(named, folder, runners)
        batched = {_key(e.model) for e in named if e.contender.configuration.batch_size > 1}
        facts = {
            key: runner.inspect(devices, try_batch=key in batched)
            for key, (runner, devices) in made.items()
        }
        for key, name in {(_key(e.model), e.contender.configuration.variant) for e in named}:
            if name != GIVEN:  # its own answers are what its batches are held to
                runner, devices = made[key]
                runner.inspect(devices, try_batch=key in batched, variant=name)
        why = next((why for one in facts.values() if (why := why_unmeasurable(goal, one))), "")
        if why:
            raise UsageError(why)
        first = _key(named[0].model)
        machine = made[first][0].machine(facts[first])
        if not anyway:
            # Another budget that is asked for is no surprise; it is said with the result.
            _check_machine(named, machine, (*BUDGET, *LAYOUT) if cpus is not None else ())
        plan = _plan(machine, budget_s, launches, margin)
        contenders = [
            replace(one.contender, items_per_request=_items(one, named, facts)) for one in named
        ]
        race = Race(
            contenders,
            goal,
            replace(
                plan,
                seats=len(named),
                feed=feed,
                one_by_one=opens_one_by_one(goal),
                seed=seed,
            ),
            _venue(contenders, [made[_key(one.model)][0] for one in named]),
            baseline=baseline,
            on_launch=on_launch,
            is_stopped=is_stopped,
        )
        race.hold()
        return race, machine


def _plan(machine: Machine, budget_s: float, launches: int, margin: float | None) -> RacePlan:
    """Nobody is dropped; what the machine's calibration says, unless a margin is given."""
    calibration = load_calibration(machine)
    return RacePlan(
        budget_s=budget_s,
        launches=launches,
        least_launches=launches,
        drops=False,
        tie_margin=tie_margin(calibration) if margin is None else margin,
        noise=None if calibration is None else calibration.noise,
    )


def _venue(contenders: Sequence[Contender], runners: Sequence[Runner]) -> Venue:
    """One place for all: each is opened by the runner of its model; there is one for each of them.

    Contenders that are alike in everything are told apart by identity.
    """
    owners = {id(c): runner for c, runner in zip(contenders, runners, strict=True)}

    @contextlib.contextmanager
    def side_by_side(seated: Sequence[Contender]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for runner in {id(runner): runner for runner in runners}.values():
                keys = [c.configuration.compile_key for c in seated if owners[id(c)] is runner]
                stack.enter_context(runner.side_by_side(keys))
            yield

    return Venue(
        open_model=lambda c: owners[id(c)].open(c.configuration.compile_key),
        clock=runners[0].clock,
        side_by_side=side_by_side,
        free_memory=runners[0].free_memory,
    )


def common_goal(named: Sequence[NamedContender]) -> Goal:
    """The goal that all contenders with one share; without a cap where they differ or have none.

    What each of them preferred among equals is no other goal.
    """
    goals = {replace(one.goal, portable=False) for one in named if one.goal is not None}
    if len(goals) == 1:
        return goals.pop()
    return Goal(Objective.THROUGHPUT, 99.0, None)


def _items(
    one: NamedContender, named: Sequence[NamedContender], facts: Mapping[str, Inspection]
) -> int:
    """Items in a request of a contender at batch 1: ratios are taken to others of its model."""
    said = [
        other.model.items_per_request
        for other in named
        if other.model.items_per_request is not None
        and (other.model.path, other.model.shapes) == (one.model.path, one.model.shapes)
    ]
    return max(said, default=facts[_key(one.model)].items_per_request)


def check_budgets(named: Sequence[NamedContender], cpus: CpuRequest | None) -> None:
    """Whether one core budget holds for all of them, before anybody waits.

    Raises:
        UsageError: `cpus` cannot be held here, or without it contenders were tuned under several.
    """
    fault = None if cpus is None else fault_of_request(cpus)
    if fault is not None:
        raise UsageError(f"--cpus: {fault}")
    found = {_listed(one.budget): one for one in named if one.machine is not None}
    if cpus is None and len(found) > 1:
        told = "; ".join(f"{o.contender.name}: {o.budget or 'all CPUs'}" for o in found.values())
        raise UsageError(
            f"these were tuned under different core budgets ({told}), and a race has one: "
            "say which with --cpus"
        )


def _listed(budget: CoreBudget | None) -> tuple[int, ...]:
    return () if budget is None else budget.cpus


def held_for(named: Sequence[NamedContender], cpus: CpuRequest | None) -> CoreBudget | None:
    """What is asked for, or else what the contenders were tuned under, on the very same CPUs.

    Raises:
        StudyMismatchError: those CPUs cannot be had here.
        UsageError: what is asked for cannot be.
    """
    then = next((one for one in named if one.machine is not None and one.budget is not None), None)
    if cpus is not None:
        # A count takes the CPUs that the same count had then.
        is_same = then is not None and then.budget is not None and then.budget.asked == cpus
        try:
            return held_budget(cpus, _listed(then.budget) if then and is_same else ())[0]
        except ValueError as error:
            raise UsageError(f"--cpus: {error}") from None
    if then is None or then.budget is None:
        return None
    fault = fault_of_request(CpuRequest(len(then.budget.cpus), then.budget.cpus))
    if fault is not None:
        raise StudyMismatchError(
            f"{then.contender.name}: its core budget cannot be held here: {fault}; "
            "see what it does under another one with --cpus"
        )
    return then.budget


def _check_machine(
    named: Sequence[NamedContender], machine: Machine, ignored: Collection[str]
) -> None:
    for one in named:
        found = [] if one.machine is None else machine.differences(one.machine, ignored)
        if found:
            listed = "\n  ".join(found)
            raise StudyMismatchError(
                f"{one.contender.name}: tuned on another machine or runtime:\n  {listed}\n"
                "what it claims was not measured here; see what it does here with --anyway"
            )


def _runners(
    named: Sequence[NamedContender], folder: Path, make: Callable[[RacedModel, Path], Runner]
) -> dict[str, tuple[Runner, list[str]]]:
    """A runner for every model, with the devices that it needs."""
    found: dict[str, tuple[Runner, list[str]]] = {}
    for one in named:
        key = _key(one.model)
        if key not in found:
            found[key] = (make(one.model, folder / str(len(found))), [])
        devices = found[key][1]
        if one.contender.configuration.device not in devices:
            devices.append(one.contender.configuration.device)
    return found


def _subprocess_runner(budget: CoreBudget | None, model: RacedModel, folder: Path) -> Runner:
    fault = fault_of(model.path)
    if fault is not None:
        moved_away = "; give --model if it was moved"
        raise ModelError(fault if os.path.lexists(model.path) else fault + moved_away)
    folder.mkdir()
    runner = SubprocessRunner(
        model,
        folder,
        deadlines_of(model.deadline, model.path),
        variants=model.variants,
        guard=model.guard,
    )
    return runner.confined(budget)


def _key(model: RacedModel) -> str:
    told = (model.path, sorted(model.shapes.items()), model.inputs, model.workload)
    return repr((*told, model.variants, model.guard))
