"""Samples that a function of the study's yields."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.ports import PortFacts, names_of
from autotune.workload.sources.code import (
    check_call,
    function_of,
    guarded,
    home_of,
    made_sample,
    surroundings,
)
from autotune.workload.sources.found import Found, note_unknown
from autotune.workload.words import shown

_END = object()


def samples(inputs: Inputs, ports: Sequence[PortFacts], notes: list[str]) -> Generator[Found]:
    """What the function yields, one by one: no more is asked of it than is used.

    Raises:
        SourceError: the function is missing, raises, or gives something else than samples.
    """
    unknown: set[str] = set()
    given = 0
    with surroundings(home_of(inputs)):
        function = function_of(inputs)
        assert inputs.function_file is not None  # noqa: S101 - for the type checker
        label = f"{shown(inputs.function_file.name)}:{inputs.function}"
        check_call(function, label)
        result = guarded(function, label, inputs)
        iterator = _iterator(result, label, ports, inputs)
        try:
            while (value := guarded(lambda: next(iterator, _END), label, inputs)) is not _END:
                given += 1
                what = f"sample {given} of {label}"
                yield f"sample {given}", made_sample(value, ports, what, inputs, unknown)
        finally:
            note_unknown(unknown, ports, notes)
            if given == inputs.most:
                notes += _used(given, result, label)
            _close(iterator, label, inputs)
    if not given:
        raise SourceError(f"{label} gives no samples: have it yield dictionaries of arrays")


def _iterator(result: Any, label: str, ports: Sequence[PortFacts], inputs: Inputs) -> Iterator[Any]:
    wanted = f"yield a dictionary for each sample, with an array for each of {names_of(ports)}"
    if result is None:
        raise SourceError(f"{label} returned nothing; {wanted}")
    if isinstance(result, Mapping | str | bytes) or not isinstance(result, Iterable):
        raise SourceError(f"{label} returned a {type(result).__name__}; {wanted}")
    return guarded(lambda: iter(result), label, inputs)


def _used(given: int, result: Any, label: str) -> list[str]:
    count = None
    with contextlib.suppress(Exception):  # most things that can be iterated have no length
        count = len(result)
    if count is None:
        return [f"the first {given:,} samples of {label} are used"]
    return [] if count == given else [f"{given:,} of {count:,} samples are used"]


def _close(iterator: Iterator[Any], label: str, inputs: Inputs) -> None:
    """End a generator, which then gives back what it holds; the samples are there in any case."""
    close = getattr(iterator, "close", None)
    if callable(close):
        with contextlib.suppress(SourceError):
            guarded(close, label, inputs)
