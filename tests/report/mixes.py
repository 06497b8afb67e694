"""Studies of a mix of shapes, to be reported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.domain.fed import Fed
from autotune.domain.measurement import Interval, Readings
from autotune.domain.trial import Trial
from autotune.domain.workload_facts import WorkloadFacts
from autotune.workload.mix import Mix
from tests.builders import make_configuration, make_measurement, make_trial
from tests.report.studies import evidence

WIDTHS = (80, 160, 320)
MIX = Mix(
    shapes=tuple({"x": (1, 3, 48, width)} for width in WIDTHS), weights=(0.5, 0.25, 0.25), pads={}
)
FACTS = WorkloadFacts(
    samples=64,
    is_random=False,
    shapes=MIX.shapes,
    weights=MIX.weights,
    costs_ms=(((80,), 3.0), ((320,), 12.0)),
)
BUCKETS = "buckets:160|320"
SPEC = """
[model]
path = "model.onnx"
[goal]
max_latency = "10ms"
[workload]
inputs = ["a.npz", "b.npz"]
[measure]
feed = "{feed}"
"""


def served(plan: str, number: int = 0, rate: float = 200, **fields: Any) -> Trial:
    """A trial of a plan."""
    readings = fields.pop("readings", Readings())
    configuration = make_configuration(shape_plan=plan, **fields)
    measurement = make_measurement(throughput=Interval(rate, rate - 1, rate + 1), readings=readings)
    return make_trial(number, configuration=configuration, measurement=measurement)


def of_a_mix(study: Path, facts: WorkloadFacts, feed: str = "copy", **fields: Any) -> Evidence:
    """A study's evidence as if it had fed this, and its first trials had other plans."""
    found = evidence(study)
    identity = replace(
        found.identity, spec=SPEC.format(feed=feed), fed=Fed(data="real", workload=facts)
    )
    plans = ("dynamic", "padded", BUCKETS, "buckets:80|160|320")
    trials = list(found.trials)
    for place, plan in enumerate(plans):
        trials[place] = served(plan, trials[place].number, 100 + place, **fields)
    return replace(found, identity=identity, trials=tuple(trials), leader=trials[2])
