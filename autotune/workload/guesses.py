"""What an input is likely to be, by its name and type, where nobody said what it is fed with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from autotune.workload.inputs import Range
from autotune.workload.words import shown


class InputKind(StrEnum):
    """What an input holds."""

    IDS = "token ids"
    MASK = "a mask"
    TYPES = "token types"
    POSITIONS = "positions"
    RATE = "a sample rate"
    LENGTHS = "lengths"
    LABELS = "labels"
    PIXELS = "pixels"
    FLAGS = "booleans"
    WHOLE = "whole numbers"
    REALS = "real numbers"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: InputKind
    range: Range
    names: str
    """A pattern that is looked for in the words of a name, joined by `_`."""
    types: str
    """Kinds of NumPy types that it can have."""


_RULES = (
    _Rule(InputKind.TYPES, Range(0, 0), r"(token_?types?|segments?)(_ids?)?$", "iuf"),
    _Rule(InputKind.POSITIONS, Range(0, 0), r"(^|_)pos(ition)?s?(_ids?)?$", "iu"),
    _Rule(InputKind.MASK, Range(1, 1), r"(^|_)masks?(_|$)|attention_?mask", "biuf"),
    _Rule(InputKind.RATE, Range(16_000, 16_000), r"^(sr|fs)$|sampl(e|ing)_?rate", "iuf"),
    _Rule(InputKind.LENGTHS, Range(1, 1), r"(^|_)(len|lens|lengths?)(_|$)", "iu"),
    _Rule(
        InputKind.LABELS, Range(0, 0), r"(^|_)(labels?|class(es)?|speakers?|langs?)(_ids?)?$", "iu"
    ),
    _Rule(InputKind.IDS, Range(0, 1), r"(^|_)(ids?|tokens?|words?)(_|$)", "iu"),
)
_OTHERS = {
    "b": (InputKind.FLAGS, Range(0, 1)),
    "i": (InputKind.WHOLE, Range(0, 1)),  # valid as ids, masks and pixels alike
    "u": (InputKind.WHOLE, Range(0, 1)),
    "f": (InputKind.REALS, Range(0, 1)),
    "U": (InputKind.TEXT, Range(0, 0)),
}


def guessed(
    name: str, dtype: np.dtype[Any], shape: Sequence[int | None] | None
) -> tuple[Range, InputKind, str]:
    """The range of an input that nobody gave one, what it is taken for, and a warning that says so.

    Args:
        name: the input's.
        dtype: in which its values are written.
        shape: the model's; None for a dimension that is open.
    """
    # Names come as input_ids, inputIds, input-ids and input.ids:0.
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r":\d+$", "", name))
    words = "_".join(re.findall(r"[a-z]+|\d+", split.lower()))
    for rule in _RULES:
        if dtype.kind in rule.types and re.search(rule.names, words):
            return rule.range, rule.kind, _warning(name, rule.kind, rule.range)
    kind, found = _OTHERS[dtype.kind]
    if dtype == np.uint8 and (shape is None or len(shape) >= 3):
        kind, found = InputKind.PIXELS, Range(0, 255)
    return found, kind, _warning(name, kind, found)


def _warning(name: str, kind: InputKind, found: Range) -> str:
    said = f"input {shown(name)!r} is taken for {kind}, and gets"
    match kind:
        case InputKind.TEXT:
            return f"{said} made-up words: give inputs of your own"
        case InputKind.POSITIONS:
            numbers = "0, 1, 2 and so on"
        case _ if found.low == found.high:
            numbers = f"{found.low:g} everywhere"
        case _:
            numbers = f"random numbers from {found.low:g} to {found.high:g}"
    return f"{said} {numbers}: give inputs of your own, or its range"
