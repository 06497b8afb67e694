"""The space of a study, derived from the machine, the model and the study's overrides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import home_of
from autotune.errors import SpecError
from autotune.search.offering import facts_of, most_streams, offer_of
from autotune.space.bounds import Bounds
from autotune.space.configuration import Configuration
from autotune.space.devices import is_meta
from autotune.space.dimension import Dimension, Kind
from autotune.space.dimensions import (
    API,
    BY_NAME,
    DIMENSIONS,
    PerformanceHint,
    is_cpu,
    lacking,
    lacking_through,
)
from autotune.space.offer import Offer, Ways
from autotune.space.rows.cpu import CORE_TYPE, HYPER_THREADING
from autotune.space.rows.gpu import AUTO_BATCHING
from autotune.space.rows.variant import VARIANT
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN
from autotune.space.space import SearchSpace, lone_request
from autotune.spec import SpaceSpec

Choices = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found out about a model, as far as choices follow from it."""

    precisions: Mapping[str, Sequence[str]]
    """By device, those that may be used without being asked for."""
    why_no_batch: str | None = None
    """Reason why the model cannot be batched correctly."""
    unproven_batch: str | None = None
    """Reason why a batch could not be shown to be right: it is then offered only if the study
    names it."""
    cap_ms: float | None = None
    """On the latency of a request."""
    ways: Ways = field(default_factory=Ways)
    """In which the workload may be served."""


def derive_space(
    spec: SpaceSpec, hardware: Hardware, known: Known, begun: SearchSpace | None = None
) -> SearchSpace:
    """The dimensions and their choices.

    Args:
        spec: what the study fixes, narrows or widens.
        hardware: of this machine.
        known: of the model.
        begun: of the study, if it was begun: what it says of devices of their own is kept; one of
            an older version gives all devices the same choices.

    Raises:
        SpecError: the overrides contradict the machine, the model or each other.
    """
    if spec.batch is not None and spec.batch != (1,) and known.why_no_batch is not None:
        raise SpecError(
            f"[space] batch: the model cannot be batched: {known.why_no_batch}; leave batch out"
        )
    offers = {
        device: offer_of(
            device,
            hardware,
            precisions=known.precisions,
            why_no_batch=known.why_no_batch or known.unproven_batch or "",
            cap_ms=known.cap_ms,
            ways=known.ways,
        )
        for device in spec.device
    }
    try:
        found = _of_each(spec, hardware, offers, begun, known.ways.alone)
        if begun is None or begun.own or found == begun:
            return found
        flat = SearchSpace(_flat(spec, hardware, known, offers), hardware.cpus)
    except ValueError as error:
        raise SpecError(f"[space]: {error}") from None
    return flat if flat == begun else found


def _of_each(
    spec: SpaceSpec,
    hardware: Hardware,
    offers: Mapping[str, Offer],
    begun: SearchSpace | None,
    alone: Mapping[str, Choices],
) -> SearchSpace:
    """A space in which every device has its own choices."""
    own: dict[str, dict[str, Choices]] = {device: {} for device in offers}
    choices: dict[str, Choices] = {"device": spec.device}
    for name in DIMENSIONS[1:]:
        one = BY_NAME[name]
        each = {device: _own(one, spec, offer) for device, offer in offers.items()}
        if begun is not None:
            each |= {
                device: begun.own[device][name]
                for device in each
                if name in begun.own.get(device, {}) and spec.choices(name) == begun.choices[name]
            }
        if begun is None and not any(each.values()):
            _refuse_unused(one, spec, offers)
        choices[name] = _union(one, each.values())
        for device, mine in each.items():
            # Where nobody has it, it stands at its default, and nothing need be said.
            if set(mine) != set(choices[name]) and choices[name] != (one.default,):
                own[device][name] = mine
    kept = {device: mine for device, mine in own.items() if mine or is_meta(device)}
    told = {device: _but_static(device, mine) for device, mine in kept.items()}
    told = {device: mine for device, mine in told.items() if mine or is_meta(device)}
    return SearchSpace(choices, hardware.cpus, told, _bounds(choices, offers, hardware, alone))


def _but_static(device: str, mine: Mapping[str, Choices]) -> dict[str, Choices]:
    """Without what no device of its kind ever has."""
    never = lacking_through(device) if is_meta(device) else lacking(device)
    return {name: found for name, found in mine.items() if name not in never}


def _own(one: Dimension, spec: SpaceSpec, offer: Offer) -> Choices:
    """The choices of one device; none where it has none.

    Raises:
        SpecError: the study names what no device of it has, of a dimension that came later.
    """
    named, device = spec.choices(one.name), offer.device
    is_later = not (one.first and one.was_choice)
    if is_later and named == (one.default,):
        return ()
    if named is None and one.key in spec.decided:
        return ()  # both at once would contradict each other
    never = lacking_through(device) if is_meta(device) else lacking(device)
    offered = one.on_device(offer)
    is_free = not offered.why_not or offered.may_be_named
    if named is not None and is_free and one.name not in never:
        return tuple(sorted(named)) if one.kind is Kind.ORDERED else named
    if named is not None and is_later and len(spec.device) == 1:
        why = offered.why_not or "not for this device"
        raise SpecError(f"[space] {one.name}: not here: {why}; leave {one.name} out")
    if offered.why_not or offered.is_expert or one.name in never:
        return ()
    return offered.choices


