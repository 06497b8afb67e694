"""What must hold before a study's first trial: its model, its space, its identity, its machine."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autotune.domain.goal import Goal
from autotune.domain.inspection import Inspection
from autotune.domain.measurable import why_unmeasurable
from autotune.domain.model_file import fault_of, located
from autotune.domain.paths import absolute, unwritable_name
from autotune.errors import ModelError, SpecError
from autotune.host.confinement import fault_of_request, held_budget
from autotune.host.core_budget import budget_of
from autotune.machines.building import calibration_file
from autotune.machines.deadlines import deadlines_of
from autotune.machines.fingerprint import Machine
from autotune.machines.guards import accuracy_file
from autotune.machines.locks import Patience, machine_lock, study_lock
from autotune.machines.model_files import reference_file
from autotune.machines.ports import Runner
from autotune.machines.workers import SubprocessRunner
from autotune.machines.workloads import workload_file
from autotune.space.all_devices import ALL, expanded
from autotune.space.devices import Through, kind_of
from autotune.space.named import texts_of
from autotune.space.space import SearchSpace
from autotune.spec import STUDY_FILE, StudySpec, parse_shapes, to_toml
from autotune.spec.study import guard_of
from autotune.storage.digests import digest_of, remembered_sha256
from autotune.storage.identity import Identity
from autotune.storage.trust import refuse_code
from autotune.tuning.choices import precisions_of, space_of
from autotune.tuning.findings import fed
from autotune.tuning.variants import (
    Making,
    VariantFacts,
    cache_folder,
    looked_at,
    make_variants,
    refuse_unmakeable,
    variants_of,
)
from autotune.workload.digest import digest as inputs_digest
from autotune.workload.workload import ModelSource

Started = tuple[Runner, list[str], Making]
"""How configurations are measured, what is to be said of it, and what became of variants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study whose model was inspected on the machine that is to measure it."""

    spec: StudySpec
    runner: Runner
    facts: Inspection
    machine: Machine
    space: SearchSpace
    variants: VariantFacts = field(default_factory=VariantFacts)
    """Other files of the model, and which of them are not tried."""
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
    tell: Callable[[str], None] = lambda _: None,
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
        tell: hears of what takes long, in a few words.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used.
        StudyMismatchError: the study was begun with a batch that gives wrong answers.
        BusyError: another process holds the study or the machine.
    """
    start = _given(runner) if runner else _workers(spec, folder, model, machine_then, tell)
    with (
        study_lock(folder, patience),
        machine_lock(patience),
        no_longer_than_this(reference_file(folder / "logs")),
        no_longer_than_this(workload_file(folder / "logs")),
        no_longer_than_this(accuracy_file(folder / "logs")),
        no_longer_than_this(calibration_file(folder / "logs")),
    ):
        chosen, notes, making = start()
        yield replace(prepared_on(chosen, spec, begun, making), notes=tuple(notes))


def _given(runner: Runner) -> Callable[[], Started]:
    return lambda: (runner, [], Making())


def _workers(
    spec: StudySpec,
    folder: Path,
    model: ModelSource,
    machine_then: Callable[[], Mapping[str, Any]],
    tell: Callable[[str], None],
) -> Callable[[], Started]:
    """Worker processes under the study's core budget, with what there is to say of it.

    What can be wrong shows now. They are had by a call, once nobody else measures here: only then
    can it be told which CPUs are the least busy, and variants be made.
    """
    refuse_unmakeable(spec, folder)
    workers = SubprocessRunner(
        model,
        folder / "logs",
        deadlines_of(spec.deadline, model.path),
        named=texts_of(spec.space.properties),
        variants=variants_of(spec, folder, model),
        guard=guard_of(spec, folder),
    )
    asked, name = spec.machine.cpus, f"{folder / STUDY_FILE}: [machine] cpus"
    fault = None if asked is None else fault_of_request(asked)
    if fault is not None:
        raise SpecError(f"{name}: {fault}")

    def confined() -> tuple[SubprocessRunner, list[str]]:
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

    def started() -> Started:
        found, notes = confined()
        if all(one.recipe is None for one in spec.variants.values()):
            return found, notes, Making()
        maker = found.models.maker(cache_folder(folder), found.start)
        return found, notes, make_variants(spec, folder, maker, tell)

    return started


def prepared_on(
    runner: Runner,
    spec: StudySpec,
    begun: Callable[[], SearchSpace | None] = lambda: None,
    making: Making | None = None,
) -> Prepared:
    """What inspection finds, and the space that follows; `begun` as for `prepared`.

    What became of variants that were to be made is in `making`.

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
    variants = looked_at(runner, named, facts, precisions_of(facts), making)
    choices = space_of(named, facts, machine.hardware(facts.devices), earlier, variants)
    return Prepared(
        spec=spec, runner=runner, facts=facts, machine=machine, space=choices, variants=variants
    )


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
    guard = guard_of(spec, folder)
    for code in (
        None if workload is None else workload.inputs,
        None if guard is None else guard.asked.inputs,
        None if guard is None else guard.metric.code,
    ):
        if code is not None:
            refuse_code(code, absolute(folder), trusted=trust)
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
    data, variants = model.inputs, variants_of(spec, folder, model)
    try:
        digest = digest_of(model.path)
        files = {
            one.name: digest_of(one.source.path).sha256
            for one in variants
            if one.source.path.exists()  # one that could not be made is none
        }
        inputs = None if data is None else remembered_sha256(data).hex()
    except OSError as error:
        file = error.filename or model.path
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}") from error
    asked: dict[str, Any] = {"shapes": model.shapes, "data_sha256": inputs}
    if spec.variants:
        asked["variants"] = {f"{name}_sha256": digest for name, digest in files.items()}
    if spec.variants or spec.accuracy.is_said:
        asked["accuracy"] = spec.accuracy.model_dump(mode="json", exclude_defaults=True)
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
