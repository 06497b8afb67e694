"""The space of a study, derived from the machine, the model and the study's overrides."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from autotune.errors import SpecError
from autotune.space.configuration import Configuration
from autotune.space.dimension import Kind
from autotune.space.dimensions import BY_NAME, DIMENSIONS, PerformanceHint, is_cpu
from autotune.space.offer import Offer
from autotune.space.space import SearchSpace
from autotune.spec import SpaceSpec


def derive_space(
    spec: SpaceSpec,
    cpus: int,
    *,
    device_streams: Mapping[str, int],
    precisions: Sequence[str],
    why_no_batch: str | None,
    unproven_batch: str | None = None,
) -> SearchSpace:
    """The dimensions and their choices.

    Args:
        spec: what the study fixes, narrows or widens.
        cpus: min(affinity, cgroup quota).
        device_streams: the most streams of devices other than the CPU, as far as known.
        precisions: those that may be used without being asked for.
        why_no_batch: reason why the model cannot be batched correctly, or None.
        unproven_batch: reason why a batch could not be shown to be right, or None: it is then
            offered only if the study names it.

    Raises:
        SpecError: the overrides contradict the machine, the model or each other.
    """
    most_streams = max([cpus if is_cpu(d) else device_streams.get(d, 4) for d in spec.device])
    if spec.batch is not None and spec.batch != (1,) and why_no_batch is not None:
        raise SpecError(
            f"[space] batch: the model cannot be batched: {why_no_batch}; leave batch out"
        )
    offer = Offer(
        cpus=cpus,
        most_streams=most_streams,
        precisions=tuple(precisions),
        may_batch=why_no_batch is unproven_batch is None,
    )
    choices = {}
    for name in DIMENSIONS:
        one = BY_NAME[name]
        derived = one.on_device(offer)
        is_offered = not derived.why_not and not derived.is_expert
        found = spec.choices(name) or (derived.choices if is_offered else (one.default,))
        choices[name] = tuple(sorted(found)) if BY_NAME[name].kind is Kind.ORDERED else found
    try:
        return SearchSpace(choices, cpus)
    except ValueError as error:
        raise SpecError(f"[space]: {error}") from None


def trusted_precisions(
    native: Iterable[str], default: str, untrusted: Collection[str]
) -> tuple[str, ...]:
    """Precisions that may be used without being asked for.

    The native ones but for those whose answers were seen to differ from f32, or could not be seen
    not to. A tuner that gains speed by giving other answers has not tuned.
    """
    return tuple(name for name in native if name not in untrusted) or (default,)


def seeds(space: SearchSpace) -> list[Configuration]:
    """What every study measures first: both hints of each device, and a single request."""
    found = [
        Configuration(device=device, hint=hint)
        for device in space.choices["device"]
        for hint in (PerformanceHint.LATENCY, PerformanceHint.THROUGHPUT)
    ]
    lone = dict.fromkeys(space.choices, 0)
    threads = space.choices["threads_per_stream"]
    fitting = [i for i, n in enumerate(threads) if n <= space.cpus]
    lone["threads_per_stream"] = fitting[-1] if fitting else 0
    return [*found, space.configuration(tuple(lone.values()))]
