"""The variants of a study: which files they are, and which of them may be tried."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autotune.domain.accuracy import Accuracy, GuardVerdict
from autotune.domain.failure import TrialFault
from autotune.domain.inspection import Inspection, ModelPort, home_of
from autotune.domain.model_file import fault_of, located
from autotune.domain.paths import absolute
from autotune.errors import ModelError
from autotune.machines.building import Made, VariantMaker, placed
from autotune.machines.ports import Runner
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import ARITHMETIC
from autotune.space.rows.variant import GIVEN, VARIANT
from autotune.spec import STUDY_FILE, StudySpec
from autotune.spec.variants import MADE_IN, variant_file
from autotune.storage.state import state_folder
from autotune.workload.workload import ModelSource, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFacts:
    """What a look at all variants found."""

    usable: Mapping[str, Inspection] = field(default_factory=dict)
    """Those that may be tried, by name."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why others are not, by name."""
    accuracy: Mapping[str, Mapping[str, Accuracy]] = field(default_factory=dict)
    """By name and precision, what the guard found; nothing without one."""
    made: Mapping[str, Made] = field(default_factory=dict)
    """Those that were made here, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What became of the variants that a study wants made."""

    made: Mapping[str, Made] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why some could not be made, by name."""


def variants_of(spec: StudySpec, folder: Path, given: ModelSource) -> list[Variant]:
    """The files that a study names beside the model as it was given, and those that it has made.

    Raises:
        ModelError: one that is named is missing.
    """
    found = []
    for name, one in spec.variants.items():
        path = absolute(folder / variant_file(name, one.path))
        if one.path is not None:
            path = located(path)
            fault = fault_of(path)
            if fault is not None:
                raise ModelError(f"{folder / STUDY_FILE}: [variants] {name}: {fault}")
        source = ModelSource(
            path=path, shapes=given.shapes, inputs=given.inputs, workload=given.workload
        )
        found.append(Variant(name=name, source=source))
    return found


def make_variants(
    spec: StudySpec, folder: Path, maker: VariantMaker, tell: Callable[[str], None]
) -> Making:
    """Make what a study wants made, where it is not there yet.

    Args:
        spec: the study.
        folder: of the study, which gets the files.
        maker: makes them, or finds them where they are kept.
        tell: hears of every step, in a few words.

    Raises:
        StorageError: they cannot be kept.
    """
    found, failed = {}, {}
    for name, one in spec.variants.items():
        if one.recipe is None:
            continue
        try:
            made = maker.made(name, one.recipe, lambda what, name=name: tell(f"{name}: {what}"))  # type: ignore[misc]
        except ModelError as error:
            failed[name] = str(error)
            continue
        if made.is_all_given_back:
            failed[name] = (
                f"all {len(made.given_back)} operations were given back: whichever is quantised, "
                "its answers are too far off"
            )
            continue
        placed(made, folder / MADE_IN, name)
        found[name] = made
    return Making(made=found, failed=failed)


def refuse_unmakeable(spec: StudySpec, folder: Path) -> None:
    """Refuse what nothing here can make, before anything is spent on it.

    Raises:
        ModelError: NNCF is not installed.
    """
    for name, one in spec.variants.items():
        if one.recipe is not None and one.recipe.needs_nncf and find_spec("nncf") is None:
            raise ModelError(
                f"{folder / STUDY_FILE}: [variants] {name}: is made by NNCF, which is not "
                'installed: pip install "openvino-autotune[int8]"'
            )


def cache_folder(folder: Path) -> Path:
    """Where variants are kept for all studies of this user; a study's own folder without a home."""
    state = state_folder()
    return folder / MADE_IN / ".kept" if state is None else state / MADE_IN


