"""study.toml to StudySpec: every fault at once, each with its key, value and way out."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from autotune.domain.goal import Objective
from autotune.domain.paths import absolute
from autotune.domain.sampler import Sampler
from autotune.errors import SpecError
from autotune.spec.faults import faults_of
from autotune.spec.goal import GoalSpec
from autotune.spec.sections import (
    BudgetSpec,
    DeadlineSpec,
    MachineSpec,
    MeasureSpec,
    ModelSpec,
    RaceSpec,
    SearchSpec,
)
from autotune.spec.space import SpaceSpec
from autotune.spec.values import Section
from autotune.spec.variants import AccuracySpec, Variants, VariantSpec
from autotune.spec.workload import WorkloadSpec
from autotune.workload.guard import Guard

STUDY_FILE = "study.toml"


class StudySpec(Section):
    """One study: a model, a goal, a space, a budget. Frozen; durations are in seconds."""

    model: ModelSpec
    workload: WorkloadSpec = WorkloadSpec()
    variants: Variants = Field(default={}, description="Other files of the model, by name.")
    accuracy: AccuracySpec = AccuracySpec()
    goal: GoalSpec
    budget: BudgetSpec = BudgetSpec()
    machine: MachineSpec = MachineSpec()
    space: SpaceSpec = SpaceSpec()
    measure: MeasureSpec = MeasureSpec()
    deadline: DeadlineSpec = DeadlineSpec()
    race: RaceSpec = RaceSpec()
    search: SearchSpec = SearchSpec()

    @field_validator("workload")
    @classmethod
    def _inputs_once(cls, value: WorkloadSpec, info: ValidationInfo) -> WorkloadSpec:
        model = info.data.get("model")
        if model is not None and model.inputs is not None and value.inputs is not None:
            message = "inputs: [model] inputs names data as well; say one of both"
            raise ValueError(message)
        return value

    @field_validator("accuracy")
    @classmethod
    def _aware_of_something(cls, value: AccuracySpec, info: ValidationInfo) -> AccuracySpec:
        variants: Mapping[str, VariantSpec] = info.data.get("variants") or {}
        aware = next((name for name, one in variants.items() if one.accuracy_aware), None)
        if aware is not None and value.guard == "none":
            message = f"guard: variant {aware} is accuracy_aware, and there is no guard to be near"
            raise ValueError(message)
        if aware is not None and value.labels is not None and value.inputs is not None:
            message = (
                f"labels: are of [accuracy] inputs alone, and variant {aware}, which is "
                "accuracy_aware, needs those of the samples that calibrate; leave inputs out here, "
                "so that every other sample of [workload] inputs is held out"
            )
            raise ValueError(message)
        return value

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
        raise SpecError(faults_of(error, name, StudySpec, {})) from None


def guard_of(spec: StudySpec, folder: Path) -> Guard | None:
    """What a study asks of answers; None where it says nothing of variants or accuracy.

    Raises:
        SourceError: a file or a function of it is not there.
    """
    if not spec.variants and not spec.accuracy.is_said:
        return None
    return spec.accuracy.within(absolute(folder), spec.workload, spec.model.inputs)
