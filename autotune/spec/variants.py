"""[variants]: other files of the model, given or made here; [accuracy]: how far they may be off."""

import contextlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from autotune.domain.paths import absolute
from autotune.domain.units import format_percent, parse_percent
from autotune.space.rows.variant import GIVEN
from autotune.spec.values import Name, Number, Positive, Section, Switch
from autotune.spec.workload import WorkloadSpec
from autotune.workload.guard import Guard
from autotune.workload.locate import file_in, function_in
from autotune.workload.metrics import METRICS, Metric
from autotune.workload.variants import COMPRESSIONS, VariantRecipe
from autotune.workload.workload import Workload

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_MOST_VARIANTS = 64
CALIBRATED = 300
"""Samples that calibration takes where nothing else is said: what NNCF does by itself."""


class VariantSpec(Section):
    """One file of the model: given, or made here."""

    path: Name | None = Field(
        default=None, description="A file with the same inputs and outputs, relative to this one."
    )
    quantize: Literal["int8"] | None = Field(
        default=None,
        description="Made here by post-training quantisation (NNCF), calibrated on the inputs of "
        "[workload].",
    )
    compress: str | None = Field(
        default=None,
        pattern=f"^({'|'.join(COMPRESSIONS)})$",
        description=f"Made here with smaller weights: {', '.join(COMPRESSIONS)}.",
    )
    preset: Literal["performance", "mixed"] | None = Field(
        default=None,
        description='Of quantisation: "performance", symmetric, or "mixed", with asymmetric '
        "activations; what NNCF takes for the kind of model without it.",
    )
    subset: Positive = Field(
        default=CALIBRATED, description="Samples that calibration takes at most."
    )
    ignored: tuple[Name, ...] = Field(
        default=(), description="Names of operations that keep their precision."
    )
    transformer: Switch = Field(
        default=False, description="Whether the model is a transformer, whose attention is spared."
    )
    accuracy_aware: Switch = Field(
        default=False,
        description="Whether operations are given back, the most harmful first, until answers to "
        "the samples of calibration lose no more than half of [accuracy] max_drop. Takes much "
        "longer.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [key for key in ("path", "quantize", "compress") if getattr(self, key) is not None]
        if len(ways) != 1:
            message = "say one of path, quantize and compress"
            raise ValueError(message)
        of_quantising = {
            "preset",
            "subset",
            "transformer",
            "accuracy_aware",
        } & self.model_fields_set
        if ways[0] != "quantize" and of_quantising:
            message = f"{min(of_quantising)} is of quantize, and this is {ways[0]}"
            raise ValueError(message)
        if ways[0] == "path" and self.ignored:
            message = "ignored is of what is made here, and this is a file"
            raise ValueError(message)
        return self

    @property
    def recipe(self) -> VariantRecipe | None:
        """How it is made; None for a file."""
        if self.path is not None:
            return None
        return VariantRecipe(
            quantize=self.quantize,
            compress=self.compress,
            preset=self.preset,
            subset=self.subset,
            ignored=self.ignored,
            transformer=self.transformer,
            accuracy_aware=self.accuracy_aware,
        )


def _variant(value: object) -> object:
    """A lone text is a path."""
    return {"path": value} if isinstance(value, str) else value


def _written(found: dict[str, VariantSpec]) -> Any:
    told = {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in found.items()}
    return {name: one["path"] if set(one) == {"path"} else one for name, one in told.items()}


def _named(found: dict[str, VariantSpec]) -> dict[str, VariantSpec]:
    for name in found:
        if name == GIVEN:
            message = f"{GIVEN}: is the file of [model] path; take another name"
            raise ValueError(message)
        if not _NAME.fullmatch(name):
            message = f"{name!r:.60} is no name: use letters, digits, dashes and underscores"
            raise ValueError(message)
    if len(found) > _MOST_VARIANTS:
        message = f"{len(found)} variants are more than {_MOST_VARIANTS}"
        raise ValueError(message)
    return found


Variants = Annotated[
    dict[str, Annotated[VariantSpec, BeforeValidator(_variant)]],
    AfterValidator(_named),
    PlainSerializer(_written),
]


MADE_IN = "variants"
"""The folder of what is made: in a study's, and in that of the user's state."""


def variant_file(name: str, path: str | None) -> str:
    """Where a variant lies, from the study's folder: at the path that is named, else as made."""
    return f"{MADE_IN}/{name}.xml" if path is None else path


class MaxDrop(Section):
    """What an accuracy may lose."""

    amount: float
    is_relative: bool = False
    """Whether it is a share of the reference's own accuracy."""


def parse_max_drop(text: str) -> MaxDrop:
    """``0.01``, or ``1%`` of the reference's own accuracy.

    Raises:
        ValueError: it is neither.
    """
    return MaxDrop.model_validate(_max_drop(text if text.strip().endswith("%") else _number(text)))


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _max_drop(value: object) -> object:
    if isinstance(value, MaxDrop):
        return value
    amount: object = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            amount = parse_percent(value)
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        message = f'{value!r:.80} is no loss; write 0.01 for that much, or "1%" for a share'
        raise ValueError(message)  # noqa: TRY004 - pydantic reports it
    if not 0 <= amount < 1:
        message = f"{value!r} must be at least 0 and less than 1"
        raise ValueError(message)
    return {"amount": float(amount), "is_relative": isinstance(value, str)}


def _drop_written(value: MaxDrop) -> Any:
    return format_percent(value.amount) if value.is_relative else value.amount


class AccuracySpec(Section):
    """How far answers may be from those of the model as it was given, on samples held out."""

    guard: Literal["agreement", "none"] = Field(
        default="agreement",
        description='"none" looks at nothing: what may change answers is then unproven, and never '
        "certified.",
    )
    metric: Name = Field(
        default="cosine",
        description='How near an answer is to the reference\'s: "top1", "cosine", '
        '"relative_error" or "iou"; or "module:function", called with all outputs and samples, '
        "which returns an accuracy, or one number for each sample; larger is better.",
    )
    max_drop: Annotated[
        MaxDrop,
        BeforeValidator(_max_drop),
        PlainSerializer(_drop_written),
        WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "percent"}]}),
    ] = Field(
        default=MaxDrop(amount=0.01),
        description='What may be lost: 0.01 for that much, or "1%" of the reference\'s accuracy.',
    )
    inputs: str | tuple[Name, ...] | None = Field(
        default=None,
        description="Samples that are held out, in the forms of [workload] inputs. Without it "
        "every other one of those that [workload] inputs has.",
    )
    labels: Name | None = Field(
        default=None,
        description="The right answers: a .npy or .npz file with one for each sample, or lines of "
        "text; for top1, and for a function, which finds them in its samples as label.",
    )
    samples: Positive = Field(
        default=1000, description="So many samples are held out at most, in their order."
    )
    output: Name | None = Field(
        default=None, description="The output that counts; the worst of all without it."
    )
    threshold: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.5, description="Of iou: boxes with a lower score are none."
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        is_named = ":" not in self.metric
        if is_named and self.metric not in METRICS:
            message = (
                f"metric: {self.metric!r:.60} is none of {', '.join(METRICS)}, and no "
                "module:function"
            )
            raise ValueError(message)
        if self.labels is not None and is_named and self.metric != "top1":
            message = (
                f"labels: are for top1 or a function of yours, and the metric is {self.metric}"
            )
            raise ValueError(message)
        return self

    @property
    def is_said(self) -> bool:
        """Whether it says anything."""
        return bool(self.model_fields_set) and self != AccuracySpec()

    def within(self, folder: Path, workload: WorkloadSpec, inputs: str | None) -> Guard | None:
        """As a value, its paths being relative to the study's folder; None where there is none.

        Args:
            folder: the study's.
            workload: what the model is asked.
            inputs: `[model] inputs`.

        Raises:
            SourceError: a file or a function is not there.
        """
        if self.guard == "none":
            return None
        is_split = self.inputs is None
        data = workload.inputs if self.inputs is None else self.inputs
        is_function = isinstance(data, str) and ":" in data
        said = workload.model_copy(
            update={
                "inputs": data,
                "tokenizer": None if is_function else workload.tokenizer,
                "shapes": workload.shapes if data is None else (),
                "samples": self.samples * (2 if is_split else 1),
            }
        )
        code = function_in(self.metric, folder) if ":" in self.metric else None
        return Guard(
            metric=Metric(
                name=self.metric,
                code=code,
                output=self.output or "",
                threshold=self.threshold,
            ),
            max_drop=self.max_drop.amount,
            is_relative=self.max_drop.is_relative,
            asked=said.within(folder) or Workload(),
            inputs=None if data is not None or inputs is None else absolute(folder / inputs),
            is_split=is_split,
            most=self.samples,
            labels=None if self.labels is None else file_in(self.labels, folder),
        )
