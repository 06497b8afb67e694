"""Throughput counts items, wherever it stands: a model with a batch of its own has several."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.events import Event, LaunchFinished, RaceFinished, StudyOpened, TrialFinished
from autotune.domain.goal import Goal, Objective
from autotune.domain.race import Contender, End, Slice
from autotune.errors import StudyMismatchError
from autotune.machines.ports import Runner
from autotune.measuring.measure import Plan, measure
from autotune.racing.contest import contest
from autotune.racing.judge import Field, judge
from autotune.racing.named import NamedContender, RacedModel
from autotune.racing.stored import result_of
from autotune.report.drift import drift_json
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.spec import StudySpec, build_spec
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune
from tests.builders import GOAL, make_block, make_configuration

FREE = Goal(Objective.THROUGHPUT, 99.0, None)
HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
BATCHED = make_configuration(batch_size=4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


def make_spec(*, items: int | None = None, trials: int = 8, share: float = 0.0) -> StudySpec:
    """A small space with two batches."""
    return build_spec(
        {
            "model": {"path": "model.onnx", **({} if items is None else {"items": items})},
            "goal": {"max_latency": "20ms"},
            "budget": {"trials": trials},
            "space": {"batch": [1, 4], "pinning": True, "requests_per_stream": [1, 2]},
            "race": {"share": share},
        },
        "study.toml",
    )


def tuned(folder: Path, runner: SimulatedRunner, **fields: Any) -> tuple[Outcome, list[Event]]:
    """A session, and what was told."""
    events: list[Event] = []
    return tune(make_spec(**fields), folder, runner=runner, on_event=events.append), events


@pytest.mark.parametrize("items", [1, 8])
def test_a_measurement_counts_items(items: int) -> None:
    """Of the model's own batch and of the configuration's."""
    runner = SimulatedRunner()
    model = runner.open(BATCHED.compile_key)
    found = measure(model, BATCHED, GOAL, Plan(limit_s=5, longest_s=20), 0.0, items)
    assert found.throughput_per_s == pytest.approx(
        items * runner.predict(BATCHED).throughput_per_s, rel=1e-6
    )
    requests = found.latency.requests / sum(block.duration_s for block in found.counted)
    assert found.throughput_per_s == pytest.approx(4 * items * requests, rel=1e-6)


def test_a_race_counts_the_items_of_each_contender() -> None:
    """Ratios are of items: eight in a request are faster at a quarter of the requests."""
    contenders = [
        Contender(name="one", configuration=make_configuration()),
        Contender(name="eight", configuration=make_configuration(), items_per_request=8),
    ]
    blocks = [make_block((1.0,) * 100), make_block((4.0,) * 25)]
    slices = [
        Slice(launch, number, place, 0.0, blocks[place])
        for launch in range(3)
        for number in range(4)
        for place in range(2)
    ]
    field = Field(
        contenders=contenders, dossiers={}, slices=slices, goal=FREE, baseline=0, tie_margin=0.01
    )
    one, eight = judge(field, end=End.DECIDED, duration_s=12.0).standings
    assert one.throughput is not None
    assert eight.throughput is not None
    assert eight.ratio is not None
    assert (one.throughput.mean, eight.throughput.mean) == (200.0, 400.0)
    assert eight.ratio.mean == pytest.approx(2.0, rel=1e-3)


def test_a_study_counts_what_inspection_finds(folder: Path) -> None:
    """In every trial, and in what is told at the start."""
    runner = SimulatedRunner(items_per_request=8)
    outcome, events = tuned(folder, runner)
    for trial in outcome.trials:
        assert trial.measurement is not None
        expected = runner.predict(trial.configuration).throughput_per_s
        assert trial.measurement.throughput_per_s == pytest.approx(expected, rel=1e-6)
    assert outcome.items_per_request == 8
    (told,) = [event for event in events if isinstance(event, StudyOpened)]
    assert told.items_per_request == 8
    with closing(StudyReader.read_only(folder)) as store:
        assert store.identity().items_per_request == 8


def test_the_reference_is_shown_in_items() -> None:
    """It is a hint, and has batch 1; how it drifts is the same in any unit."""
    readings = [(1, float(n), make_block((1.0,) * 100, 0.5 + n / 100)) for n in range(6)]
    drift, alone = drift_json(readings, 8), drift_json(readings)
    assert drift is not None
    assert alone is not None
    assert drift["median_per_s"] == pytest.approx(8 * alone["median_per_s"])
    assert drift["slowest"] == pytest.approx(alone["slowest"])


def test_the_study_has_the_last_word(folder: Path) -> None:
    """What is written there counts, whatever inspection finds."""
    outcome, _ = tuned(folder, SimulatedRunner(items_per_request=8), items=3)
    assert outcome.items_per_request == 3
    best = outcome.best
    assert best is not None
    assert best.measurement is not None
    expected = SimulatedRunner(items_per_request=3).predict(best.configuration).throughput_per_s
    assert best.measurement.throughput_per_s == pytest.approx(expected, rel=1e-6)


def test_a_race_of_a_study_counts_as_its_search(folder: Path) -> None:
    """The same unit in the race, in its launches, and in the race as it is stored."""
    runner = SimulatedRunner(items_per_request=8)
    outcome, events = tuned(folder, runner, share=0.2)
    race = outcome.race
    assert race is not None
    told = [e.result for e in events if isinstance(e, LaunchFinished | RaceFinished)]
    with closing(StudyReader.read_only(folder)) as store:
        stored = last_race(store)
    assert stored is not None
    for result in (race, result_of(stored, GOAL), *told):
        for standing in result.standings:
            if standing.throughput is not None:
                contender = standing.contender
                expected = runner.predict(contender.configuration).throughput_per_s
                assert standing.throughput.mean == pytest.approx(expected, rel=1e-6)
                assert contender.search_per_s == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_study_goes_on_counting_as_it_began(folder: Path, is_old: bool) -> None:
    """Also where inspection finds more, and where nothing is stored: units must not be mixed."""
    tuned(folder, SimulatedRunner(), trials=4)
    if is_old:
        with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
            connection.execute("UPDATE autotune_study SET items_per_request = NULL")
    runner = SimulatedRunner(items_per_request=8)
    outcome, events = tuned(folder, runner, trials=8)
    assert outcome.items_per_request == 1
    (note,) = [note for e in events if isinstance(e, StudyOpened) for note in e.notes]
    assert "goes on counting 1 per request" in note
    trials = [e.trial for e in events if isinstance(e, TrialFinished)]
    assert trials
    for trial in trials:
        assert trial.measurement is not None
        expected = SimulatedRunner().predict(trial.configuration).throughput_per_s
        assert trial.measurement.throughput_per_s == pytest.approx(expected, rel=1e-6)


def test_other_items_are_another_study(folder: Path) -> None:
    """Once they are written down and differ; the same may be written down later."""
    tuned(folder, SimulatedRunner(items_per_request=8), trials=4)
    assert tuned(folder, SimulatedRunner(), items=8, trials=5)[0].items_per_request == 8
    with pytest.raises(
        StudyMismatchError, match="the items in a request have changed: 8 then, 4 now"
    ):
        tuned(folder, SimulatedRunner(items_per_request=8), items=4, trials=6)


# --- races without a study


def named_one(name: str, path: str, items: int | None = None, **fields: Any) -> NamedContender:
    """The same settings of some model."""
    return NamedContender(
        contender=Contender(name=name, configuration=HINT),
        model=RacedModel(path=Path(path), shapes={}, items_per_request=items, **fields),
    )


def counted(named: list[NamedContender], found: dict[str, int]) -> list[int]:
    """Items of each contender, where inspection finds these by model."""

    def runners(model: RacedModel, _: Path) -> Runner:
        return SimulatedRunner(items_per_request=found.get(model.path.name, 1))

    race, _ = contest(named, FREE, 5.0, runners=runners)
    result = race.result()
    for standing in result.standings:
        contender = standing.contender
        expected = SimulatedRunner(items_per_request=contender.items_per_request)
        assert standing.throughput is not None
        assert standing.throughput.mean == pytest.approx(
            expected.predict(contender.configuration).throughput_per_s, rel=1e-6
        )
    return [standing.contender.items_per_request for standing in result.standings]


def test_entrants_of_several_models_count_their_own() -> None:
    """A model with a batch of eight against one without."""
    assert counted([named_one("a", "a"), named_one("b", "b")], {"b": 8}) == [1, 8]


def test_what_a_file_says_stands_against_inspection() -> None:
    """It counted so when its claims were made."""
    assert counted([named_one("a", "a", 1), named_one("b", "b", 4)], {"a": 8, "b": 8}) == [1, 4]


def test_entrants_of_one_model_count_alike() -> None:
    """Else a file of an earlier version would lose to its own hint by a factor of eight."""
    old, new, words = named_one("old", "a", 1), named_one("new", "a", 8), named_one("words", "a")
    assert counted([old, words], {"a": 8}) == [1, 1]
    assert counted([old, new, words], {"a": 2}) == [8, 8, 8]
    fed = replace(words, model=replace(words.model, inputs=Path("data.npz")))
    assert counted([new, fed], {}) == [8, 8]
