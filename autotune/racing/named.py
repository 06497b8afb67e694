"""Who races without a study: a best.json, a trial, a hint, or settings, by name."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autotune.domain.goal import Goal
from autotune.domain.measurement import Feed
from autotune.domain.model_file import fault_of, located
from autotune.domain.paths import absolute, unwritable_name
from autotune.domain.race import Contender
from autotune.errors import ModelError, SpecError, UsageError
from autotune.export.best_file import BestFile, best_at, model_of, read_best
from autotune.export.configuration import configuration_of
from autotune.host.core_budget import CoreBudget, budget_of
from autotune.racing.nomination import contender as contender_of_trial
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.space.rows.variant import VARIANT
from autotune.space.settings import configuration_in, keys
from autotune.spec import DeadlineSpec, StudySpec, load_spec, parse_shapes, parse_spec
from autotune.spec.fed_words import fed_in_words, fed_of_file
from autotune.spec.study import guard_of
from autotune.spec.variants import variant_file
from autotune.spec.workload import WorkloadSpec
from autotune.storage.digests import digest_of
from autotune.storage.reader import StudyReader
from autotune.storage.trust import refuse_code
from autotune.workload.digest import digest
from autotune.workload.guard import Guard
from autotune.workload.workload import ModelSource, Variant, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class RacedModel(ModelSource):
    """What a contender runs, with what is known of it from where it was tuned."""

    deadline: DeadlineSpec = field(default_factory=DeadlineSpec)
    """Of the study that it is from."""
    items_per_request: int | None = None
    """At batch 1, as the file or the study counts them; None where nobody has said."""
    fed: str = "random data, bound once"
    """What it is fed with, and how, in words."""
    variants: tuple[Variant, ...] = ()
    """Other files of it, which a configuration may name."""
    guard: Guard | None = None
    """What is asked of answers; None where nothing is."""

    @property
    def is_random(self) -> bool:
        """Whether that is no data of the user's."""
        own = None if self.workload is None else self.workload.inputs
        return self.inputs is None and own is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedContender:
    """A contender that was named, in whatever form, and where it comes from."""

    contender: Contender
    model: RacedModel
    goal: Goal | None = None
    """The goal that it was tuned for; None for hints and options."""
    best: BestFile | None = None
    """The file with its claim, if it comes from one."""
    feed: Feed | None = None
    """How its requests got their inputs then; None for hints and options."""
    machine: dict[str, Any] | None = None
    """Fingerprint of the machine that it was tuned on, if known."""
    budget: CoreBudget | None = None
    """The CPUs that it was confined to then; None for all, and for hints and options."""


def trial_of(text: str) -> tuple[Path, int] | None:
    """The study's folder and the trial's number in ``STUDY:TRIAL``; None for another form."""
    folder, colon, number = text.rpartition(":")
    if not colon or not number.isascii() or not number.isdigit() or not folder:
        return None
    return Path(folder), int(number)


def named_contenders(
    names: Sequence[str], model: RacedModel | None, device: str, *, trust: bool = False
) -> list[NamedContender]:
    """Every name that the command line takes: a file, STUDY:TRIAL, a hint, options.

    Hints and options run `model`, or else the model of the first file or trial.

    Raises:
        UsageError: a name that is none of these, or no model to run.
    """
    found: list[NamedContender | None] = [_with_model(name, model, trust=trust) for name in names]
    first = next((one.model for one in found if one is not None), model)
    for position, name in enumerate(names):
        if found[position] is None:
            if first is None:
                raise UsageError(f"{name!r} needs a model: give --model, or a best.json first")
            found[position] = contender_of_words(name, first, device)
    return [one for one in found if one is not None]


def _with_model(name: str, model: RacedModel | None, *, trust: bool) -> NamedContender | None:
    trial = trial_of(name)
    file = best_at(Path(name))
    if file.is_file():
        moved = None if model is None else model.path
        return contender_of_file(file, moved, trust=trust)
    if trial is not None:
        return contender_of_stored(*trial, trust=trust)
    if name.endswith(".json"):
        raise UsageError(f"{name}: there is no such file")
    return None


