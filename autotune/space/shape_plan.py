"""How a mix of shapes is served: in their own shapes, within bounds, padded to one or to several.

A plan is written as one text, which says all of it: ``dynamic``, ``bounded``, ``padded``, or
``buckets:80|320|640`` with the sizes that each bucket has along the dimensions that vary.
``buckets:3`` asks for three, whose sizes are still to be chosen.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

Sizes = tuple[int, ...]
"""Of one shape, along the dimensions that vary."""
_MOST_BUCKETS = 64
_WRITTEN = r"(?!\d+$)[1-9]\d{0,8}(x[1-9]\d{0,8})*(\|[1-9]\d{0,8}(x[1-9]\d{0,8})*)*"


class Serving(StrEnum):
    """What a shape plan makes of one model."""

    DYNAMIC = "dynamic"  # one model whose varying dimensions are open
    BOUNDED = "bounded"  # the same with their least and largest size
    PADDED = "padded"  # one static model of the largest shape
    BUCKETS = "buckets"  # several static models, each item padded to the smallest that it fits


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """How a mix of shapes is served."""

    serving: Serving
    buckets: tuple[Sizes, ...] = ()
    """Distinct, in the order in which an item looks for one that it fits: cheapest first. Empty
    where they are still to be chosen, and without buckets."""
    count: int = 0
    """Of buckets; 0 without."""

    @property
    def pads(self) -> bool:
        """Whether an item may be made larger than it is."""
        return self.serving in {Serving.PADDED, Serving.BUCKETS}

    @property
    def is_static(self) -> bool:
        """Whether every model has static shapes: only then several items make a batch."""
        return self.pads

    def __str__(self) -> str:
        if self.serving is not Serving.BUCKETS:
            return str(self.serving)
        if not self.buckets:
            return f"{self.serving}:{self.count}"
        return f"{self.serving}:" + "|".join("x".join(map(str, sizes)) for sizes in self.buckets)

    @property
    def in_words(self) -> str:
        """Such as "3 buckets"; as it is written without buckets."""
        if self.serving is not Serving.BUCKETS:
            return str(self.serving)
        return f"{self.count} bucket{'' if self.count == 1 else 's'}"


def parse_plan(text: str) -> ShapePlan:
    """The plan that a text says.

    >>> parse_plan("buckets:80|320").buckets
    ((80,), (320,))
    >>> str(parse_plan("buckets:3"))
    'buckets:3'

    Raises:
        ValueError: it says none.
    """
    name, _, rest = text.partition(":")
    plain = {str(one): one for one in Serving if one is not Serving.BUCKETS}
    if name in plain and not rest:
        return ShapePlan(plain[name])
    if name == Serving.BUCKETS and re.fullmatch("[1-9][0-9]?", rest) and int(rest) <= _MOST_BUCKETS:
        return ShapePlan(Serving.BUCKETS, (), int(rest))
    buckets = _buckets(rest) if name == Serving.BUCKETS else ()
    if not buckets:
        message = (
            f"{text!r:.80} is no shape plan; there are dynamic, bounded, padded, and buckets:N "
            f"with N from 1 to {_MOST_BUCKETS}"
        )
        raise ValueError(message)
    return ShapePlan(Serving.BUCKETS, buckets, len(buckets))


def _buckets(text: str) -> tuple[Sizes, ...]:
    """Sizes of distinct buckets; none where these are no such sizes."""
    if not re.fullmatch(_WRITTEN, text):
        return ()
    found = tuple(tuple(map(int, one.split("x"))) for one in text.split("|"))
    is_fit = len(set(map(len, found))) == 1 and len(set(found)) == len(found)
    return found if is_fit and len(found) <= _MOST_BUCKETS else ()
