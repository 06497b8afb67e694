"""Spaces for tests."""

from typing import Any

from autotune.space.dimensions import DIMENSIONS, Api
from autotune.space.space import Point, SearchSpace


def make_space(cpus: int = 4, **choices: tuple[Any, ...]) -> SearchSpace:
    """A small CPU space; named dimensions get other choices."""
    known: dict[str, tuple[Any, ...]] = {
        "device": ("CPU",),
        "threads_per_stream": (1, 2, 4),
        "streams": (1, 2, 4),
        "requests_per_stream": (1, 2),
        "batch": (1, 2),
        "pinning": (True,),
        "precision": ("f32",),
        "api": (Api.ASYNC,),
    }
    return SearchSpace({**known, **choices}, cpus)


def at(*indices: int) -> Point:
    """The point with these first indices, and the first choice of all other dimensions."""
    return (*indices, *[0] * (len(DIMENSIONS) - len(indices)))