def contender_of_file(
    path: Path, model: Path | None = None, *, trust: bool = False
) -> NamedContender:
    """A best.json.

    Args:
        path: the file.
        model: the model file, if it was moved.
        trust: whether the code of its inputs may run, whoever wrote it.

    Raises:
        AutotuneError: no valid best.json, or its properties are none that autotune sets.
        ModelError: the model is missing, or not the one that was tuned.
    """
    best = read_best(path)
    found = model_of(best, path, model)
    given, variants = _given(best, path, found)
    claim = best.certificate
    return NamedContender(
        contender=Contender(
            name=str(path),
            configuration=configuration_of(best, path),
            trial=best.trial,
            search_per_s=claim.throughput_per_s if claim else best.measured.throughput_per_s,
            search_latency_ms=best.measured.latency_ms.goal,
            search_efficiency=best.measured.efficiency,
        ),
        model=RacedModel(
            path=given,
            shapes=best.model.shapes,
            variants=variants,
            guard=_guard(best, path, trust=trust),
            inputs=_inputs(best, path),
            workload=_workload(best, path, trust=trust),
            deadline=_deadline(path.parent),
            items_per_request=best.model.items_per_request if best.format_version >= 4 else None,
            fed=inputs_of_file(best),
        ),
        goal=best.goal,
        best=best,
        feed=best.measured.feed,
        machine=best.machine,
        budget=_budget(best, path),
    )


def inputs_of_file(best: BestFile) -> str:
    """What a best.json was measured with, and how, in words."""
    return best.measured.inputs or fed_of_file(best.model.inputs, best.measured.feed)


def data_of_file(best: BestFile) -> str:
    """Whether that was random or real."""
    return best.measured.data or ("random" if best.model.inputs is None else "real")


def _inputs(best: BestFile, path: Path) -> Path | None:
    """The file with input data.

    Raises:
        ModelError: it is missing: other data may take other time.
    """
    if best.model.inputs is None:
        return None
    file = absolute(path.parent / best.model.inputs)
    fault = unwritable_name(file)
    if fault is not None:
        raise ModelError(fault)
    if not file.is_file():
        raise ModelError(f"{file}: the input data of {path} is not there; put it back")
    return file


def _workload(best: BestFile, path: Path, *, trust: bool) -> Workload | None:
    """What it was asked, the files being where they were from best.json.

    Raises:
        SourceError, ModelError: they are not there, or are other ones: these may take other time.
        StudyMismatchError: the inputs are code that nobody trusts.
    """
    said = best.model.workload
    if said is None:
        return None
    folder = absolute(path.parent)
    found = said.within(folder)
    if found is None or found.inputs is None:
        return found
    if digest(found.inputs) != said.inputs_sha256:
        raise ModelError(f"{path}: its inputs have changed since it was written; put them back")
    refuse_code(found.inputs, folder, trusted=trust, begun_here=True)
    return found


def _given(best: BestFile, path: Path, found: Path) -> tuple[Path, tuple[Variant, ...]]:
    """The model as it was given, and the variant that a file deploys, if it is one.

    Raises:
        ModelError: the former is missing, or another one: nothing is left to hold answers to.
    """
    reference, name = best.model.reference, best.beside[VARIANT.column]
    if reference is None:
        return found, ()
    file = located(path.parent / reference.path)
    fault = fault_of(file)
    if fault is not None:
        raise ModelError(f"{fault}; {path} has a variant of it, whose answers are held to it")
    if not digest_of(file).is_called(reference.sha256):
        raise ModelError(f"{file}: is not the model that {path} has a variant of")
    source = ModelSource(path=found, shapes=best.model.shapes)
    return file, (Variant(name=name, source=source),)


def _guard(best: BestFile, path: Path, *, trust: bool) -> Guard | None:
    """What is asked of its answers; None where nothing was.

    Raises:
        SourceError: samples, labels or metric are not there.
        StudyMismatchError: they are code that nobody trusts.
    """
    if best.accuracy is None:
        return None
    folder, said = absolute(path.parent), best.model.workload
    workload = WorkloadSpec() if said is None else said.spec
    found = best.accuracy.within(folder, workload, best.model.inputs)
    for code in (None, None) if found is None else (found.asked.inputs, found.metric.code):
        if code is not None:
            refuse_code(code, folder, trusted=trust, begun_here=True)
    return found


def _budget(best: BestFile, path: Path) -> CoreBudget | None:
    """The core budget of a file.

    Raises:
        UsageError: it was edited.
    """
    try:
        return best.budget
    except ValueError as error:
        raise UsageError(f"{path}: {error}; restore the file") from None


