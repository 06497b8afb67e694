"""[space]: a key for each dimension of the table."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from autotune.space.dimension import Dimension
from autotune.space.dimensions import TABLE
from autotune.spec.values import Choices, Name, Positive, Section, Switch


class _Space(Section):
    """Overrides of the space: one value fixes a dimension, a list narrows or widens it."""

    def choices(self, name: str) -> tuple[Any, ...] | None:
        """What was chosen of a dimension; None where it was left out."""
        found: tuple[Any, ...] | None = getattr(self, name)
        return found


def _space_key(one: Dimension) -> tuple[Any, Any]:
    """A key of [space], as pydantic takes it."""
    value: Any = one.type
    if one.allowed:
        value = Literal[one.allowed]
    elif one.type is int:
        value = Positive
    elif one.type is bool:
        value = Switch
    elif one.type is str:
        value = Name
    choices = Choices[value]
    if one.fixed is not None:
        return choices, Field(default=one.fixed, description=one.meaning)
    return choices | None, Field(default=None, description=one.meaning)


if TYPE_CHECKING:

    class SpaceSpec(_Space):
        """Its keys are the rows of the table of dimensions."""

        def __getattr__(self, name: str) -> Any: ...

else:
    SpaceSpec = create_model(
        "SpaceSpec",
        __base__=_Space,
        __doc__=_Space.__doc__,
        **{one.name: _space_key(one) for one in TABLE if one.tunable},
    )
