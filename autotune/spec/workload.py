"""[workload]: what the model is asked, where that is more than one static shape of random data."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from autotune.errors import SpecError
from autotune.spec.shapes import parse_shapes
from autotune.spec.values import Memory, Name, Number, Positive, Section, listed
from autotune.workload.inputs import MOST_SAMPLES, Range
from autotune.workload.locate import inputs_of
from autotune.workload.mix import Pad
from autotune.workload.preprocessing import Color, Preprocessing, Resize
from autotune.workload.workload import States, Workload

_MOST_SHAPES = 4096


Numbers = Annotated[tuple[Number, ...], BeforeValidator(listed)]
HeightWidth = Annotated[tuple[Positive, Positive], WithJsonSchema({"type": "[height, width]"})]


class RangeSpec(Section):
    """Values of random data."""

    low: Number
    high: Number

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            message = f"low {self.low:g} is above high {self.high:g}"
            raise ValueError(message)
        return self


def _range(value: object) -> object:
    """A lone number is the only value."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"low": value, "high": value} if is_number else value


class PadSpec(Section):
    """What may be put behind an item along an axis, and changes no answer."""

    value: Number
    axis: int = Field(strict=True, ge=0, le=64)


def _pads(value: object) -> object:
    """One for all inputs, without the name of any."""
    if isinstance(value, dict) and {"value", "axis"} & set(value):
        return {"": [value]}
    if isinstance(value, list):
        return {"": value}
    if isinstance(value, dict):
        return {name: listed(one) for name, one in value.items()}
    return value


def _pads_written(pads: dict[str, tuple[PadSpec, ...]]) -> Any:
    written = {name: [one.model_dump() for one in ones] for name, ones in pads.items()}
    short = {name: ones[0] if len(ones) == 1 else ones for name, ones in written.items()}
    return short[""] if set(short) == {""} else short


Pads = Annotated[
    dict[str, tuple[PadSpec, ...]],
    BeforeValidator(_pads),
    PlainSerializer(_pads_written),
    WithJsonSchema({"type": "{ value, axis }"}),
]


class ShapeSpec(Section):
    """One shape of a mix."""

    shape: Name
    weight: Number = 1.0

    @field_validator("shape")
    @classmethod
    def _a_shape(cls, value: str) -> str:
        try:
            found = parse_shapes(value)
        except SpecError as error:
            raise ValueError(str(error).removeprefix("[model] shape: ")) from None
        if not found:
            message = "is empty"
            raise ValueError(message)
        return value

    @field_validator("weight")
    @classmethod
    def _a_weight(cls, value: float) -> float:
        if value <= 0:
            message = f"{value:g} is no weight: it must be more than zero; leave the shape out"
            raise ValueError(message)
        return value


class PreprocessingSpec(Section):
    """From the images that an application has to what the model takes, described once."""

    input: Name | None = Field(default=None, description="The model's input; its only one.")
    type: str = Field(default="u8", pattern="^(u8|f32)$", description="Of the image's values.")
    layout: str = Field(
        default="HWC", pattern="^(HWC|CHW)$", description="Of one image as it comes."
    )
    size: HeightWidth | None = Field(
        default=None, description="Of every image as it comes; any without it."
    )
    color: Color = Field(default=Color.RGB, description="As images come.")
    model_color: Color | None = Field(default=None, description="As the model takes them.")
    model_layout: str = Field(
        default="NCHW", pattern="^(NCHW|NHWC)$", description="Of the model's input."
    )
    resize: Resize | None = Field(default=None, description="A filter of Pillow.")
    resize_to: HeightWidth | None = Field(
        default=None, description="Before the crop; the model's own size without it."
    )
    crop: HeightWidth | None = Field(default=None, description="The middle that is kept.")
    mean: Numbers = Field(default=(), description="Taken away; one value, or of each channel.")
    scale: Numbers = Field(default=(), description="Divided by after that, likewise.")

    @field_validator("scale")
    @classmethod
    def _no_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in value:
            message = "has a zero, and is divided by"
            raise ValueError(message)
        return value

    @property
    def value(self) -> Preprocessing:
        """As a value."""
        return Preprocessing(**{**self.model_dump(), "input": self.input or ""})


