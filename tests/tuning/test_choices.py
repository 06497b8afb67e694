"""The space of a study that names ways to serve its mix of shapes."""

from dataclasses import replace
from typing import Any

import pytest

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import Inspection
from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import SpecError
from autotune.space.rows.workload import SHAPE_PLAN
from autotune.spec import StudySpec, build_spec
from autotune.testing import SimulatedRunner
from autotune.tuning.choices import space_of

FOUR = Hardware(cpus=4, cores=4, devices={})


def study(*plans: str) -> StudySpec:
    """That names them; none where it leaves it open."""
    values: dict[str, Any] = {"model": {"path": "m"}, "goal": {"max_latency": "1s"}}
    if plans:
        values["space"] = {"shape_plan": list(plans)}
    return build_spec(values, "study.toml")


def mixed(count: int, **why: Any) -> Inspection:
    """Facts of a model with so many lengths."""
    shapes = tuple({"x": (1, size)} for size in range(1, count + 1))
    weights = (1 / count,) * count
    workload = WorkloadFacts(samples=count, is_random=False, shapes=shapes, weights=weights, **why)
    return replace(SimulatedRunner().inspect(["CPU"], try_batch=True), workload=workload)


NEITHER = {"why_no_padding": "answers change", "why_no_open_shapes": "it does not compile"}


@pytest.mark.parametrize("count", [9, 19])
def test_what_a_study_names_holds_whatever_else_could_not_be(count: int) -> None:
    """Of many shapes each has a bucket where that is said, though no usual plan is left."""
    found = mixed(count, **NEITHER)
    own = "buckets:" + "|".join(map(str, range(1, count + 1)))
    space = space_of(study(f"buckets:{count}"), found, FOUR)
    assert space.choices[SHAPE_PLAN.name] == (own,)
    again = space_of(study(f"buckets:{count}"), found, FOUR, space)
    assert again.choices[SHAPE_PLAN.name] == (own,)
    with pytest.raises(SpecError, match="it does not compile"):
        space_of(study(), found, FOUR)


def test_what_was_begun_goes_on_though_nothing_is_named_and_less_is_known() -> None:
    """Its numbers are of those plans."""
    begun = space_of(study(), mixed(3, why_no_padding="answers change"), FOUR)
    assert begun.choices[SHAPE_PLAN.name] == ("dynamic", "bounded", "buckets:1|2|3")
    again = space_of(study(), mixed(3, **NEITHER), FOUR, begun)
    assert again.choices[SHAPE_PLAN.name] == begun.choices[SHAPE_PLAN.name]
