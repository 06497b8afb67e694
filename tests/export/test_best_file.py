import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.fed import Fed
from autotune.domain.race import Status
from autotune.errors import AutotuneError
from autotune.export.best_accuracy import best_accuracy
from autotune.export.best_file import (
    FORMAT_VERSION,
    BestFile,
    BestModel,
    best_at,
    json_schema,
    read_best,
    relative_model_path,
    write_best,
)
from autotune.export.core_budget import limit_of, properties_of
from autotune.export.from_trial import best_file
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.spec.variants import AccuracySpec
from autotune.stats.accuracy import accuracy
from tests.builders import GOAL, make_failure, make_measurement, make_opening, make_trial

HINT = make_trial(0, configuration=Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT))


def make_best() -> BestFile:
    """A valid file."""
    trial = make_trial(3)
    return best_file(
        trial=trial,
        trials=(HINT, trial),
        goal=GOAL,
        model=BestModel(path="../m.onnx", sha256="0" * 64, shapes={"x": [1, 3]}),
        machine={"cpu_model": "x"},
        versions={"openvino": "1"},
        study="s",
    )


def test_written_file_is_read_back(tmp_path: Path) -> None:
    """Nothing is lost between writing and reading."""
    best = make_best()
    write_best(best, tmp_path / "best.json")

    assert read_best(tmp_path / "best.json") == best


@pytest.mark.parametrize("shape", [[1, 160_000], [1, 8, 0, 64], []])
def test_any_shape_that_a_study_takes_can_be_written(tmp_path: Path, shape: list[int]) -> None:
    """A night must not end because a sound is long, a past is empty, or an input a scalar."""
    model = BestModel(path="m.onnx", sha256="0" * 64, shapes={"x": shape})
    best = make_best().model_copy(update={"model": model})
    write_best(best, tmp_path / "best.json")
    assert read_best(tmp_path / "best.json").model.shapes == {"x": shape}


def test_file_validates_against_the_shipped_schema() -> None:
    """The schema in the package is the one of the code, and accepts what is written."""
    shipped = json.loads(files("autotune.export").joinpath("best.schema.json").read_text())

    assert shipped == json.loads(json.dumps(json_schema()))
    jsonschema.validate(make_best().model_dump(mode="json"), shipped)


def test_performance_hint_is_always_present() -> None:
    """A target that is not told a hint chooses one of its own."""
    assert make_best().properties["PERFORMANCE_HINT"] == "THROUGHPUT"


def test_ratio_is_to_the_better_hint() -> None:
    """Both measure 200 items per second, so neither is better."""
    assert make_best().ratio_to_better_hint == 1.0
    assert [baseline.name for baseline in make_best().baselines] == ["CPU THROUGHPUT"]


def test_what_was_fed_and_what_workers_ran_under_is_said() -> None:
    """Beside the number; nothing of it where nobody knows."""
    trial = make_trial(3)
    fed = Fed(data="random", warnings=("a loop runs as often as an input says",))
    best = best_file(
        trial=trial,
        trials=(HINT, trial),
        goal=GOAL,
        model=BestModel(path="m.onnx", sha256="0" * 64, shapes={}, items_per_request=8),
        machine={},
        versions={},
        study="s",
        fed=fed,
        environment={"LD_PRELOAD": "libjemalloc.so"},
    )
    assert (best.measured.data, best.measured.warnings) == ("random", list(fed.warnings))
    assert best.environment == {"LD_PRELOAD": "libjemalloc.so"}
    assert best.model.items_per_request == 8

    plain = make_best()
    assert (plain.measured.data, plain.measured.warnings, plain.environment) == (None, [], {})
    assert plain.model.items_per_request == 1


@pytest.mark.parametrize("unproven", [None, "the outputs are empty"])
def test_a_search_alone_proves_no_answers(unproven: str | None) -> None:
    """What it could not prove is unproven in the file, with the reason."""
    measurement = make_measurement(opening=make_opening(unproven=unproven))
    trial = make_trial(3, measurement=measurement)
    best = best_file(
        trial=trial,
        trials=(HINT, trial),
        goal=GOAL,
        model=make_best().model,
        machine={},
        versions={},
        study="s",
    )
    assert best.unproven == unproven
    assert best.status is (Status.UNPROVEN if unproven else Status.UNCONFIRMED)
    jsonschema.validate(best.model_dump(mode="json"), json_schema())