class WorkloadSpec(Section):
    """What the model is asked: the user's data, how it is prepared, and in which shapes."""

    inputs: str | tuple[Name, ...] | None = Field(
        default=None,
        description="What to feed, relative to this file: a .npz file with an array for each "
        "input, a .npy file for the only one, a list of such files for samples of several shapes, "
        "a folder of pictures or of .wav files, a file of text lines (with tokenizer), or "
        '"module:function", which yields dictionaries of arrays (docs/workload.md). Random data '
        "without it.",
    )
    tokenizer: Name | None = Field(
        default=None,
        description='"module:function", called with each line of text; it returns a dictionary of '
        "arrays.",
    )
    samples: Positive = Field(
        default=MOST_SAMPLES, description="So many samples are used at most, in their order."
    )
    memory: Memory = Field(
        default=4 * 10**9,
        description="Memory that reading the inputs may take, above all by a function.",
    )
    random: dict[str, Annotated[RangeSpec, BeforeValidator(_range)]] = Field(
        default={},
        description="Ranges of random data by input, for all that is not given: "
        "{ ids = { low = 0, high = 30000 }, mask = 1 }. Guessed from names and types without it.",
    )
    states: States | None = Field(
        default=None,
        description="What becomes of what the model keeps from one request to the next: "
        '"reset", each item begins anew, or "carried", items are parts of one sequence.',
    )
    shapes: Annotated[tuple[ShapeSpec, ...], Field(max_length=_MOST_SHAPES)] = Field(
        default=(),
        description="A mix of shapes, each with its weight: "
        '[{ shape = "1,3,48,80", weight = 3 }, { shape = "1,3,48,320" }]. Those of the inputs, by '
        "how many have it, without.",
    )
    pad: Pads = Field(
        default={},
        description="Padding behind an item that changes no answer, which is checked: "
        "{ value = 0, axis = 1 }, a list of these, or a table of them by input.",
    )
    preprocessing: PreprocessingSpec | None = Field(
        default=None,
        description="From images to the model's input: " + "a table, see docs/workload.md.",
    )

    @field_validator("inputs", mode="before")
    @classmethod
    def _some(cls, value: object) -> object:
        if value in ("", [], ()):
            message = "is empty; name what to feed, or leave it out for random data"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.tokenizer is not None and self.inputs is None:
            message = "tokenizer: there is no text to call it with; name a file of lines as inputs"
            raise ValueError(message)
        if self.preprocessing is not None and self.states is not None:
            message = "states: items of a sequence are fed as they are; leave preprocessing out"
            raise ValueError(message)
        if self.preprocessing is not None and (self.shapes or self.pad):
            message = (
                "preprocessing: makes one shape of all images, and shapes and pad are of a mix; "
                "say one of both"
            )
            raise ValueError(message)
        return self

    @property
    def is_said(self) -> bool:
        """Whether it says anything."""
        return bool(self.model_fields_set) and self != WorkloadSpec()

    @property
    def ranges(self) -> dict[str, Range]:
        """Of random data, as values."""
        return {name: Range(one.low, one.high) for name, one in self.random.items()}

    def within(self, folder: Path) -> Workload | None:
        """As a value, its paths being relative to the study's folder; None where nothing is said.

        Raises:
            SourceError: the inputs are not there, or are none.
        """
        if not self.is_said:
            return None
        inputs = None
        if self.inputs is not None:
            said = self.inputs if isinstance(self.inputs, str) else list(self.inputs)
            found = inputs_of(said, folder, tokenizer=self.tokenizer, most=self.samples)
            inputs = replace(found, memory_bytes=self.memory)
        return Workload(
            inputs=inputs,
            ranges=self.ranges,
            preprocessing=None if self.preprocessing is None else self.preprocessing.value,
            shapes=tuple(
                {name: tuple(shape) for name, shape in parse_shapes(one.shape).items()}
                for one in self.shapes
            ),
            weights=tuple(one.weight for one in self.shapes),
            pads=self.pads,
            states=self.states,
        )

    @property
    def pads(self) -> dict[str, tuple[Pad, ...]]:
        """As values; the empty name stands for every input."""
        return {
            name: tuple(Pad(one.value, one.axis) for one in ones) for name, ones in self.pad.items()
        }
