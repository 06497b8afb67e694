"""study.toml to StudySpec and back: the only place that knows the keys of a study file."""

import difflib
import re
import tomllib
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
)

from autotune.domain.budget import Budget, seconds_until
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Feed
from autotune.domain.sampler import Sampler
from autotune.domain.units import format_duration, format_percent, parse_duration, parse_percent
from autotune.errors import SpecError
from autotune.space.dimensions import TABLE, Dimension

STUDY_FILE = "study.toml"
T = TypeVar("T")


def _seconds(value: object) -> float:
    if not isinstance(value, str):
        message = f'{value!r} has no unit; write a text such as "2.5ms", "800us" or "10m"'
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return parse_duration(value)


def _share(value: object) -> float:
    if not isinstance(value, str):
        message = f'{value!r} has no percent sign; write a text such as "15%"'
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return parse_percent(value)


def _listed(value: object) -> object:
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
    BeforeValidator(_seconds),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    PlainSerializer(format_percent),
    WithJsonSchema({"type": "string", "format": "percent"}),
]
# Strict: neither true nor "5" is a number, and "yes" is no boolean.
Positive = Annotated[int, Field(strict=True, ge=1, le=65536)]
Switch = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1)]
Choices = Annotated[tuple[T, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
LocalTime = Annotated[str, BeforeValidator(_local_time)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class ModelSpec(_Section):
    """The model to deploy."""

    path: str = Field(
        min_length=1,
        description="Model file, relative to this file (.xml, .onnx, .pb, .tflite, .pdmodel).",
    )
    shape: str | None = Field(
        default=None,
        description='Static input shapes, "name:1,3,48,192", ";" between inputs; '
        "the name may be left out for one input.",
    )
    inputs: str | None = Field(
        default=None,
        description="A .npz file with one array per input, or a .npy file for the only input; "
        "samples along the first axis, a scalar for all of them. Random data without it.",
    )
    items: Positive | None = Field(
        default=None,
        description="Items in a request at batch 1, which is what throughput counts. Left out: "
        "the model's own batch, where that can be shown to be one, else 1.",
    )


class GoalSpec(_Section):
    """What to look for."""

    objective: Objective = Field(
        default=Objective.THROUGHPUT,
        description='"throughput" under the cap, the lowest "latency", or both as "pareto".',
    )
    max_latency: Duration | None = Field(
        default=None,
        validate_default=True,
        description='The cap on request latency, with a unit: "2.5ms", "800us", "1s". '
        'Needed for "throughput".',
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

    # Of the field, not of the section: it is then reported together with the other faults.
    @field_validator("max_latency")
    @classmethod
    def _throughput_needs_a_cap(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None and info.data.get("objective") is Objective.THROUGHPUT:
            message = 'is missing: write for instance max_latency = "20ms"'
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
        return Goal.with_headroom(self.objective, self.percentile, cap_ms, self.headroom or 0.0)


class BudgetSpec(_Section):
    """When to stop: at the first of these."""

    duration: Duration | None = Field(
        default=None, description='Time spent on the study over all runs: "3m", "8h". Default 10m.'
    )
    trials: Positive | None = Field(default=None, description="Number of trials with a result.")
    until: LocalTime | None = Field(
        default=None, description='Local time of day at which to stop: "07:00".'
    )
    stable: Switch = Field(
        default=False,
        description="Whether to stop searching when an improvement above 1 % has become unlikely; "
        "the other limits hold as well.",
    )

    @property
    def duration_s(self) -> float | None:
        """Seconds for the whole study; ten minutes when no budget of any kind is given."""
        if self.duration is None and self.trials is None and self.until is None:
            return 600.0
        return self.duration

    def after(self, spent_s: float, begun: datetime) -> Budget:
        """What is left to a session now; `until` is the next such time after `begun`."""
        until_s = None
        if self.until is not None:
            passed_s = (datetime.now().astimezone() - begun).total_seconds()
            until_s = seconds_until(self.until, begun) - passed_s
        return Budget(
            duration_s=self.duration_s,
            spent_before_s=spent_s,
            until_s=until_s,
            trials=self.trials,
            stable=self.stable,
        )


class _Space(_Section):
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


class MeasureSpec(_Section):
    """How long to measure one configuration."""

    limit: Duration | None = Field(
        default=None,
        description="Longest measurement of one configuration; "
        "a promising one whose verdict is open may take four times as long. "
        "Default: a fortieth of the budget, between 3s and 30s.",
    )
    warmup: Duration = Field(
        default=1.0, description="Shortest warm-up before the first counted block."
    )
    feed: Feed = Field(
        default=Feed.BIND,
        description='"bind" sets the inputs of each request once; "copy" copies them from arrays '
        "before every request, as an application does.",
    )
    reference: Switch = Field(
        default=True,
        description="Whether the better hint stays resident and is measured again between trials, "
        "for at most 5 % of the time, to see the machine drift.",
    )


class DeadlineSpec(_Section):
    """How long a worker may take for one step before it is given up as hung."""

    start: Duration | None = Field(
        default=None, description="To start a process and import the runtime. Default 1m."
    )
    inspect: Duration | None = Field(
        default=None,
        description="For each step of the first look at the model: one compilation, with the "
        "answers that are compared then. Default 10m, and 1s more for each MiB of the model.",
    )
    compile: Duration | None = Field(
        default=None,
        description="To open one configuration: reading, compiling, the first inference and the "
        "check of its answers. Default 5m, and 1s more for each 2 MiB of the model.",
    )
    block: Duration | None = Field(
        default=None,
        description="For one block of load, beyond half a second and three rounds of requests. "
        "Default 30s, and 1s more for each 20 MiB of the model.",
    )


class SearchSpec(_Section):
    """How to choose what to try next."""

    sampler: Sampler = Field(
        default=Sampler.AUTO,
        description='"auto" (see docs/samplers.md), "gp", "tpe", "random", "grid" or "exhaustive".',
    )
    seed: int = Field(
        default=0,
        strict=True,
        ge=0,
        lt=2**31,
        description="Each proposal follows from this and the trial number.",
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of another study, relative to this file: its best few configurations "
        "are measured here right after the hints.",
    )


class RaceSpec(_Section):
    """The last stage: the best and the hints in turns, over fresh processes."""

    share: float = Field(
        default=0.2,
        strict=True,
        ge=0,
        le=0.5,
        description="Share of the budget that is kept for the race, twice as much (half of it at "
        "most) while a dozen launches need it; 0 for no race, and an unconfirmed result.",
    )

    @property
    def most_share(self) -> float:
        """Largest share that the race may take of a short budget."""
        return min(2 * self.share, 0.5)


class StudySpec(_Section):
    """One study: a model, a goal, a space, a budget. Frozen; durations are in seconds."""

    model: ModelSpec
    goal: GoalSpec
    budget: BudgetSpec = BudgetSpec()
    space: SpaceSpec = SpaceSpec()
    measure: MeasureSpec = MeasureSpec()
    deadline: DeadlineSpec = DeadlineSpec()
    race: RaceSpec = RaceSpec()
    search: SearchSpec = SearchSpec()

    @field_validator("budget")
    @classmethod
    def _one_objective_to_improve(cls, value: BudgetSpec, info: ValidationInfo) -> BudgetSpec:
        goal = info.data.get("goal")
        if value.stable and goal is not None and goal.objective is Objective.PARETO:
            message = (
                'stable: "pareto" has two objectives, and no improvement that could be unlikely'
            )
            raise ValueError(message)
        return value

    @field_validator("search")
    @classmethod
    def _one_objective(cls, value: SearchSpec, info: ValidationInfo) -> SearchSpec:
        goal = info.data.get("goal")
        pareto = goal is not None and goal.objective is Objective.PARETO
        if pareto and value.sampler is Sampler.GP:
            message = 'sampler: "gp" has one objective; for "pareto" take "tpe" or "auto"'
            raise ValueError(message)
        return value

    @property
    def limit_s(self) -> float:
        """Longest measurement of one configuration, in seconds."""
        if self.measure.limit is not None:
            return self.measure.limit
        if self.budget.duration_s is not None:
            return min(30.0, max(3.0, self.budget.duration_s / 40))
        return 10.0


def load_spec(path: Path) -> StudySpec:
    """The study in a `study.toml`, or in the folder that holds one.

    Raises:
        SpecError: the file is missing, is no TOML, or has faults; the message lists all of them.
    """
    file = path
    try:
        file = path / STUDY_FILE if path.is_dir() else path
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}"
        raise SpecError(message) from error
    return parse_spec(text, str(file))


def parse_spec(text: str, name: str = STUDY_FILE) -> StudySpec:
    """The study in the text of a study file; `name` is what messages call it.

    Raises:
        SpecError: lists every fault, each with its key, value and way out.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a plain ValueError for 5000 digits
        message = f"{name}: not a TOML file: {error}"
        raise SpecError(message) from error
    return build_spec(values, name)


def build_spec(values: dict[str, Any], name: str) -> StudySpec:
    """The study in nested dictionaries, as TOML gives them.

    Raises:
        SpecError: lists every fault.
    """
    try:
        return StudySpec.model_validate(values)
    except ValidationError as error:
        faults = [f"{name}: {_fault(fault)}" for fault in error.errors()]
        raise SpecError("\n".join(faults)) from None


def _fault(fault: Any) -> str:
    parts = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    location = [part if part.isprintable() else repr(part) for part in parts]  # in one line
    where = f"[{location[0]}] " + ".".join(location[1:]) if location else ""
    if fault["type"] == "extra_forbidden":
        return f"{where.strip()}: unknown key{_suggestion(location)}"
    if fault["type"] == "missing":
        return f"{where.strip()}: is missing"
    message = fault["msg"].removeprefix("Value error, ")
    shown = _shown(fault["input"])
    got = f", got {shown:.80}" if shown and shown not in message else ""
    return f"{where.strip()}: {message[:1].lower()}{message[1:]}{got}"


def _shown(value: object) -> str:
    """The value as the message shows it; nothing for a section or a key that is not there."""
    if value is None or isinstance(value, dict | BaseModel):
        return ""
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number far too long"


def _suggestion(location: list[str]) -> str:
    fields = StudySpec.model_fields
    if len(location) > 1 and location[0] in fields:
        section = fields[location[0]].annotation
        fields = getattr(section, "model_fields", {})
    close = difflib.get_close_matches(location[-1], fields, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(fields)}"


def to_toml(spec: StudySpec, comments: tuple[str, ...] = ()) -> str:
    """A study file that `parse_spec` reads back as the same spec; defaults are left out."""
    lines = [f"# {line}" for line in comments]
    for section, values in spec.model_dump(mode="json", exclude_defaults=True).items():
        written = {key: value for key, value in values.items() if value is not None}
        if written:
            lines += [
                "",
                f"[{section}]",
                *(f"{key} = {_toml(value)}" for key, value in written.items()),
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    return repr(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def parse_shapes(text: str | None) -> dict[str, list[int]]:
    """Shapes by input name in ``name:1,3,48,192; other:1,8``; a lone input needs no name.

    A dimension may be zero, for a past of length 0; ``[]`` is a scalar.

    Raises:
        SpecError: it has another form.
    """
    shapes: dict[str, list[int]] = {}
    for part in (text or "").split(";"):
        if not part.strip():
            continue
        name, _, dimensions = part.rpartition(":")
        is_scalar = dimensions.strip() == "[]"
        listed = [] if is_scalar else dimensions.strip().strip("[]").split(",")
        sizes = [size.strip() for size in listed]
        if not all(re.fullmatch("0*[0-9]{1,9}", size) for size in sizes) or name.strip() in shapes:
            raise SpecError(
                f"[model] shape: {text!r} is no shape; "
                "write name:1,3,48,192 with ';' between inputs"
            )
        shapes[name.strip()] = [int(size) for size in sizes]
    return shapes
