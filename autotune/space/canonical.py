"""The one canonical form of every combination: a short list of repairs, in this order."""

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.space import dimensions
from autotune.space.dimensions import Api

Choices = Mapping[str, tuple[Any, ...]]


def repaired(choices: Choices, cpus: int, index: dict[str, int]) -> dict[str, int]:
    """Indices that stand for all combinations with the same meaning.

    A blocking request uses one stream; dimensions that the device does not have stand at their
    first choice; threads beyond the CPUs are taken from the streams (from the threads where even
    one stream has too many).
    """
    found = dict(index)
    if choices["api"][found["api"]] is Api.SYNC:
        found["streams"] = found["requests_per_stream"] = 0
    lacking = dimensions.lacking(choices["device"][found["device"]])
    for name in lacking:
        found[name] = 0
    if "threads_per_stream" not in lacking:
        found["threads_per_stream"], found["streams"] = _nearest_legal(
            choices, cpus, found["threads_per_stream"], found["streams"]
        )
    return found


def legal_pairs(choices: Choices, cpus: int) -> list[tuple[int, int]]:
    """Indices of threads and streams that fit the CPUs together, in lexical order."""
    return [
        (i, j)
        for i, threads in enumerate(choices["threads_per_stream"])
        for j, streams in enumerate(choices["streams"])
        if threads * streams <= cpus
    ]


def _nearest_legal(choices: Choices, cpus: int, threads: int, streams: int) -> tuple[int, int]:
    most = cpus // choices["threads_per_stream"][threads]
    fitting = _fitting(choices["streams"], most)
    if fitting:
        return threads, min(fitting, key=lambda j: abs(j - streams))
    return min(
        legal_pairs(choices, cpus),
        key=lambda pair: (abs(pair[0] - threads), abs(pair[1] - streams)),
    )


def _fitting(counts: Sequence[int], most: int) -> list[int]:
    return [j for j, count in enumerate(counts) if count <= most]
