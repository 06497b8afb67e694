"""[goal]: what to look for, with a key for each row of the table of limits."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.limits import TABLE, LimitRow, limits_of
from autotune.spec.values import Duration, Section, Share, Switch


class _GoalKeys(Section):
    """What to look for."""

    objective: Objective | None = Field(
        default=None,
        description='"throughput" under the cap, or without one where it is said; the lowest '
        '"latency"; both as "pareto"; or "efficiency": the most items for each CPU-second. '
        "docs/goals.md says which to choose. Left out: throughput under a cap.",
    )
    efficiency: Resource = Field(
        default=Resource.CPU,
        description='What "efficiency" counts by: "cpu" for CPU time, "energy" for joules, where '
        "they can be read.",
    )
    max_latency: Duration | None = Field(
        default=None,
        validate_default=True,
        description='The cap on request latency, with a unit: "2.5ms", "800us", "1s". '
        "Needed unless an objective is said.",
    )
    percentile: float = Field(
        default=99.0,
        strict=True,
        gt=0,
        lt=100,
        description="The percentile of request latency that the cap is on.",
    )
    headroom: Share | None = Field(
        default=None,
        validate_default=False,
        description='How much slower everything may become before the cap is at risk: "15%". The '
        "choice is then the one under the cap over 1.15.",
    )
    portable: Switch = Field(
        default=False,
        description="Whether, among equals, settings are preferred that hold elsewhere: a hint, "
        "then fewer explicit settings.",
    )

    @model_validator(mode="before")
    @classmethod
    def _said_twice(cls, values: Any) -> Any:
        """Throughput under a cap is what is meant without an objective: one study, one file."""
        if isinstance(values, dict) and values.get("max_latency") is not None:
            said = values.get("objective")
            if isinstance(said, str) and said == Objective.THROUGHPUT:
                return {key: value for key, value in values.items() if key != "objective"}
        return values

    # Of the field, not of the section: it is then reported together with the other faults.
    @field_validator("efficiency")
    @classmethod
    def _of_efficiency(cls, value: Resource, info: ValidationInfo) -> Resource:
        objective = info.data.get("objective", Objective.EFFICIENCY)
        if value is not Resource.CPU and objective is not Objective.EFFICIENCY:
            message = 'is what the objective "efficiency" counts by; say that, or leave it out'
            raise ValueError(message)
        return value

    @field_validator("max_latency")
    @classmethod
    def _a_cap_or_an_objective(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None and "objective" in info.data and info.data["objective"] is None:
            message = (
                'is missing: write for instance max_latency = "20ms"; or objective = "throughput" '
                "for as many items as the machine can do, however long each takes"
            )
            raise ValueError(message)
        return value

    @field_validator("headroom")
    @classmethod
    def _headroom_needs_a_cap(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("max_latency", 0.0) is None:
            message = "is below a cap, and there is none: give max_latency, or leave it out"
            raise ValueError(message)
        return value

    @property
    def goal(self) -> Goal:
        """The goal in the words of the domain, milliseconds."""
        cap_ms = None if self.max_latency is None else self.max_latency * 1000
        objective = self.objective or Objective.THROUGHPUT
        held = Goal.with_headroom(objective, self.percentile, cap_ms, self.headroom or 0.0)
        return replace(
            held,
            limits=limits_of({row.name: getattr(self, row.name) for row in TABLE}),
            resource=self.efficiency,
            portable=self.portable,
        )


def _parsed(row: LimitRow) -> Callable[[object], float]:
    def parse(value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if row.has_unit and not isinstance(value, str):
            message = f"{value!r} has no unit; write a text such as {row.examples}"
            raise ValueError(message)
        if is_number:
            return row.parse(f"{Decimal(repr(value)):f}")
        return row.parse(value if isinstance(value, str) else "")

    return parse


def _goal_key(row: LimitRow) -> tuple[Any, Any]:
    """A key of [goal], as pydantic takes it."""
    value = Annotated[
        float,
        BeforeValidator(_parsed(row)),
        PlainSerializer(row.text),
        WithJsonSchema({"type": "string", "format": row.form}),
    ]
    return value | None, Field(
        default=None, validate_default=False, description=f"{row.meaning}: {row.examples}."
    )


if TYPE_CHECKING:

    class GoalSpec(_GoalKeys):
        """Its limits are the rows of the table of limits."""

        def __getattr__(self, name: str) -> Any: ...

else:
    GoalSpec = create_model(
        "GoalSpec",
        __base__=_GoalKeys,
        __doc__=_GoalKeys.__doc__,
        **{row.name: _goal_key(row) for row in TABLE},
    )
