"""What must hold before a study's first trial: its model, its space, its identity, its machine."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from autotune.domain.goal import Goal
from autotune.domain.inspection import Inspection
from autotune.domain.measurable import why_unmeasurable
from autotune.domain.model_file import fault_of, located
from autotune.domain.paths import absolute, unwritable_name
from autotune.errors import ModelError, SpecError, StorageError, StudyMismatchError
from autotune.host.confinement import fault_of_request, held_budget
from autotune.host.core_budget import budget_of
from autotune.machines.deadlines import deadlines_of
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience, machine_lock, study_lock
from autotune.machines.ports import Runner
from autotune.machines.workers import SubprocessRunner, reference_file
from autotune.machines.workloads import workload_file
from autotune.space.all_devices import ALL, expanded
from autotune.space.devices import Through, kind_of
from autotune.space.named import texts_of
from autotune.space.space import SearchSpace
from autotune.spec import STUDY_FILE, StudySpec, parse_shapes, to_toml
from autotune.storage.database import DATABASE
from autotune.storage.digests import digest_of, remembered_sha256
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.storage.trust import refuse_code
from autotune.tuning.choices import space_of
from autotune.tuning.findings import fed
from autotune.workload.digest import digest as inputs_digest
from autotune.workload.workload import ModelSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study whose model was inspected on the machine that is to measure it."""

    spec: StudySpec
    runner: Runner
    facts: Inspection
    machine: Machine
    space: SearchSpace
    notes: tuple[str, ...] = ()
    """What has changed since the study was begun, and is no reason not to go on."""


@contextlib.contextmanager
def prepared(  # noqa: PLR0913 - what is known of an earlier session
    spec: StudySpec,
    folder: Path,
    model: ModelSource,
    *,
    runner: Runner | None = None,
    begun: Callable[[], SearchSpace | None] = lambda: None,
    machine_then: Callable[[], Mapping[str, Any]] = dict,
    patience: Patience | None = None,
) -> Iterator[Prepared]:
    """Hold the study and the machine; everything that can be wrong with the input shows here.

    Args:
        spec: the study.
        folder: of the study, where logs and locks lie.
        model: as `source` has it.
        runner: how configurations are measured; worker processes, confined to the core budget that
            the spec asks for, by default.
        begun: the space that the study was begun with, asked once the model was inspected.
        machine_then: fingerprint of the machine that it was begun on, asked once the machine is
            held; empty for a new study.
        patience: how long to wait for the study and the machine, in all; not at all without.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used.
        StudyMismatchError: the study was begun with a batch that gives wrong answers.
        BusyError: another process holds the study or the machine.
    """
    start = _workers(spec, folder, model, machine_then) if runner is None else lambda: (runner, [])
    with (
        study_lock(folder, patience),
        machine_lock(patience),
        no_longer_than_this(reference_file(folder / "logs")),
        no_longer_than_this(workload_file(folder / "logs")),
    ):
        chosen, notes = start()
        yield replace(prepared_on(chosen, spec, begun), notes=tuple(notes))


def _workers(
    spec: StudySpec, folder: Path, model: ModelSource, machine_then: Callable[[], Mapping[str, Any]]
) -> Callable[[], tuple[Runner, list[str]]]:
    """Worker processes under the study's core budget, with what there is to say of it.

    What can be wrong shows now. They are had by a call, once nobody else measures here: only then
    can it be told which CPUs are the least busy.
    """
    workers = SubprocessRunner(
        model,
        folder / "logs",
        deadlines_of(spec.deadline, model.path),
        named=texts_of(spec.space.properties),
    )
    asked, name = spec.machine.cpus, f"{folder / STUDY_FILE}: [machine] cpus"
    fault = None if asked is None else fault_of_request(asked)
    if fault is not None:
        raise SpecError(f"{name}: {fault}")

    def confined() -> tuple[Runner, list[str]]:
        if asked is None:
            return workers, []
        held = budget_of(machine_then())
        # Another count is another machine: it was refused by then, or is wanted.
        then = held.cpus if held is not None and held.asked == asked else ()
        try:
            budget, note = held_budget(asked, then)
        except ValueError as error:  # what is allowed has changed meanwhile
            raise SpecError(f"{name}: {error}") from None
        return workers.confined(budget), [] if note is None else [note]

    return confined


def prepared_on(
    runner: Runner, spec: StudySpec, begun: Callable[[], SearchSpace | None] = lambda: None
) -> Prepared:
    """What inspection finds, and the space that follows; `begun` as for `prepared`.

    Raises:
        ModelError, DeviceError, SpecError, StudyMismatchError: as for `prepared`.
    """
    gathers = any(kind_of(device).through is Through.DIRECT for device in spec.space.device)
    facts = runner.inspect(spec.space.device, try_batch=gathers or spec.space.batch != (1,))
    refuse_unmeasurable(spec.goal.goal, facts)
    machine, earlier = runner.machine(facts), begun()
    if earlier is None:
        refuse_unsaid_ids(facts)
    named = _of_these(spec, facts, earlier)
    choices = space_of(named, facts, machine.hardware(facts.devices), earlier)
    return Prepared(spec=spec, runner=runner, facts=facts, machine=machine, space=choices)


