"""What must hold before a study's first trial: its model, its space, its identity, its machine."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.inspection import Inspection
from autotune.domain.model_file import ModelSource, fault_of, located
from autotune.domain.paths import absolute, unwritable_name
from autotune.errors import ModelError, SpecError, StorageError, StudyMismatchError
from autotune.machines.deadlines import deadlines_of
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience, machine_lock, study_lock
from autotune.machines.ports import Runner
from autotune.machines.workers import SubprocessRunner, reference_file
from autotune.search.derive import derive_space, trusted_precisions
from autotune.space.dimensions import TABLE
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, parse_shapes, to_toml
from autotune.storage.database import DATABASE
from autotune.storage.digests import digest_of, remembered_sha256
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.tuning.findings import fed

_KEPT = tuple(one.name for one in TABLE if one.tunable and (one.answers or not one.first))
"""What may change answers, as whether it may be offered depends on what could be shown; and what
came later than some study, which goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study whose model was inspected on the machine that is to measure it."""

    spec: StudySpec
    runner: Runner
    facts: Inspection
    machine: Machine
    space: SearchSpace


@contextlib.contextmanager
def prepared(
    spec: StudySpec,
    folder: Path,
    model: ModelSource,
    *,
    runner: Runner | None = None,
    begun: Callable[[], SearchSpace | None] = lambda: None,
    patience: Patience | None = None,
) -> Iterator[Prepared]:
    """Hold the study and the machine; everything that can be wrong with the input shows here.

    Args:
        spec: the study.
        folder: of the study, where logs and locks lie.
        model: as `source` has it.
        runner: how configurations are measured; worker processes by default.
        begun: the space that the study was begun with, asked once the model was inspected.
        patience: how long to wait for the study and the machine, in all; not at all without.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used.
        StudyMismatchError: the study was begun with a batch that gives wrong answers.
        BusyError: another process holds the study or the machine.
    """
    logs = folder / "logs"
    runner = runner or SubprocessRunner(model, logs, deadlines_of(spec.deadline, model.path))
    with (
        study_lock(folder, patience),
        machine_lock(patience),
        no_longer_than_this(reference_file(logs)),
    ):
        yield prepared_on(runner, spec, begun)


def prepared_on(
    runner: Runner, spec: StudySpec, begun: Callable[[], SearchSpace | None] = lambda: None
) -> Prepared:
    """What inspection finds, and the space that follows; `begun` as for `prepared`.

    Raises:
        ModelError, DeviceError, SpecError, StudyMismatchError: as for `prepared`.
    """
    facts = runner.inspect(spec.space.device, try_batch=spec.space.batch != (1,))
    refuse_unmeasurable(spec.goal.goal, facts)
    machine = runner.machine(facts)
    choices = space(spec, facts, machine.usable_cpus, begun())
    return Prepared(spec=spec, runner=runner, facts=facts, machine=machine, space=choices)


def refuse_unmeasurable(goal: Goal, facts: Inspection) -> None:
    """Refuse a goal that asks for energy where that cannot be read, before anything is spent on it.

    Raises:
        SpecError: with the reason, and what to do.
    """
    why = facts.why_no_energy
    if why is None:
        return
    limit = goal.limit("max_energy_per_item")
    if limit is not None:
        raise SpecError(
            f"[goal] max_energy_per_item: energy cannot be measured here: {why}; or leave it out: "
            "max_cpu_per_item limits CPU time, which is measured everywhere"
        )
    if goal.objective is Objective.EFFICIENCY and goal.resource is Resource.ENERGY:
        raise SpecError(
            f"[goal] efficiency: energy cannot be measured here: {why}; or take efficiency = "
            '"cpu", which is measured everywhere'
        )


def source(spec: StudySpec, folder: Path) -> ModelSource:
    """The files that workers read; paths in the spec are relative to the study's folder.

    Raises:
        ModelError: one of them is missing.
    """
    path = located(folder / spec.model.path)
    fault = fault_of(path)
    if fault is not None:
        raise ModelError(fault)
    inputs = None if spec.model.inputs is None else absolute(folder / spec.model.inputs)
    fault = None if inputs is None else unwritable_name(inputs)
    if fault is not None:
        raise ModelError(fault)
    if inputs is not None and not inputs.is_file():
        raise ModelError(f"{inputs}: there is no such input file")
    return ModelSource(
        path=path,
        shapes=parse_shapes(spec.model.shape),
        inputs=inputs,
    )


def space(
    spec: StudySpec, facts: Inspection, cpus: int, begun: SearchSpace | None = None
) -> SearchSpace:
    """The space that follows from the spec, the model and the machine.

    Args:
        spec: the study.
        facts: what inspection found out.
        cpus: min(affinity, cgroup quota).
        begun: of the study, if it was begun: it keeps its choices of batch and precision where the
            spec names none, whatever is known of them by now.

    Raises:
        SpecError: the spec's overrides contradict them.
        StudyMismatchError: the study was begun with a batch that gives wrong answers.
    """
    overrides = spec.space
    if begun is not None:
        kept = {n: begun.choices[n] for n in _KEPT if n not in overrides.model_fields_set}
        overrides = overrides.model_copy(update=kept)
        if "batch" in kept and kept["batch"] != (1,) and facts.why_no_batch is not None:
            raise StudyMismatchError(
                f"this study cannot go on: it was begun with batches up to {max(kept['batch'])}, "
                f"and what it measured with them were other answers: {facts.why_no_batch}; "
                "begin another study under a new --name"
            )
    return derive_space(
        overrides,
        cpus,
        device_streams={name: d.streams[-1] for name, d in facts.devices.items() if d.streams},
        precisions=trusted_precisions(
            facts.precision_errors, facts.default_precision, facts.untrusted
        ),
        why_no_batch=facts.why_no_batch,
        unproven_batch=facts.unproven_batch,
    )


def counted(
    begun: Identity, spec: StudySpec, facts: Inspection, items_then: int | None = None
) -> Identity:
    """The same, with the items that throughput counts and the data that are fed.

    Args:
        begun: of the study.
        spec: what it says of the items counts first.
        facts: what inspection found.
        items_then: how it counted when it was begun; None before that.
    """
    items = spec.model.items or items_then or facts.items_per_request
    return replace(begun, items_per_request=items, fed=fed(spec, facts))


def identity(spec: StudySpec, folder: Path, model: ModelSource, choices: SearchSpace) -> Identity:
    """What the study must keep.

    Raises:
        ModelError: the model cannot be read.
    """
    data = model.inputs
    try:
        digest = digest_of(model.path)
        inputs = None if data is None else remembered_sha256(data).hex()
    except OSError as error:
        file = error.filename or model.path
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}") from error
    return Identity(
        name=absolute(folder).name,
        spec=to_toml(spec),
        model_sha256=digest.sha256,
        earlier_sha256=digest.earlier,
        inputs={"shapes": model.shapes, "data_sha256": inputs},
        goal=spec.goal.goal,
        space=choices.to_dict(),
    )


@contextlib.contextmanager
def no_longer_than_this(file: Path) -> Iterator[None]:
    """Remove a file at the end, and what was remembered beside it.

    Reference answers may be large, and are made anew each time.
    """
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for one in file.parent.glob(f"{file.name}*"):
                one.unlink()


def begun_space(folder: Path) -> SearchSpace | None:
    """The space of the study in a folder; None where none was begun, or none can be read.

    Whoever opens it for writing says what is wrong with it.
    """
    if not (folder / DATABASE).is_file():
        return None
    try:
        with contextlib.closing(StudyReader.read_only(folder)) as store:
            return SearchSpace.from_dict(store.identity().space)
    except (StorageError, ValueError, KeyError, TypeError):
        return None


def check_machine(store: StudyReader, machine: Machine, *, anyway: bool) -> list[str]:
    """Refuse another machine or runtime, unless told to go on; returns what to tell the user.

    Raises:
        StudyMismatchError: lists what differs.
    """
    sessions = store.sessions()
    differences = machine.differences(sessions[-1].machine) if sessions else []
    if not differences:
        return []
    listed = "\n  ".join(differences)
    if anyway:
        return [f"continued on another machine or runtime: {'; '.join(differences)}"]
    raise StudyMismatchError(
        f"{store.name}: this is not where the study was begun:\n  {listed}\n"
        "numbers of two machines must not be mixed: begin another study under a new --name, "
        "or go on with --anyway"
    )
