"""A configuration in ``key=value`` words, as the command line takes it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from autotune.space import dimensions
from autotune.space.configuration import Configuration
from autotune.space.devices import Through, kind_of, members_of
from autotune.space.dimension import Dimension
from autotune.space.named import NAMED, choice_of, is_like_a_row, why_refused

_MOST = 65536


def keys() -> str:
    """Every key that is understood, in words."""
    plain = [one.aliases[0] if one.aliases else one.name for one in dimensions.TABLE]
    return f"{', '.join(plain)}; or OpenVINO's {', '.join(dimensions.PROPERTIES)}"


def configuration_in(text: str, device: str = "CPU") -> Configuration:
    """The configuration in ``key=value`` pairs between commas.

    Raises:
        KeyError: what stands between two commas, and is no such pair.
        ValueError: a value of another kind.
    """
    values, named = {"device": device}, {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        name = _NAMES.get(key.strip(), _NAMES.get(key.strip().lower()))
        if equals and name is None and _may_be_named(key.strip()):
            named[key.strip()] = value.strip()
            continue
        if not equals or name is None:
            raise KeyError(part.strip())
        values[name] = value.strip()
    found = {name: _READERS[name](value) for name, value in values.items()}
    threads, streams = found.pop(_THREADS, None), found.get("streams")
    if threads is not None:
        if streams is None or threads % streams:
            message = (
                f"{threads} threads need streams that divide them; threads_per_stream counts those "
                "of each stream"
            )
            raise ValueError(message)
        found["threads_per_stream"] = threads // streams
    if found.get("threads_per_stream") and not streams:
        message = "threads_per_stream needs streams"
        raise ValueError(message)
    if named:
        found[NAMED.column] = choice_of(named)
    lone = Configuration(**found)
    handed = kind_of(lone.device).through is not Through.ITSELF and not lone.is_hint
    return replace(lone, on_members=True) if handed and members_of(lone.device) else lone


def _may_be_named(name: str) -> bool:
    """Whether it may be a property that no row has.

    Raises:
        ValueError: it is one that must not be set.
    """
    properties = dimensions.PROPERTIES
    if not name.isupper() or name in properties or is_like_a_row(name, properties):
        return False
    why = why_refused(name, properties)
    if why:
        message = f"{name} {why}"
        raise ValueError(message)
    return True


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _MOST:
        message = f"{text!r} is no whole number from 1 to {_MOST}"
        raise ValueError(message)
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in {"yes", "no", "true", "false"}:
        message = f"{text!r} is neither yes nor no"
        raise ValueError(message)
    return text.lower() in {"yes", "true"}


def _member(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    """Whatever its case."""
    is_upper = all(one.isupper() for one in kind)
    return lambda text: kind(text.upper() if is_upper else text.lower())


def _reader(one: Dimension) -> Callable[[str], Any]:
    if issubclass(one.type, StrEnum):
        return _member(one.type)
    plain: dict[type, Callable[[str], Any]] = {int: _whole, bool: _switch}
    return plain.get(one.type, str)


_THREADS = "threads"
"""Of all streams together, as the runtime counts them."""


def _names() -> Mapping[str, str]:
    """What each word stands for: a field of a configuration, or `_THREADS`."""
    found = {_THREADS: _THREADS}
    for one in dimensions.TABLE:
        words = (one.column, *one.aliases, *([one.property] if one.property else []))
        # A count for each stream is none that a configuration has.
        found |= dict.fromkeys((*words, *(() if one.aliases else (one.name,))), one.column)
    found[dimensions.row("threads_per_stream").property or ""] = _THREADS
    return found


_NAMES = _names()
_READERS = {one.column: _reader(one) for one in dimensions.TABLE} | {_THREADS: _whole}
