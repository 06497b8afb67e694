"""What must hold before a study's first trial: its model, its space, its identity, its machine."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from autotune.domain.doubts import Doubts
from autotune.domain.fed import Fed
from autotune.domain.inspection import Inspection
from autotune.domain.model_file import ModelSource, fault_of, located
from autotune.domain.paths import absolute, unwritable_name
from autotune.domain.ranking import is_feasible, merit
from autotune.errors import ModelError, SpecError, StorageError, StudyMismatchError
from autotune.machines.fingerprint import Machine
from autotune.search.derive import derive_space, seeds, trusted_precisions
from autotune.space.configuration import Configuration
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, parse_shapes, to_toml
from autotune.storage.database import DATABASE
from autotune.storage.digests import digest_of, remembered_sha256
from autotune.storage.races import last_race
from autotune.storage.study_store import Identity, StudyStore

_MOST_WARM = 5
_KEPT = ("batch", "precision")
"""What may change answers: whether it may be offered depends on what could be shown."""


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
        kept = {n: begun.choices[n] for n in _KEPT if getattr(overrides, n) is None}
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


def doubts(spec: StudySpec, facts: Inspection, choices: SearchSpace) -> list[str]:
    """What could not be shown of the model's answers, each with its consequence and the way out."""
    data = "the data given" if spec.model.inputs else "random data"
    way_out = "; give samples that tell: [model] inputs" if facts.is_deterministic else ""
    # What is known to be wrong needs no doubt.
    unproven = facts.unproven_batch if facts.why_no_batch is None else None
    found = []
    if not facts.is_deterministic:
        found.append(
            "the model's answers differ from run to run: only their shapes are compared, and what "
            "[space] batch asks for is measured, and never certified"
        )
    elif unproven is not None and choices.choices["batch"] == (1,):
        found.append(
            "batch stays 1: that a batch gives the answers of single requests could not be shown "
            f"on {data}, as {unproven}{way_out}"
        )
    elif unproven is not None:
        found.append(
            f"batch is unproven on {data}, as {unproven}: what has one is measured, and never "
            f"certified{way_out}"
        )
    return found + [
        f"precision {name} is unproven on {data}, as {why}: what has it is measured, and never "
        f"certified{way_out}"
        for name, why in facts.untrusted.items()
        if name in choices.choices["precision"]
    ]


def unproven(facts: Inspection) -> Doubts:
    """What was measured before this inspection, and could not be proven by it."""
    doubted = {device: known for device, known in facts.unproven_precisions.items() if known}
    return Doubts(batch=facts.unproven_batch, precisions=doubted)


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


def findings(
    spec: StudySpec, facts: Inspection, choices: SearchSpace, items: int
) -> list[tuple[str, str]]:
    """What inspection found that bears on every number: the kind of each, and a line of text.

    `items` is what a request counts at batch 1.
    """
    found = [("doubt", text) for text in doubts(spec, facts, choices)]
    doubt = None if spec.model.items is not None else _doubted(facts, items)
    if doubt is not None:
        found.append(("items", doubt))
    if facts.why_no_batch is not None and spec.space.batch is None:
        found.append(("no_batch", f"only batch 1 is tried: {facts.why_no_batch}"))
    misleads = fed(spec, facts).note
    if misleads is not None:
        found.append(("random_inputs", misleads))
    return found


def _doubted(facts: Inspection, items: int) -> str | None:
    """Why requests may hold other items than are counted."""
    if facts.items_per_request != items:
        return (
            f"throughput goes on counting {items} per request, as it did when the study began; "
            f"inspection finds {facts.items_per_request}"
        )
    first = {shape[0] for shape in facts.static_shapes.values() if shape}
    size = first.pop() if len(first) == 1 else 1
    if items > 1 or size <= 1:
        return None
    return (
        f"a request counts as one item: that its first dimension, {size}, is a batch could not be "
        f"shown; if it is one, say [model] items = {size}"
    )


def fed(spec: StudySpec, facts: Inspection) -> Fed:
    """What requests are fed with, and why that may mislead."""
    return Fed(
        data="random" if spec.model.inputs is None else "real", warnings=tuple(facts.fed_warnings)
    )


def identity(spec: StudySpec, folder: Path, choices: SearchSpace) -> Identity:
    """What the study must keep.

    Raises:
        ModelError: the model cannot be read.
    """
    path = located(folder / spec.model.path)
    data = None if spec.model.inputs is None else absolute(folder / spec.model.inputs)
    try:
        digest = digest_of(path)
        inputs = None if data is None else remembered_sha256(data).hex()
    except OSError as error:
        file = error.filename or path
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}") from error
    return Identity(
        name=absolute(folder).name,
        spec=to_toml(spec),
        model_sha256=digest.sha256,
        earlier_sha256=digest.earlier,
        inputs={"shapes": parse_shapes(spec.model.shape), "data_sha256": inputs},
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
        with contextlib.closing(StudyStore.read_only(folder)) as store:
            return SearchSpace.from_dict(store.identity().space)
    except (StorageError, ValueError, KeyError, TypeError):
        return None


def warm_start(
    spec: StudySpec, folder: Path, choices: SearchSpace
) -> tuple[list[Configuration], list[str]]:
    """What to measure first of another study, and what to tell the user of it.

    A study that was begun goes on without one that is gone.

    Raises:
        SpecError: there is no such study, or it cannot be read.
    """
    try:
        return _best_of_another(spec, folder, choices), []
    except SpecError as error:
        if not (folder / DATABASE).is_file():
            raise
        return [], [f"{error}; the study goes on without it"]


def _best_of_another(spec: StudySpec, folder: Path, choices: SearchSpace) -> list[Configuration]:
    """The best few configurations of the study that this one is to start from, as far as they fit.

    They are moved to the nearest choices of this space. Nothing else is taken over: another
    model, machine or load makes other numbers.

    Raises:
        SpecError: there is no such study, or it cannot be read.
    """
    if spec.search.warm_start is None:
        return []
    try:
        with contextlib.closing(StudyStore.read_only(folder / spec.search.warm_start)) as other:
            goal, trials = other.identity().goal, other.trials()
            raced = last_race(other, goal)
    except StorageError as error:
        message = f"the study to start from (search.warm_start, --from): {error}"
        raise SpecError(message) from error
    winner = None if raced is None else raced.result().winner
    able = [t for t in trials if t.measurement is not None and is_feasible(t.measurement, goal)]
    ranked = sorted(able, key=lambda trial: merit(trial, goal), reverse=True)
    found = [] if winner is None else [winner.contender.configuration]
    found += [trial.configuration for trial in ranked]
    points = [choices.nearest(configuration) for configuration in found]
    distinct = dict.fromkeys(choices.configuration(p) for p in points if p is not None)
    known = set(seeds(choices))  # every study begins with them anyhow
    return [configuration for configuration in distinct if configuration not in known][:_MOST_WARM]


def check_machine(store: StudyStore, machine: Machine, *, anyway: bool) -> list[str]:
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