def _deadline(folder: Path) -> DeadlineSpec:
    """What the study of a folder allows its workers; the defaults where there is none to be read.

    They change no number, so what study.toml says now holds, and not what the study began with.
    """
    try:
        return load_spec(folder).deadline
    except SpecError:
        return DeadlineSpec()


def _of_study(spec: StudySpec, folder: Path, *, trust: bool) -> Workload | None:
    """What a study asks.

    Raises:
        SourceError: its files are not there.
        StudyMismatchError: the inputs are code of another's study.
    """
    found = spec.workload.within(absolute(folder))
    if found is not None and found.inputs is not None:
        refuse_code(found.inputs, absolute(folder), trusted=trust)
    return found


def contender_of_stored(folder: Path, number: int, *, trust: bool = False) -> NamedContender:
    """A measured trial of a study.

    Raises:
        UsageError: the study has no such trial, or it was not measured.
    """
    if not folder.is_dir() and (Path("studies") / folder).is_dir():
        folder = Path("studies") / folder
    if not folder.is_dir():
        raise UsageError(f"{folder}:{number}: no such study; give its folder, studies/NAME")
    store = StudyReader.read_only(folder)
    with contextlib.closing(store):
        identity, trials = store.identity(), store.trials()
        measured = [t for t in trials if t.measurement is not None and t.number == number]
        machine = store.session_of(number).machine if measured else None
    trial = next((t for t in trials if t.number == number), None)
    if trial is None or trial.measurement is None:
        numbers = [t.number for t in trials if t.measurement is not None]
        known = f"{numbers[0]} to {numbers[-1]}" if numbers else "none"
        raise UsageError(f"{folder}:{number}: no measured trial of that number; there are {known}")
    spec = parse_spec(identity.spec, f"{store.name}: stored study")
    return NamedContender(
        contender=replace(contender_of_trial(trial), name=f"{folder.name}:{number}"),
        model=RacedModel(
            path=located(folder / spec.model.path),
            shapes=parse_shapes(spec.model.shape),
            inputs=None if spec.model.inputs is None else absolute(folder / spec.model.inputs),
            workload=_of_study(spec, folder, trust=trust),
            deadline=_deadline(folder),
            items_per_request=identity.items_per_request,
            fed=fed_in_words(spec, identity.fed),
            variants=_variants(spec, folder),
            guard=_guard_of(spec, folder, trust=trust),
        ),
        goal=identity.goal,
        feed=spec.measure.feed,
        machine=machine,
        budget=None if machine is None else budget_of(machine),
    )


def _variants(spec: StudySpec, folder: Path) -> tuple[Variant, ...]:
    shapes = parse_shapes(spec.model.shape)
    return tuple(
        Variant(
            name=name,
            source=ModelSource(path=located(folder / variant_file(name, one.path)), shapes=shapes),
        )
        for name, one in spec.variants.items()
    )


def _guard_of(spec: StudySpec, folder: Path, *, trust: bool) -> Guard | None:
    """That of a study.

    Raises:
        StudyMismatchError: its metric is code of another's study.
    """
    found = guard_of(spec, folder)
    for code in (None, None) if found is None else (found.asked.inputs, found.metric.code):
        if code is not None:
            refuse_code(code, absolute(folder), trusted=trust)
    return found


def contender_of_words(text: str, model: RacedModel, device: str = "CPU") -> NamedContender:
    """A hint by its name, or options such as ``streams=2,threads_per_stream=1,batch=8``.

    Raises:
        UsageError: neither of the two.
    """
    if text.upper() in PerformanceHint.__members__:
        configuration = Configuration(device=device, hint=PerformanceHint(text.upper()))
        return NamedContender(contender=_plain(str(configuration), configuration), model=model)
    configuration = parse_configuration(text, device)
    return NamedContender(contender=_plain(text, configuration), model=model)


def parse_configuration(text: str, device: str = "CPU") -> Configuration:
    """A configuration in ``key=value`` pairs between commas.

    Raises:
        UsageError: an unknown key, or a value of another kind.
    """
    try:
        return configuration_in(text, device)
    except KeyError as error:
        raise UsageError(
            f"{text!r}: {error.args[0]!r} is no setting; give a best.json, STUDY:TRIAL, "
            f"LATENCY, THROUGHPUT, or key=value pairs with the keys {keys()}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from None


def _plain(name: str, configuration: Configuration) -> Contender:
    return Contender(name=name, configuration=configuration)
