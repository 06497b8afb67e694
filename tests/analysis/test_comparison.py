"""Studies side by side, and what their page says of them."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.analysis.comparison import (
    Side,
    carried_over,
    differences,
    median_ratio,
    shared,
)
from autotune.cli.report import names, show_comparison
from autotune.domain.fed import Fed
from autotune.domain.measurement import Interval
from autotune.domain.trial import Trial
from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import UsageError
from autotune.report.page.comparison import comparison_view
from autotune.storage.reader import StudyReader
from tests.builders import GOAL, make_configuration, make_measurement, make_trial
from tests.report.studies import make_study

FED = "random data, bound once"


def trial(number: int, batch: int, rate: float) -> Trial:
    """A trial of one configuration at some throughput."""
    measurement = make_measurement(throughput=Interval(rate, rate - 1, rate + 1))
    configuration = make_configuration(batch_size=batch)
    return make_trial(number, configuration=configuration, measurement=measurement)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    """A real one, to be changed."""
    folder = make_study(tmp_path_factory.mktemp("sides") / "a", trials=12)
    with closing(StudyReader.read_only(folder)) as store:
        return Side.of(store, "a", store.identity().goal)


def with_trials(side: Side, name: str, *trials: Trial) -> Side:
    """A side of these trials; the fastest is its best."""
    best = max(trials, key=lambda t: t.measurement.throughput_per_s if t.measurement else 0)
    return replace(side, name=name, trials=trials, best=best, race=None, hint=None)


def test_shared_configurations_by_ratio(side: Side) -> None:
    """Each once, from the one that lost most to the one that won most."""
    a = with_trials(side, "a", trial(0, 1, 100), trial(1, 2, 200), trial(2, 4, 400))
    b = with_trials(side, "b", trial(0, 4, 200), trial(1, 1, 150), trial(2, 8, 900))
    found = shared(a, b)

    assert [one.ratio for one in found] == [0.5, 1.5]
    assert median_ratio(found) == 1.0
    assert median_ratio([]) is None


def test_what_was_chosen_elsewhere(side: Side) -> None:
    """As a share of the best there; unknown where nobody measured it."""
    a = with_trials(side, "a", trial(0, 1, 100), trial(1, 2, 200))
    b = with_trials(side, "b", trial(0, 2, 300), trial(1, 8, 400))

    assert carried_over(a, b) == 0.75
    assert carried_over(b, a) is None
    assert carried_over(replace(a, best=None), b) is None


def test_differences_are_those_that_there_are(side: Side) -> None:
    """Machines and versions by their terms; what is the same has no line."""
    other = replace(side, machine={**side.machine, "cpu_model": "Another"}, versions={})
    found = dict(differences([side, other]))

    assert found["cpu model"][1] == "Another"
    assert found["openvino"][1] is None
    assert set(found) <= {"cpu model", "openvino", "autotune", "python"}
    assert differences([side, side]) == []


def test_a_layout_is_a_difference_where_all_say_it(side: Side) -> None:
    """A study of an older version had cores, too."""
    one = replace(side, machine={**side.machine, "cores": 2, "nodes": 1})
    other = replace(side, machine={**side.machine, "cores": 4, "nodes": 1})
    older = replace(side, machine={"cpu_model": side.machine["cpu_model"]})

    assert dict(differences([one, other])) == {"cores": (2, 4)}
    assert "cores" not in dict(differences([one, older]))


def test_another_model_is_said_first(side: Side) -> None:
    """Its figures are of other work."""
    other = replace(side, identity=replace(side.identity, model_sha256="0" * 64), name="b")

    assert "another model" in comparison_view([side, other], GOAL).lines[0]


def test_what_the_numbers_are_numbers_of_is_said(side: Side) -> None:
    """Once where it is the same, else of each."""
    other = replace(side, identity=replace(side.identity, items_per_request=8), name="b")

    assert comparison_view([side, replace(side, name="b")], GOAL).lines[-1] == (
        "Throughput in items/s; inputs: random data, bound once."
    )
    assert comparison_view([side, other], GOAL).lines[-2:] == (
        f"a: throughput in items/s; inputs: {FED}.",
        f"b: throughput in items/s, 8 items per request at batch 1; inputs: {FED}.",
    )
    assert dict(differences([side, other]))["items per request"] == (1, 8)


SAID = """
[model]
path = "m.onnx"
shape = "x:1,3,8,8"
[goal]
max_latency = "9ms"
[workload]
inputs = "data.npz"
[measure]
feed = "copy"
"""


def test_differences_of_a_workload_are_said_in_words(side: Side) -> None:
    """What was fed, the data by their digest, and each thing that is said; no brackets."""
    facts = WorkloadFacts(samples=8, is_random=False)
    asked = {
        "shapes": {"x": [1, 3, 8, 8]},
        "data_sha256": None,
        "inputs_sha256": "a" * 64,
        "workload": {
            "inputs": "data.npz",
            "pad": {"value": 0.0, "axis": 1},
            "preprocessing": {"size": [480, 640], "mean": [127.5]},
            "shapes": [{"shape": f"1,{n}", "weight": 1.0} for n in range(9)],
        },
    }
    fed = Fed(data="real", workload=facts)
    identity = replace(side.identity, spec=SAID, inputs=asked, fed=fed)
    found = dict(differences([side, replace(side, identity=identity)]))
    assert found["shapes"] == (None, "x 1x3x8x8")
    assert found["inputs"] == (FED, "8 samples of data.npz, copied before each request")
    assert found["input data"] == (None, "a" * 12)
    assert found["workload pad"] == (None, "value 0, axis 1")
    assert found["workload preprocessing"] == (None, "size 480x640, mean 127.5")
    shapes = str(found["workload shapes"][1])
    assert shapes.startswith("shape 1,0, weight 1; shape 1,1, weight 1;")
    assert shapes.endswith("; and 5 more")
    other = replace(identity, inputs={**asked, "inputs_sha256": "b" * 64})
    both = differences([replace(side, identity=one) for one in (identity, other)])
    assert both == [("input data", ("a" * 12, "b" * 12))]


def test_a_side_without_a_best_is_named(side: Side) -> None:
    """Instead of a ratio."""
    view = comparison_view([side, replace(side, best=None, race=None, name="empty")], GOAL)

    assert "Nothing in empty" in view.lines[0]
    assert view.rows[1][1] == "nothing found"


def test_names_tell_folders_apart() -> None:
    """The last part where that is enough, more of the path where it is not."""
    assert names([Path("/x/studies/a"), Path("/y/studies/b")]) == ["a", "b"]
    assert names([Path("/x/s/a"), Path("/y/s/a")]) == ["x/s/a", "y/s/a"]
    assert len(names([Path("/x/a"), Path("/x/a")])) == 2


def test_a_picture_is_of_one_study(tmp_path: Path) -> None:
    """Said before anything is read."""
    with pytest.raises(UsageError, match="--png"):
        show_comparison([tmp_path, tmp_path], None, tmp_path / "a.png", open_it=False)
