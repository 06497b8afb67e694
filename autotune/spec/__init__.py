"""study.toml to StudySpec and back: the only place that knows the keys of a study file."""

from autotune.spec.goal import GoalSpec
from autotune.spec.sections import (
    BudgetSpec,
    DeadlineSpec,
    MeasureSpec,
    ModelSpec,
    RaceSpec,
    SearchSpec,
)
from autotune.spec.shapes import parse_shapes
from autotune.spec.space import SpaceSpec
from autotune.spec.study import STUDY_FILE, StudySpec, build_spec, load_spec, parse_spec
from autotune.spec.toml import to_toml

__all__ = [
    "STUDY_FILE",
    "BudgetSpec",
    "DeadlineSpec",
    "GoalSpec",
    "MeasureSpec",
    "ModelSpec",
    "RaceSpec",
    "SearchSpec",
    "SpaceSpec",
    "StudySpec",
    "build_spec",
    "load_spec",
    "parse_shapes",
    "parse_spec",
    "to_toml",
]
