"""Where among the choices of a dimension a value lies, or the one that is most like it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.space.configuration import Configuration
from autotune.space.dimension import Dimension


def used(one: Dimension, configuration: Configuration, chosen: Mapping[str, str]) -> Any:
    """A dimension's value in a configuration, else as the compiled model has it; None if unknown.

    Of one that has no default of its own, nothing was asked for then.
    """
    value = one.of(configuration)
    if value is not None or one.property is None or one.property not in chosen:
        return value
    text = chosen[one.property]
    if one.type is int:
        return int(text) if text.lstrip("-").isdigit() else None
    return one.parse(text)


def nearest(choices: Sequence[float | None], wanted: float | None) -> int:
    """Where the choice stands that is nearest by ratio; the first where one is left open."""
    known = [choice for choice in choices if choice is not None]
    if wanted is None or len(known) < len(choices):
        return same(choices, wanted)
    return min(range(len(choices)), key=lambda i: abs(math.log(known[i] / wanted)))


def same(choices: Sequence[Any], wanted: object) -> int:
    """Where the same choice stands; the first one where there is none."""
    return choices.index(wanted) if wanted in choices else 0
