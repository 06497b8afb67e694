"""The choices of a study: what it names, and what follows from model, workload and machine."""

from typing import Any

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import Inspection, home_of, native_of
from autotune.domain.measurement import Feed
from autotune.errors import SpecError, StudyMismatchError
from autotune.search.derive import Known, derive_space, trusted_precisions
from autotune.search.serving import plans_of
from autotune.space.dimensions import API, TABLE, Api
from autotune.space.offer import Ways
from autotune.space.rows.variant import GIVEN, VARIANT
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN
from autotune.space.shape_plan import Serving
from autotune.space.space import SearchSpace
from autotune.spec import SpaceSpec, StudySpec
from autotune.tuning.variants import VariantFacts
from autotune.workload.preprocessing import Where

_KEPT = tuple(
    one.name
    for one in TABLE
    if one.tunable and one.spread is None and (one.answers or not (one.first and one.was_choice))
)
"""What may change answers, as whether it may be offered depends on what could be shown; and what
came later than some study, which goes on without it."""


def space_of(
    spec: StudySpec,
    facts: Inspection,
    hardware: Hardware,
    begun: SearchSpace | None = None,
    variants: VariantFacts | None = None,
) -> SearchSpace:
    """The space that follows from the spec, the model and the machine.

    Args:
        spec: the study.
        facts: what inspection found out.
        hardware: of the machine.
        begun: of the study, if it was begun: where the spec names none, it keeps its choices of
            what may change answers, such as batch and precision, whatever is known of them by
            now, and those of what came later.
        variants: what is known of other files of the model.

    Raises:
        SpecError: the spec's overrides contradict them.
        StudyMismatchError: the study was begun with a batch that gives wrong answers.
    """
    overrides, known_variants = _served(spec, facts, begun), variants or VariantFacts()
    _refuse_variants(overrides, known_variants)
    if begun is not None:
        kept = {n: begun.choices[n] for n in _KEPT if n not in overrides.model_fields_set}
        overrides = overrides.model_copy(update=kept)
        if "batch" in kept and kept["batch"] != (1,) and facts.why_no_batch is not None:
            raise StudyMismatchError(
                f"this study cannot go on: it was begun with batches up to {max(kept['batch'])}, "
                f"and what it measured with them were other answers: {facts.why_no_batch}; "
                "begin another study under a new --name"
            )
    known = Known(
        precisions=_trusted(facts),
        why_no_batch=facts.why_no_batch,
        unproven_batch=facts.unproven_batch,
        cap_ms=spec.goal.goal.cap_ms,
        ways=Ways(
            preparers=_preparers(facts),
            plans=_plans(facts, overrides),
            variants=(GIVEN, *known_variants.usable) if known_variants.usable else (),
            alone={**_alone(facts), **_alone_variants(facts, known_variants)},
        ),
    )
    return derive_space(overrides, hardware, known, begun)


def _served(spec: StudySpec, facts: Inspection, begun: SearchSpace | None) -> SpaceSpec:
    """The study's own choices, with what follows from its workload.

    Raises:
        SpecError: the workload does not allow what the study names.
    """
    own, said = spec.space, spec.space.model_fields_set
    plans, wheres = (own.choices(one.name) for one in (SHAPE_PLAN, PREPROCESSING))
    update: dict[str, Any] = {}
    if plans is not None and facts.workload is not None and facts.workload.shapes:
        known = () if begun is None else begun.choices[SHAPE_PLAN.name]
        update[SHAPE_PLAN.key] = plans_of(facts.workload, plans, known)
    why = None if facts.workload is None else facts.workload.why_no_graph
    if why is not None and wheres is not None and Where.GRAPH in wheres:
        raise SpecError(f"[space] {PREPROCESSING.key}: not in the graph: {why}")
    if spec.measure.feed is Feed.END_TO_END and API.key not in said:
        update[API.key] = (Api.ASYNC, Api.SYNC)  # with overlap, and without
    # One that was begun before anything was said of states goes on as it was.
    if facts.why_one_request is not None and (begun is None or spec.workload.is_said):
        for name in ("streams", "requests_per_stream", "batch"):
            if getattr(own, name) not in {None, (1,)}:
                raise SpecError(f"[space] {name}: only 1: {facts.why_one_request}")
            update[name] = (1,)
    return own.model_copy(update=update)


def _plans(facts: Inspection, overrides: SpaceSpec) -> tuple[str, ...]:
    """Ways to serve a mix: those that are settled, or all that may be used."""
    if facts.workload is None or not facts.workload.shapes:
        return ()
    named = overrides.choices(SHAPE_PLAN.name)
    return plans_of(facts.workload, None) if named is None else named


def _preparers(facts: Inspection) -> tuple[str, ...]:
    if facts.workload is None or not facts.workload.is_prepared:
        return ()
    return (Where.HOST,) if facts.workload.why_no_graph else (Where.HOST, Where.GRAPH)


def _alone(facts: Inspection) -> dict[str, tuple[str, ...]]:
    """Choices with which every request holds one item, as items have shapes of their own."""
    found: dict[str, tuple[str, ...]] = {}
    if facts.workload is not None and facts.workload.shapes:
        found[SHAPE_PLAN.name] = (Serving.DYNAMIC, Serving.BOUNDED)
    if facts.workload is not None and facts.workload.images_vary:
        found[PREPROCESSING.name] = (Where.GRAPH,)
    return found


def _alone_variants(facts: Inspection, variants: VariantFacts) -> dict[str, tuple[str, ...]]:
    """Variants whose batches could not be shown to be right, where those of the model were."""
    if facts.why_no_batch or facts.unproven_batch:
        return {}
    found = tuple(
        name for name, one in variants.usable.items() if one.why_no_batch or one.unproven_batch
    )
    return {VARIANT.name: found} if found else {}


def _refuse_variants(overrides: SpaceSpec, variants: VariantFacts) -> None:
    """Refuse a study that names what may not be tried.

    Raises:
        SpecError: with the reason.
    """
    for name in overrides.choices(VARIANT.name) or ():
        if name in variants.refused:
            raise SpecError(f"[space] {VARIANT.key}: {name} is not tried: {variants.refused[name]}")
        if name != GIVEN and name not in variants.usable:
            has = ", ".join([GIVEN, *variants.usable])
            raise SpecError(f"[space] {VARIANT.key}: {name!r:.60} is no variant; there are {has}")


def precisions_of(facts: Inspection) -> tuple[str, ...]:
    """Precisions of the home device that may be used without being asked for."""
    return _trusted(facts)[home_of(facts.devices)]


def _trusted(facts: Inspection) -> dict[str, tuple[str, ...]]:
    """By device, the precisions that may be used without being asked for."""
    found = {}
    for name, device in facts.devices.items():
        native = native_of(name, device.capabilities) or [facts.default_precision]
        doubted = facts.unproven_precisions.get(name, {})
        found[name] = trusted_precisions(native, native[0], doubted)
    at_home = trusted_precisions(facts.precision_errors, facts.default_precision, facts.untrusted)
    return {**found, home_of(facts.devices): at_home}