def _of_these(spec: StudySpec, facts: Inspection, begun: SearchSpace | None) -> StudySpec:
    """The same with its devices by name; those that it was begun with, where it asks for all."""
    names: Sequence[str] = spec.space.device
    if begun is not None and any(name.lower() == ALL for name in names):
        names = begun.choices["device"]
    named = spec.space.model_copy(update={"device": expanded(names, facts.devices)})
    return spec.model_copy(update={"space": named})


def refuse_unmeasurable(goal: Goal, facts: Inspection) -> None:
    """Refuse a goal that asks for energy or memory where that cannot be read.

    Before anything is spent on it: what nobody can read is met by nothing.

    Raises:
        SpecError: with the reason, and what to do.
    """
    why = why_unmeasurable(goal, facts)
    if why:
        raise SpecError(f"[goal] {why}")


def refuse_unsaid_ids(facts: Inspection) -> None:
    """Refuse random ids where nobody said what they may be, and the model says how many there are.

    Words at random are what no caller asks; zeros and ones, as made for any input, are two words.

    Raises:
        SpecError: with the way out.
    """
    if facts.unsaid_ids:
        listed = ", ".join(f"{name} ({rows} rows)" for name, rows in facts.unsaid_ids.items())
        name, rows = next(iter(facts.unsaid_ids.items()))
        raise SpecError(
            f"these inputs are ids that the model looks up in a table: {listed}; give real ones as "
            f"[workload] inputs, or at least a range: [workload] random = "
            f"{{ {name} = {{ low = 0, high = {rows - 1} }} }}"
        )


def source(spec: StudySpec, folder: Path, *, trust: bool = False) -> ModelSource:
    """The files that workers read; paths in the spec are relative to the study's folder.

    Args:
        spec: the study.
        folder: its folder.
        trust: whether code of the study's may run, whoever began it.

    Raises:
        ModelError, SourceError: one of them is missing.
        StudyMismatchError: the inputs are code of another's study.
    """
    path, file = located(folder / spec.model.path), folder / STUDY_FILE
    fault = fault_of(path)
    if fault is not None:
        raise ModelError(f"{file}: [model] path: {fault}")
    inputs = None if spec.model.inputs is None else absolute(folder / spec.model.inputs)
    if inputs is not None:
        fault = unwritable_name(inputs)
        if fault is None and not inputs.is_file():
            fault = f"{inputs}: there is no such input file"
        if fault is not None:
            raise ModelError(f"{file}: [model] inputs: {fault}")
    workload = spec.workload.within(absolute(folder))
    if workload is not None and workload.inputs is not None:
        refuse_code(workload.inputs, absolute(folder), trusted=trust)
    return ModelSource(
        path=path, shapes=parse_shapes(spec.model.shape), inputs=inputs, workload=workload
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
    asked: dict[str, Any] = {"shapes": model.shapes, "data_sha256": inputs}
    if model.workload is not None:
        asked["workload"] = spec.workload.model_dump(mode="json", exclude_defaults=True)
        if model.workload.inputs is not None:
            asked["inputs_sha256"] = inputs_digest(model.workload.inputs)
    return Identity(
        name=absolute(folder).name,
        spec=to_toml(spec),
        model_sha256=digest.sha256,
        earlier_sha256=digest.earlier,
        inputs=asked,
        goal=spec.goal.goal,
        space=choices.to_dict(),
    )


@contextlib.contextmanager
def no_longer_than_this(file: Path) -> Iterator[None]:
    """Remove a file at the end, and what was remembered beside it.

    Samples and reference answers may be large, and are made anew each time.
    """
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for one in file.parent.glob(f"{file.name}*"):
                one.unlink()


def begun_space(folder: Path) -> SearchSpace | None:
    """The space of the study in a folder; None where none was begun, or none can be read."""
    return _of_begun(folder, lambda store: SearchSpace.from_dict(store.identity().space))


def begun_machine(folder: Path) -> Mapping[str, Any]:
    """Fingerprint of the machine that the study in a folder was begun on; empty for a new one."""
    return _of_begun(folder, lambda store: store.sessions()[0].machine) or {}


def _of_begun(folder: Path, ask: Callable[[StudyReader], T]) -> T | None:
    """What a study says of itself; None where none was begun, or it cannot say.

    Whoever opens it for writing says what is wrong with it.
    """
    if not (folder / DATABASE).is_file():
        return None
    try:
        with contextlib.closing(StudyReader.read_only(folder)) as store:
            return ask(store)
    except (StorageError, LookupError, ValueError, TypeError):
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
