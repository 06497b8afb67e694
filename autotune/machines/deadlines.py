"""How long a worker may take for each step before it counts as hung, and who says so."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autotune.domain.model_file import model_files
from autotune.domain.units import format_duration, parse_duration
from autotune.errors import UsageError
from autotune.host.files import known
from autotune.spec import DeadlineSpec

VARIABLE = "AUTOTUNE_DEADLINE_"
"""Begins the variables that go before study.toml, and count where there is none."""
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Deadline:
    """The longest time for one step, in seconds on the monotonic clock."""

    key: str
    """In [deadline] of study.toml."""
    value_s: float

    def __str__(self) -> str:
        now, more = format_duration(self.value_s), format_duration(2 * self.value_s)
        return (
            f'[deadline] {self.key} is "{now}"; give it more in study.toml or with '
            f"{VARIABLE}{self.key.upper()}={more}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Longest time for each step of a worker, in seconds on the monotonic clock."""

    start_s: float = 60.0
    inspect_s: float = 600.0
    """For each step of a look at a model: one compilation, with what is inferred then."""
    open_s: float = 300.0
    """For one configuration: reading, compiling, the first inference, the check of its answers."""
    inputs_s: float = 120.0
    """For reading what to feed, with the study's own function."""
    build_s: float = 600.0
    """For each step of making a variant."""
    block_s: float = 30.0
    """Beyond a block's least duration and three rounds of requests."""

    @property
    def start(self) -> Deadline:
        """Of the process and the runtime's import."""
        return Deadline("start", self.start_s)

    @property
    def inspect(self) -> Deadline:
        """Of one step of a look at a model."""
        return Deadline("inspect", self.inspect_s)

    @property
    def compile(self) -> Deadline:
        """Of opening one configuration."""
        return Deadline("compile", self.open_s)

    @property
    def inputs(self) -> Deadline:
        """Of reading what to feed."""
        return Deadline("inputs", self.inputs_s)

    @property
    def build(self) -> Deadline:
        """Of one step of making a variant."""
        return Deadline("build", self.build_s)

    @property
    def block(self) -> Deadline:
        """Of one block of load."""
        return Deadline("block", self.block_s)


def deadlines_of(
    given: DeadlineSpec, model: Path | None, variables: Mapping[str, str] = os.environ
) -> Deadlines:
    """What is given, by variables first, and for the rest what grows with the model's size.

    Args:
        given: the keys of a study.
        model: the model file; without one nothing grows.
        variables: such as AUTOTUNE_DEADLINE_COMPILE=20m.

    Raises:
        UsageError: a variable that is no duration.
    """
    size = 0.0 if model is None else _size_bytes(model) / _MIB
    usual = Deadlines()

    def of(key: str, least_s: float, per_mib_s: float = 0.0) -> float:
        found = _of_variable(VARIABLE + key.upper(), variables) or getattr(given, key)
        return float(found or math.ceil(least_s + per_mib_s * size))

    return Deadlines(
        start_s=of("start", usual.start_s),
        inspect_s=of("inspect", usual.inspect_s, 1.0),
        open_s=of("compile", usual.open_s, 0.5),
        inputs_s=of("inputs", usual.inputs_s),
        build_s=of("build", usual.build_s, 2.0),
        block_s=of("block", usual.block_s, 0.05),
    )


def _of_variable(name: str, variables: Mapping[str, str]) -> float | None:
    if not variables.get(name):
        return None
    try:
        return parse_duration(variables[name])
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _size_bytes(model: Path) -> int:
    """Of all files that it is loaded from, as far as they can be seen."""
    files = known(lambda: model_files(model)) or ()
    sizes = [known(partial(os.path.getsize, file)) for file in files]
    return sum(size for size in sizes if size is not None)
