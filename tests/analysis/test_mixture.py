"""A study's mix: its shapes with their costs, and what each plan came to."""

from typing import Any

import pytest

from autotune.analysis.frames import frame, to_records
from autotune.analysis.mixture import mix_fed, padding_of, plan_of, plan_rows, shape_rows
from autotune.domain.fed import Fed
from autotune.domain.goal import Verdict
from autotune.domain.measurement import Interval, Readings
from autotune.domain.trial import Trial
from autotune.domain.workload_facts import WorkloadFacts
from autotune.storage.identity import Identity
from tests.builders import GOAL, make_configuration, make_measurement, make_trial

FACTS = WorkloadFacts(
    samples=64,
    is_random=False,
    shapes=tuple({"x": (1, 3, 48, width)} for width in (320, 80, 160)),
    weights=(0.25, 0.5, 0.25),
    costs_ms=(((80,), 3.0), ((320,), 12.0)),
)
FED = Fed(data="real", workload=FACTS)


def served(number: int, plan: str | None, rate: float, **fields: Any) -> Trial:
    """A trial of a plan."""
    configuration = make_configuration(**({} if plan is None else {"shape_plan": plan}))
    measurement = make_measurement(throughput=Interval(rate, rate - 1, rate + 1), **fields)
    return make_trial(number, configuration=configuration, measurement=measurement)


def identity(fed: Fed | None, items: int = 1) -> Identity:
    """Of a study that feeds this."""
    return Identity(
        name="s",
        spec="",
        model_sha256="0" * 64,
        inputs={},
        goal=GOAL,
        space={},
        items_per_request=items,
        fed=fed,
    )


def test_shapes_stand_by_what_they_hold() -> None:
    """With their shares, and costs where these were measured."""
    rows = [(row.sizes, row.share, row.cost_ms) for row in shape_rows(FACTS)]
    assert rows == [((80,), 0.5, 3.0), ((160,), 0.25, None), ((320,), 0.25, 12.0)]
    assert shape_rows(WorkloadFacts(samples=1, is_random=True)) == []


def test_a_study_without_a_mix_has_none() -> None:
    """Whatever else it is fed with."""
    assert mix_fed(None) is None
    assert mix_fed(Fed(data="random")) is None
    assert mix_fed(Fed(data="real", workload=WorkloadFacts(samples=1, is_random=False))) is None


def test_each_plan_has_its_best_that_meets_the_goal() -> None:
    """In the order in which plans were measured; a hint is dynamic."""
    mix = mix_fed(FED)
    assert mix is not None
    trials = [
        served(0, None, 100),
        served(1, "buckets:160|320", 300),
        served(2, "buckets:160|320", 400, verdict=Verdict.MISSED),
        served(3, "dynamic", 150),
        served(4, "padded", 50, verdict=Verdict.UNCLEAR),
    ]
    dynamic, buckets, padded = plan_rows(trials, GOAL, mix)
    assert (str(dynamic.plan), dynamic.trials, dynamic.padding) == ("dynamic", 2, 0)
    assert dynamic.best is trials[3]
    assert (str(buckets.plan), buckets.trials) == ("buckets:160|320", 2)
    assert buckets.best is trials[1]
    assert buckets.padding == pytest.approx((0.75 * 160 + 0.25 * 320) / 160 - 1)
    assert [use.sizes for use in buckets.uses] == [(160,), (320,)]
    assert (padded.best, padded.trials) == (None, 1)
    assert padded.padding == padding_of(trials[4].configuration, mix) == pytest.approx(1)
    assert plan_of(trials[0].configuration) == dynamic.plan


def test_padding_and_preparation_are_in_the_frame() -> None:
    """Missing where shapes are not mixed, nothing is prepared, or nothing is known of the study."""
    prepared = served(1, "padded", 200, readings=Readings(prepare_ms=0.25))
    names = ("padding_share", "prepare_ms", "prepare_share", "prepare_busy")

    def of(fed: Fed | None, items: int = 2) -> list[list[object]]:
        records = to_records(frame([served(0, None, 100), prepared], identity(fed, items)))
        return [[row[name] for name in names] for row in records]

    plain, other = of(FED)
    assert plain == [0.0, None, None, None]
    assert other == [pytest.approx(1), 0.25, 0.25, pytest.approx(0.25e-3 * 200 / 2)]
    assert of(None) == [[None] * 4, [None, 0.25, 0.25, pytest.approx(0.025)]]
    (row,) = to_records(frame([prepared]))
    assert [row[name] for name in names] == [None, 0.25, 0.25, None]
