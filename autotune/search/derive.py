"""The space of a study, derived from the machine, the model and the study's overrides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from autotune.errors import SpecError
from autotune.space.configuration import Configuration, PerformanceHint
from autotune.space.space import SearchSpace, is_cpu
from autotune.spec import SpaceSpec

_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_REQUESTS_PER_STREAM = (1, 2, 3, 4)
_FEW = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)


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
    choices: dict[str, tuple[Any, ...]] = {
        "device": spec.device,
        "threads_per_stream": spec.threads_per_stream or _up_to(cpus),
        "streams": spec.streams or _up_to(most_streams),
        "requests_per_stream": spec.requests_per_stream or _REQUESTS_PER_STREAM,
        "batch": spec.batch or (_BATCHES if why_no_batch is unproven_batch is None else (1,)),
        "pinning": spec.pinning or (True, False),
        "precision": spec.precision or tuple(precisions),
        "api": spec.api,
    }
    ordered = ("threads_per_stream", "streams", "requests_per_stream", "batch")
    choices = {name: tuple(sorted(v)) if name in ordered else v for name, v in choices.items()}
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


def _up_to(most: int) -> tuple[int, ...]:
    return tuple(sorted({n for n in _FEW if n < most} | {most}))