def _refuse_unused(one: Dimension, spec: SpaceSpec, offers: Mapping[str, Offer]) -> None:
    """Refuse what a study asks for of a dimension that its devices might have and none has here.

    A setting of other kinds of devices, such as threads of a GPU, is left alone as it always was.

    Raises:
        SpecError: with the reason of the first of them.
    """
    having = {device: offer for device, offer in offers.items() if one.is_of(device)}
    if spec.choices(one.name) in {None, (one.default,)} or not having:
        return
    device, offer = next(iter(having.items()))
    why = one.on_device(offer).why_not or "not for this device"
    raise SpecError(f"[space] {one.key}: not on {device}: {why}; leave {one.key} out")


def _union(one: Dimension, each: Iterable[Choices]) -> Choices:
    """The choices of all devices together, ascending where they have an order."""
    found = tuple(dict.fromkeys(value for mine in each for value in mine))
    if not found:
        is_count = one.kind is Kind.ORDERED and one.first
        return (1,) if is_count else (one.default,)
    return tuple(sorted(found)) if one.kind is Kind.ORDERED else found


def _bounds(
    choices: Mapping[str, Choices],
    offers: Mapping[str, Offer],
    hardware: Hardware,
    alone: Mapping[str, Choices],
) -> Bounds:
    """What else limits combinations, as far as there is a choice that it bears on."""

    def is_open(one: Dimension) -> bool:
        return choices[one.name] != (one.default,)

    by_core = is_open(CORE_TYPE)
    gathered = {
        device: offer.best_batch for device, offer in offers.items() if offer.best_batch is not None
    }
    return Bounds(
        cores=hardware.cores if by_core or is_open(HYPER_THREADING) else 0,
        core_types=hardware.core_types if by_core else {},
        gathered=gathered if is_open(AUTO_BATCHING) else {},
        alone={} if choices["batch"] == (1,) else dict(alone),
    )


def _flat(
    spec: SpaceSpec, hardware: Hardware, known: Known, offers: Mapping[str, Offer]
) -> dict[str, Choices]:
    """All devices with the same choices, as versions did before devices had choices of their own.

    The CPU stands for all, but that there are as many streams as any device can have.
    """
    first = next(iter(offers.values()))
    most = [
        hardware.cpus if is_cpu(device) else most_streams(facts_of(device, hardware.devices))
        for device in offers
    ]
    offer = Offer(
        cpus=hardware.cpus,
        most_streams=max(most),
        precisions=tuple(known.precisions.get(home_of(hardware.devices or offers), ())),
        may_batch=first.may_batch,
    )
    choices = {}
    for name in DIMENSIONS:
        one = BY_NAME[name]
        derived = one.on_device(offer)
        is_offered = not derived.why_not and not derived.is_expert
        found = spec.choices(name) or (derived.choices if is_offered else (one.default,))
        choices[name] = tuple(sorted(found)) if one.kind is Kind.ORDERED else found
    return choices


def trusted_precisions(
    native: Iterable[str], default: str, untrusted: Collection[str]
) -> tuple[str, ...]:
    """Precisions that may be used without being asked for.

    The native ones but for those whose answers were seen to differ from f32, or could not be seen
    not to. A tuner that gains speed by giving other answers has not tuned.
    """
    return tuple(name for name in native if name not in untrusted) or (default,)


def seeds(space: SearchSpace) -> list[Configuration]:
    """Both hints of each device, and a single request on each."""
    served = {
        one.column: space.choices[one.name][0] for one in (PREPROCESSING, SHAPE_PLAN)
    }  # of the study's own choices, even a baseline
    found = [
        Configuration(device=device, hint=hint, **served)
        for device in space.choices["device"]
        for hint in (PerformanceHint.LATENCY, PerformanceHint.THROUGHPUT)
    ]
    lone = [space.configuration(lone_request(space, device)) for device in space.choices["device"]]
    return [*found, *dict.fromkeys(lone)]


def openers(space: SearchSpace) -> list[Configuration]:
    """What every study measures first: the seeds, and a single request in each other way.

    That is one that does not overlap with its preparation, or is prepared elsewhere: by chance the
    first of these may come late.
    """
    found, first = seeds(space), lone_request(space, space.choices["device"][0])
    for one in (API, PREPROCESSING, VARIANT):
        at = DIMENSIONS.index(one.name)
        for other in range(1, len(space.choices[one.name])):
            found.append(space.configuration((*first[:at], other, *first[at + 1 :])))
    return list(dict.fromkeys(found))
