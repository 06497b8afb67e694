"""What shapes are likely to be meant where a model leaves dimensions open."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.domain.inspection import ModelPort

_SIDE, _LENGTH, _FRAMES, _WAVE, _WINDOW = 224, 128, 16, 16_000, 512
_CHANNELS = {1, 3, 4}
_PAST = re.compile(r"past|cache|(^|[._])(key|value)s?([._]|$)", re.IGNORECASE)
_SOUND = re.compile(r"audio|wav|speech|signal|pcm", re.IGNORECASE)
_RATE = re.compile(r"sr|sample_?rate|sampling_?rate", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Size:
    """One dimension: between these, both included; no upper end where `high` is None."""

    low: int
    high: int | None

    @property
    def is_open(self) -> bool:
        return self.low != self.high

    @property
    def words(self) -> str:
        """What it may be, of one that is open."""
        if self.high is None:
            return f"at least {self.low}" if self.low > 0 else "any"
        return f"{self.low} to {self.high}"

    def nearest(self, wanted: int) -> int:
        return max(self.low, wanted if self.high is None else min(wanted, self.high))


def example(inputs: Sequence[ModelPort]) -> str | None:
    """A value for --shape, with the inputs that need one; None where none does.

    A batch is 1, an image has sides of 224, a text is 128 long, and what came before it is empty.
    """
    has_rate = any(_RATE.fullmatch(port.name) for port in inputs)
    parts = []
    for port in inputs:
        sizes = _sizes(port)
        if any(size.is_open for size in sizes):
            likely = _likely(port, sizes, has_rate=has_rate)
            chosen = [size.nearest(one) for size, one in zip(sizes, likely, strict=True)]
            parts.append(f"{port.name}:{','.join(map(str, chosen))}")
    return ";".join(parts) or None


def likely_layout(port: ModelPort) -> str | None:
    """What a picture looks like by its channels: a guess, and said to be one; None for no idea."""
    sizes = _sizes(port)
    if port.shape == "[...]" or len(sizes) not in {4, 5}:
        return None
    fixed = [None if size.is_open else size.low for size in sizes]
    first, last = fixed[1] in _CHANNELS, fixed[-1] in _CHANNELS
    if first == last:
        return None
    depth = "D" if len(sizes) == 5 else ""
    return f"NC{depth}HW" if first else f"N{depth}HWC"


def open_dimensions(port: ModelPort) -> list[str]:
    """Each dimension of an input that is to be given, and what it may be."""
    if port.shape == "[...]":
        return ["any rank"]
    return [f"{place} {size.words}" for place, size in enumerate(_sizes(port)) if size.is_open]


def _sizes(port: ModelPort) -> list[_Size]:
    inner = port.shape.strip("[]")
    if inner == "...":  # any rank
        return [_Size(0, None)] * (2 if _is_whole(port) else 4)
    return [_size(text) for text in inner.split(",") if text]


def _size(text: str) -> _Size:
    if text == "?":
        return _Size(0, None)
    low, dots, high = text.partition("..")
    return _Size(int(low or 0), int(high) if high else (None if dots else int(low)))


def _is_whole(port: ModelPort) -> bool:
    """Ids, masks and lengths; eight bits may be a picture."""
    return port.type in {"boolean", "i16", "i32", "i64", "u16", "u32", "u64"}


def _likely(port: ModelPort, sizes: Sequence[_Size], *, has_rate: bool) -> list[int]:
    """A size for each dimension, as if all were open."""
    rank = len(sizes)
    fixed = [None if size.is_open else size.low for size in sizes]
    batch = _batch(fixed)
    if rank >= 3 and _PAST.search(port.name) and not _is_whole(port):
        likely = [0] * rank
    elif _is_whole(port):
        likely = [_LENGTH] * rank
    elif rank in {4, 5}:
        likely = _picture(fixed)
    elif _is_lone_picture(port, fixed):
        likely, batch = [_SIDE] * 3, None
    elif rank == 2 and (has_rate or _SOUND.search(port.name)):
        likely = [_WINDOW if has_rate else _WAVE] * rank
    else:
        likely = [_LENGTH] * rank
    if batch is not None:
        likely[batch] = 1
    return likely


def _batch(fixed: Sequence[int | None]) -> int | None:
    """Where the batch is: first, or after a fixed number of layers; None where it is fixed."""
    if fixed[0] is None:
        return 0
    return None if fixed[0] == 1 else fixed.index(None)


def _is_lone_picture(port: ModelPort, fixed: Sequence[int | None]) -> bool:
    """One without a batch: channels first, or last where its numbers are those of pixels."""
    if len(fixed) != 3:
        return False
    first, middle, last = fixed
    if middle is not None:
        return False
    return (first in {3, 4} and last is None) or (
        first is None and last in _CHANNELS and port.type == "u8"
    )


def _picture(fixed: Sequence[int | None]) -> list[int]:
    """N, channels first or last, frames where there is one dimension more."""
    rank = len(fixed)
    is_last = fixed[-1] in _CHANNELS and fixed[1] not in _CHANNELS
    likely = [1] + [_SIDE] * (rank - 1)
    likely[-1 if is_last else 1] = 3
    if rank == 5:
        likely[1 if is_last else 2] = _FRAMES
    return likely
