"""[space]: a key for each dimension of the table."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from autotune.space.dimension import Dimension
from autotune.space.dimensions import BY_NAME, PROPERTIES, TABLE
from autotune.space.named import PARTS, choices_of, meaning_of, why_no_value, why_refused
from autotune.spec.values import Choices, Name, Positive, Section, Switch

_MOST_COMBINATIONS = 256


class _Space(Section):
    """Overrides of the space: one value fixes a dimension, a list narrows or widens it."""

    def choices(self, name: str) -> tuple[Any, ...] | None:
        """What was chosen of a dimension; None where it was left out."""
        one = BY_NAME[name]
        found: Any = getattr(self, one.key)
        if found is None or one.spread is None:
            chosen: tuple[Any, ...] | None = found
            return chosen
        return choices_of(found)

    @property
    def decided(self) -> frozenset[str]:
        """Keys of the dimensions that properties named by hand decide some of."""
        named: dict[str, Any] = getattr(self, "properties", None) or {}
        return frozenset(PARTS[name] for name in named if name in PARTS)

    @model_validator(mode="after")
    def _said_twice(self) -> Self:
        """One thing under two names: which of them wins is the runtime's secret."""
        named: dict[str, Any] = getattr(self, "properties", None) or {}
        for name in named:
            key = PARTS.get(name)
            if key is not None and getattr(self, key) is not None:
                message = f"properties: {name} decides what {key} decides; say one of both"
                raise ValueError(message)
        return self


def _checked(named: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Properties that may be named; every fault in one message."""
    faults = [f"{name} {why}" for name in named if (why := why_refused(name, PROPERTIES))]
    faults += [
        f"{name}: {why}"
        for name, values in named.items()
        for value in values
        if (why := why_no_value(value))
    ]
    faults += [
        f"{name} has a value twice: {list(values)}"
        for name, values in named.items()
        if len({meaning_of(value) for value in values}) < len(values)
    ]
    if faults:
        raise ValueError("; ".join(faults))
    if not named:
        message = "is empty; name a property, or leave it out"
        raise ValueError(message)
    if len(choices_of(named)) > _MOST_COMBINATIONS:
        message = f"has over {_MOST_COMBINATIONS} combinations; name fewer values"
        raise ValueError(message)
    return named


def _table(value: object) -> object:
    if not isinstance(value, dict):
        message = "is a table, such as { KEY_CACHE_GROUP_SIZE = [16, 32] }"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


def _plain(value: object) -> object:
    if not isinstance(value, str | int | float):
        message = "is no text, number or switch"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


_Value = Annotated[Any, BeforeValidator(_plain), WithJsonSchema({"type": "text, number or switch"})]
_Named = Annotated[
    dict[str, Choices[_Value]],
    BeforeValidator(_table),
    AfterValidator(_checked),
    WithJsonSchema({"type": "table"}),
]


def _space_key(one: Dimension) -> tuple[Any, Any]:
    """A key of [space], as pydantic takes it."""
    if one.spread is not None:
        return _Named | None, Field(default=None, description=one.meaning)
    value: Any = one.type
    if one.allowed:
        value = Literal[one.allowed]
    elif one.type is int and one.least == 1 and one.most is None:
        value = Positive
    elif one.type in {int, float}:
        value = _number(one)
    elif one.type is bool:
        value = Switch
    elif one.normal is not None:
        value = Annotated[str, AfterValidator(one.normal)]
    elif one.type is str:
        value = Name
    choices = Choices[value]
    if one.fixed is not None:
        return choices, Field(default=one.fixed, description=one.meaning)
    return choices | None, Field(default=None, description=one.meaning)


def _number(one: Dimension) -> Any:
    """A number within the bounds of its row; true is none."""
    bounds = Field(ge=one.least, le=65536 if one.most is None else one.most, strict=True)
    return Annotated[one.type, bounds]


if TYPE_CHECKING:

    class SpaceSpec(_Space):
        """Its keys are the rows of the table of dimensions."""

        def __getattr__(self, name: str) -> Any: ...

else:
    SpaceSpec = create_model(
        "SpaceSpec",
        __base__=_Space,
        __doc__=_Space.__doc__,
        **{one.key: _space_key(one) for one in TABLE if one.tunable},
    )