def looked_at(
    runner: Runner,
    spec: StudySpec,
    given: Inspection,
    precisions: Sequence[str],
    making: Making | None = None,
) -> VariantFacts:
    """Look at each variant: contract first, then its answers in every precision that is tried.

    A variant whose answers are too far off in all of them costs no trial; one that is so in some of
    them is refused where it is tried in these.

    Args:
        runner: knows the files.
        spec: the study.
        given: what is known of the model as it was given.
        precisions: that are tried.
        making: what became of those that were to be made.

    Raises:
        ModelError: samples, labels or metric of the guard cannot be used.
    """
    making = making or Making()
    usable: dict[str, Inspection] = {}
    refused = dict(making.failed)
    accuracy: dict[str, dict[str, Accuracy]] = {}
    _guarded(runner, GIVEN, given, precisions[:1])  # which shows what is wrong with the guard
    for name in spec.variants:
        if name in refused:
            continue
        try:
            facts = runner.inspect(spec.space.device, try_batch=True, variant=name)
        except ModelError as error:
            refused[name] = str(error)
            continue
        why = broken_contract(given, facts)
        if why is None:
            accuracy[name], why = _guarded(runner, name, given, precisions)
        if why is None:
            usable[name] = facts
        else:
            refused[name] = why
    return VariantFacts(usable=usable, refused=refused, accuracy=accuracy, made=making.made)


def broken_contract(given: Inspection, other: Inspection) -> str | None:
    """Why a file is no variant of a model: other inputs or outputs; None where it is one."""
    for what, wanted, found in (
        ("inputs", given.inputs, other.inputs),
        ("outputs", given.outputs, other.outputs),
    ):
        if wanted is None or found is None:
            continue
        fault = _ports_differ(what, wanted, found)
        if fault is not None:
            return fault
    return None


def _ports_differ(what: str, wanted: Sequence[ModelPort], found: Sequence[ModelPort]) -> str | None:
    names = [[port.name for port in ports] for ports in (wanted, found)]
    if sorted(names[0]) != sorted(names[1]):
        return f"it has the {what} {', '.join(names[1])}, and the model {', '.join(names[0])}"
    if what == "outputs" and names[0] != names[1]:
        return f"its {what} come in another order: {', '.join(names[1])}"
    by_name = {port.name: port for port in found}
    for port in wanted:
        mine = by_name[port.name]
        if mine.type != port.type:
            return f"{what[:-1]} {port.name!r} is {mine.type}, and {port.type} of the model"
        if not _may_be_one(mine.shape, port.shape):
            return f"{what[:-1]} {port.name!r} is {mine.shape}, and {port.shape} of the model"
    return None


def _may_be_one(one: str, other: str) -> bool:
    """Whether two shapes in the runtime's words may be of the same tensor."""
    sizes = [text.strip("[]{} ").split(",") for text in (one, other)]
    if "..." in one or "..." in other:
        return True
    if len(sizes[0]) != len(sizes[1]):
        return False
    pairs = zip(*sizes, strict=True)
    return all(a.strip() == b.strip() or not (a.isdigit() and b.isdigit()) for a, b in pairs)


def _guarded(
    runner: Runner, name: str, given: Inspection, precisions: Sequence[str]
) -> tuple[dict[str, Accuracy], str | None]:
    """What the guard finds in each precision, and why none may be tried; None where one may."""
    device, whys = home_of(given.devices), []
    found: dict[str, Accuracy] = {}
    is_open = False
    for arithmetic in precisions or ("",):
        try:
            one = runner.accuracy(_key(device, arithmetic or None, name))
        except TrialFault as fault:
            whys.append(f"it cannot be run: {fault.failure.message}")
            continue
        if one is not None:
            found[arithmetic] = one
        if one is None or one.verdict is not GuardVerdict.MISSED:
            is_open = True
        else:
            whys.append(f"its answers are too far off: {one.lost}")
    return found, None if is_open else whys[0]


def _key(device: str, arithmetic: str | None, name: str) -> CompileKey:
    """Of any configuration with these answers."""
    decisive: dict[str, Any] = {VARIANT.column: name, ARITHMETIC.column: arithmetic}
    layout: dict[str, Any] = {} if arithmetic is None else {"streams": 1, "threads_per_stream": 1}
    return Configuration(device=device, **layout, **decisive).compile_key