def test_a_failed_trial_is_never_exported() -> None:
    """There is nothing to say about it."""
    failed = make_trial(1, failure=make_failure())
    with pytest.raises(ValueError, match="failed"):
        best_file(
            trial=failed,
            trials=(failed,),
            goal=GOAL,
            model=make_best().model,
            machine={},
            versions={},
            study="s",
        )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "no valid best.json"),
        ('{"format_version": 99}', "upgrade autotune"),
        ('{"format_version": 1}', "device: Field required"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    """The message names the file and what is wrong with it."""
    path = tmp_path / "best.json"
    path.write_text(text)
    with pytest.raises(AutotuneError, match=says) as refusal:
        read_best(path)

    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_is_refused_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    """Whatever is in the file, the answer is an error of ours."""
    path = tmp_path_factory.mktemp("fuzz") / "best.json"
    path.write_text(json.dumps(value))
    with pytest.raises(AutotuneError):
        read_best(path)


def test_an_edited_field_is_refused(tmp_path: Path) -> None:
    """Numbers that cannot be are named by their field."""
    values = make_best().model_dump(mode="json")
    values["num_requests"] = 0
    path = tmp_path / "best.json"
    path.write_text(json.dumps(values))
    with pytest.raises(AutotuneError, match="num_requests"):
        read_best(path)


def test_an_unwritable_folder_leaves_nothing(tmp_path: Path) -> None:
    """The error names the file; no temporary file stays behind."""
    with pytest.raises(AutotuneError, match="cannot be written"):
        write_best(make_best(), tmp_path / "missing" / "best.json")

    assert not list(tmp_path.iterdir())


def test_model_path_is_relative_to_the_file(tmp_path: Path) -> None:
    """Model and study can be moved together."""
    assert relative_model_path(tmp_path / "m.onnx", tmp_path / "studies" / "a") == "../../m.onnx"


# --- the core budget


def held_by(cpus: str, asked: str = "2", **machine: Any) -> BestFile:
    """A file of a study under a budget."""
    trial = make_trial(3)
    return best_file(
        trial=trial,
        trials=(HINT, trial),
        goal=GOAL,
        model=BestModel(path="m.onnx", sha256="0" * 64, shapes={}),
        machine={"logical_cpus": 8, "core_budget": asked, "core_budget_cpus": cpus, **machine},
        versions={},
        study="s",
    )


def test_a_core_budget_is_in_the_file(tmp_path: Path) -> None:
    """As a list and as a count; a file without one does not name it."""
    best, plain = held_by("2-3"), make_best()
    write_best(best, tmp_path / "best.json")
    values = json.loads((tmp_path / "best.json").read_text())
    assert values["core_budget"] == {"asked": "2", "count": 2, "cpus": [2, 3]}
    assert values["format_version"] == FORMAT_VERSION
    assert read_best(tmp_path / "best.json") == best
    assert str(best.budget) == "2 of 8 CPUs: 2-3"
    jsonschema.validate(values, json_schema())
    write_best(plain, tmp_path / "best.json")
    older = json.loads((tmp_path / "best.json").read_text())
    assert "core_budget" not in older
    assert plain.budget is None


@pytest.mark.parametrize(
    "edited",
    [
        {"count": 3},
        {"cpus": [3, 2]},
        {"cpus": [2, 2]},
        {"asked": "3"},
        {"asked": "4-5"},
        {"asked": "many"},
    ],
)
def test_a_core_budget_that_contradicts_itself_is_refused(edited: dict[str, object]) -> None:
    """Somebody's hands were on it, and which of the two was meant is not known."""
    best = held_by("2-3")
    assert best.core_budget is not None
    changed = best.model_copy(update={"core_budget": best.core_budget.model_copy(update=edited)})
    with pytest.raises(ValueError, match=r"contradict|no number"):
        _ = changed.budget


@pytest.mark.parametrize(
    ("machine", "limit"),
    [
        ({"core_budget": None}, None),
        ({}, 2.0),
        ({"core_budget": None, "affinity_cpus": 8, "quota_cpus": 1.5}, 1.5),
        ({"core_budget": None, "affinity_cpus": 8, "quota_cpus": 8.0}, None),
        ({"core_budget": None, "affinity_cpus": "8", "quota_cpus": "1"}, None),
    ],
)
def test_threads_of_a_hint_are_said_where_it_had_some_cpus(
    machine: dict[str, Any], limit: float | None
) -> None:
    """It takes as many as it sees CPUs; whatever said its threads itself is left as it is."""
    best = held_by("2-3", **machine)
    assert limit_of(best) == limit
    assert properties_of(best) == best.properties
    hint = best.model_copy(
        update={
            "properties": {"PERFORMANCE_HINT": "LATENCY"},
            "effective": {"INFERENCE_NUM_THREADS": "2"},
        }
    )
    said = {"INFERENCE_NUM_THREADS": "2"} if limit else {}
    assert properties_of(hint) == {**hint.properties, **said}
    unknown = hint.model_copy(update={"effective": {"INFERENCE_NUM_THREADS": "0"}})
    assert properties_of(unknown) == hint.properties
    assert properties_of(hint.model_copy(update={"device": "GPU"})) == hint.properties


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    """As `tune` leaves it there; a file is itself, there or not."""
    assert best_at(tmp_path) == tmp_path / "best.json"
    assert best_at(tmp_path / "other.json") == tmp_path / "other.json"


def test_a_variant_may_lose_less_than_nothing(tmp_path: Path) -> None:
    """A quantised model that is right more often; and one of which nothing is bounded."""
    gains = accuracy("top1", [0.0, 1.0] * 50, [1.0] * 100, 0.01)
    unbounded = accuracy("mAP", [31.0, 33.0], [30.0, 35.0], 5.0)
    for found in (gains, unbounded):
        told = best_accuracy(AccuracySpec(), found, tmp_path, tmp_path)
        file = make_best().model_copy(update={"accuracy": told})
        write_best(file, tmp_path / "best.json")
        assert read_best(tmp_path / "best.json").accuracy == told
    assert told is not None
    assert (told.drop_low, told.drop_high) == (None, None)
