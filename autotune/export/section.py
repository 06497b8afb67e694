"""What sections of best.json have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FileSection(BaseModel):
    """A section of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def not_below_zero(value: float | None) -> float | None:
    """What is never below zero, whatever a wide interval says."""
    return None if value is None else max(0.0, value)
