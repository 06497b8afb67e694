"""What a value of a study file may be: durations, shares, counts, names, lists of choices."""

import math
from collections.abc import Callable
from datetime import time
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from autotune.domain.units import (
    format_bytes,
    format_duration,
    format_percent,
    parse_bytes,
    parse_duration,
    parse_percent,
)
from autotune.host.core_budget import CpuRequest, parse_request

T = TypeVar("T")


def _of_text(parse: Callable[[str], T], lacks: str) -> Callable[[object], T]:
    """What reads a value that is written with its unit."""

    def read(value: object) -> T:
        if not isinstance(value, str):
            message = f"{value!r} has {lacks}"
            raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
        return parse(value)

    return read


def _finite(value: float) -> float:
    if not math.isfinite(value):
        message = "is no finite number"
        raise ValueError(message)
    return value


def listed(value: object) -> object:
    """A lone value as a list."""
    return value if isinstance(value, list | tuple) else [value]


def _local_time(value: object) -> str:
    if isinstance(value, time):  # TOML has times of its own: until = 07:00:00
        return value.isoformat()
    try:
        time.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        message = f'{value!r} is no time of day; write for instance "07:00"'
        raise ValueError(message) from None
    return str(value)


def _count_or_list(asked: CpuRequest) -> int | str:
    return str(asked) if asked.listed else asked.count


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        message = "is empty; give a value or a list, or leave it out"
        raise ValueError(message)
    if len(set(values)) < len(values):
        message = f"has a value twice: {list(values)}"
        raise ValueError(message)
    return values


Duration = Annotated[
    float,
    BeforeValidator(
        _of_text(parse_duration, 'no unit; write a text such as "2.5ms", "800us" or "10m"')
    ),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
Share = Annotated[
    float,
    BeforeValidator(_of_text(parse_percent, 'no percent sign; write a text such as "15%"')),
    PlainSerializer(format_percent),
    WithJsonSchema({"type": "string", "format": "percent"}),
]
Memory = Annotated[
    int,
    BeforeValidator(_of_text(parse_bytes, 'no unit; write a text such as "4GB"')),
    PlainSerializer(format_bytes),
    WithJsonSchema({"type": "string", "format": "bytes"}),
]
CpuChoice = Annotated[
    CpuRequest,
    PlainValidator(parse_request),
    PlainSerializer(_count_or_list),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
]
# Strict: neither true nor "5" is a number, and "yes" is no boolean.
Positive = Annotated[int, Field(strict=True, ge=1, le=65536)]
Number = Annotated[float, Field(strict=True), AfterValidator(_finite)]
Switch = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1)]
Choices = Annotated[tuple[T, ...], BeforeValidator(listed), AfterValidator(_distinct)]
LocalTime = Annotated[str, BeforeValidator(_local_time)]


class Section(BaseModel):
    """A section: frozen, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
