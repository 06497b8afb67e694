"""How a configuration reads."""

from typing import TYPE_CHECKING

from autotune.space import dimensions
from autotune.space.devices import is_meta
from autotune.space.dimension import Dimension
from autotune.space.dimensions import PerformanceHint

if TYPE_CHECKING:
    from autotune.space.configuration import Configuration

_IN_EVERY_NAME = {
    "device",
    "hint",
    "streams",
    "threads_per_stream",
    "requests_per_stream",
    "batch",
}
"""What the name of a configuration says in any case."""


def several(count: int, what: str, more: str | None = None) -> str:
    """`1 launch`, `2 launches`."""
    return f"{count} {what if count == 1 else more or what + 's'}"


def in_words(configuration: "Configuration") -> str:
    """What tells a configuration from any other."""
    device = configuration.device
    if configuration.is_hint:
        return ", ".join([f"{device} {configuration.hint} hint", *extras(configuration)])
    parts = [f"{device} {layout(configuration)}"]
    requests = configuration.num_requests
    if configuration.is_blocking:
        parts.append("sync")
    else:
        parts.append("optimal requests" if requests is None else several(requests, "request"))
    parts.append(f"batch {configuration.batch_size}")
    return ", ".join([*parts, *extras(configuration)])


def layout(configuration: "Configuration") -> str:
    """Streams and threads in words, or the hint that decides them."""
    if configuration.streams is None:
        return f"{configuration.hint} hint"
    streams = several(configuration.streams, "stream")
    threads = configuration.threads_per_stream
    return streams if threads is None else f"{streams} x {several(threads, 'thread')}"


def extras(configuration: "Configuration", but: Dimension | None = None) -> list[str]:
    """Every other setting in words, what bears on answers first; nothing of defaults."""
    mine = [one for one in dimensions.TABLE if one.name not in _IN_EVERY_NAME and one is not but]
    said = [
        one.word(one.of(configuration))
        for one in sorted(mine, key=lambda one: not one.answers)
        if one.of(configuration) != one.default
    ]
    return [text for text in (*_hint(configuration), *said) if text]


def _hint(configuration: "Configuration") -> list[str]:
    """Of devices that stand for others, where it is another one than usual and decides."""
    is_usual = configuration.hint is PerformanceHint.THROUGHPUT or configuration.is_blocking
    if is_usual or configuration.streams is None or not is_meta(configuration.device):
        return []
    return [f"{configuration.hint} hint"]
