"""Spaces for tests."""

from typing import Any

from autotune.space.dimensions import Api
from autotune.space.space import SearchSpace


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
