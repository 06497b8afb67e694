"""Random data, the last resort: in ranges that were said or guessed, the same in every process."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered
from autotune.workload.guesses import InputKind, guessed
from autotune.workload.inputs import Range
from autotune.workload.ports import PortFacts, names_of
from autotune.workload.words import shown

_Array = np.ndarray[Any, Any]
_SEED = 20260101
_SAMPLES = 4
_WORDS = np.array(["a", "b", "lorem ipsum", "3.14"])


def parse_ranges(text: str) -> dict[str, Range]:
    """Ranges by input in ``ids=0:30000;mask=1``; a lone input needs no name.

    Raises:
        SourceError: it has another form.
    """
    found: dict[str, Range] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, _, numbers = part.rpartition("=")
        low, colon, high = numbers.partition(":")
        name = name.strip()
        if name in found:
            raise SourceError(f"ranges: {shown(text)!r} gives {shown(name)!r} two ranges")
        try:
            one = Range(_number(low), _number(high if colon else low))
        except (ValueError, OverflowError):
            raise SourceError(
                f"ranges: {shown(part.strip())!r} is no range; write name=low:high, or name=value, "
                "with ';' between inputs"
            ) from None
        check_range(one, name)
        found[name] = one
    return found


def check_range(one: Range, name: str, port: PortFacts | None = None) -> None:
    """Refuse a range that has no values, or that an input's type cannot hold.

    Args:
        one: low and high.
        name: the input's, for the message.
        port: the input, where it is known.

    Raises:
        SourceError: it does.
    """
    said = (
        f"range of {shown(name)!r}: {one.low!r} to {one.high!r}"
        if name
        else (f"range: {one.low!r} to {one.high!r}")
    )
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        raise SourceError(f"{said} is not finite; give two numbers")
    if one.low > one.high:
        raise SourceError(f"{said} is empty; give the lower number first")
    if port is None:
        return
    if port.is_text:
        raise SourceError(f"{said}, but the model takes text there; give inputs of your own")
    is_whole = port.dtype.kind in "biu"
    if is_whole and not (float(one.low).is_integer() and float(one.high).is_integer()):
        raise SourceError(f"{said}, but the model takes whole numbers ({port.dtype}) there")
    low, high = _limits(port)
    if one.low < low or one.high > high:
        raise SourceError(f"{said}, but {port.dtype} there goes from {low:g} to {high:g}")


def values_in(
    generator: np.random.Generator, one: Range, port: PortFacts, shape: Sequence[int]
) -> _Array:
    """Random values of an input; of whole numbers both ends are possible.

    Raises:
        SourceError: its type cannot hold them.
    """
    check_range(one, port.name, port)
    dtype = port.dtype
    if dtype.kind == "f":
        share = generator.random(shape, dtype=np.float32).astype(np.float64)
        # Not low + share · (high − low), which overflows for the widest ranges.
        spread = one.low * (1 - share) + one.high * share
        within: _Array = np.clip(spread.astype(dtype), dtype.type(one.low), dtype.type(one.high))
        return within
    whole = np.uint64 if dtype.kind == "u" else np.int64
    drawn = generator.integers(int(one.low), int(one.high), shape, whole, endpoint=True)
    return np.asarray(drawn).astype(dtype)


def made_samples(
    ports: Sequence[PortFacts],
    shapes: Mapping[str, Sequence[int]],
    ranges: Mapping[str, Range],
    count: int = _SAMPLES,
) -> Gathered:
    """Samples of random data, with a note for each input whose kind had to be guessed.

    Args:
        ports: the model's inputs.
        shapes: static shape of each.
        ranges: those that were said; the empty name stands for the only input.
        count: how many samples.

    Raises:
        SourceError: a range is none of an input's, or its type cannot hold it.
    """
    if set(ranges) == {""} and len(ports) == 1:
        ranges = {ports[0].name: ranges[""]}
    unknown = sorted(set(ranges) - {port.name for port in ports})
    if unknown:
        named = f"no input is named {shown(unknown[0])!r}" if unknown[0] else "name each input"
        raise SourceError(f"ranges: {named}; the model takes {names_of(ports)}")
    generator = np.random.default_rng([_SEED])
    notes: list[str] = []
    fed: dict[str, tuple[Range, InputKind | None]] = {}
    for port in ports:
        if port.name in ranges:
            fed[port.name] = ranges[port.name], None
            continue
        found, kind, warning = guessed(port.name, port.dtype, port.shape)
        fed[port.name] = found, kind
        notes.append(warning)
    samples = [
        {p.name: _made(generator, *fed[p.name], p, shapes[p.name]) for p in ports}
        for _ in range(count)
    ]
    names = [f"random {number}" for number in range(1, count + 1)]
    return Gathered(samples=samples, names=names, notes=notes)


def _made(
    generator: np.random.Generator,
    one: Range,
    kind: InputKind | None,
    port: PortFacts,
    shape: Sequence[int],
) -> _Array:
    if kind is InputKind.TEXT:
        return generator.choice(_WORDS, shape)
    if kind is InputKind.POSITIONS:
        most = int(min(_limits(port)[1], 2**31))
        along = np.arange(shape[-1] if len(shape) else 1) % (most + 1)
        return np.array(np.broadcast_to(along if len(shape) else 0, shape), port.dtype)
    if kind is not None:  # a guess must never be what the type cannot hold, such as u4
        low, high = _limits(port)
        one = Range(min(max(one.low, low), high), max(min(one.high, high), low))
    return values_in(generator, one, port, shape)


def _limits(port: PortFacts) -> tuple[float, float]:
    if port.limits is not None:
        return port.limits
    if port.dtype.kind == "b":
        return 0, 1
    if port.dtype.kind == "f":
        largest = float(np.finfo(port.dtype).max)
        return -largest, largest
    return int(np.iinfo(port.dtype).min), int(np.iinfo(port.dtype).max)


def _number(text: str) -> float:
    text = text.strip()
    if not re.fullmatch(r"[+-]?\d+", text):
        return float(text)
    whole = int(text)
    float(whole)  # refused where no float is as large
    return whole
