"""The machine's own noise: a race of a configuration against itself, and what is kept of it."""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Interval
from autotune.domain.race import Contender, Dossier, End, RaceResult, Slice
from autotune.errors import BusyError, MachineFaultError
from autotune.machines.locks import machine_lock
from autotune.machines.ports import Runner
from autotune.racing.calibrate import calibrate, calibration_of, largest_difference, log_ratios
from autotune.racing.calibration import load_calibration, tie_margin
from autotune.racing.judge import Field, judge
from autotune.racing.named import RacedModel
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedRunner
from tests.builders import make_block, make_failure

THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
MODEL = RacedModel(path=Path("classifier.onnx"), shapes={})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for calibrations that is nobody's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "autotune" / "calibration.json"


def on(runner: SimulatedRunner) -> Callable[[RacedModel, Path], Runner]:
    """Every model on this machine."""
    return lambda model, folder: runner


def make_slice(launch: int, number: int, contender: int, count: int) -> Slice:
    """So many requests in half a second."""
    return Slice(launch, number, contender, 0.0, make_block((1.0,) * count))


def make_result(slices: list[Slice], dossiers: dict[int, Dossier] | None = None) -> RaceResult:
    """The race of twins with these slices."""
    field = Field(
        contenders=[Contender(name="a", configuration=THROUGHPUT)] * 2,
        dossiers=dossiers or {},
        slices=slices,
        goal=Goal(Objective.THROUGHPUT, 99.0, None),
        baseline=0,
        tie_margin=0.01,
    )
    return judge(field, end=End.BUDGET, duration_s=30.0)


def test_a_quiet_machine_makes_equal_things_equal() -> None:
    """Without noise twins differ by next to nothing, and equal is what is within 1 %."""
    found, result, _ = calibrate(MODEL, 60.0, runners=on(SimulatedRunner()))
    assert found.noise < 0.005
    assert found.slice_sd == pytest.approx(0.0, abs=1e-9)
    assert found.ratio == pytest.approx(1.0)
    assert (found.launches, found.rounds) == (result.launches, result.rounds)
    assert tie_margin(found) == 0.01


def test_noise_is_found_as_it_was_planted() -> None:
    """Blocks that vary by 4 % give paired ratios that vary by the root of two times that."""
    found, result, _ = calibrate(MODEL, 300.0, runners=on(SimulatedRunner(noise=0.04)))
    assert found.slice_sd == pytest.approx(0.04 * math.sqrt(2), rel=0.3)
    assert 0.005 < found.noise < 0.1
    assert found.rounds == result.rounds >= 18


def test_the_calibration_is_kept_for_this_machine(state: Path) -> None:
    """Whoever measures here next finds it, and a machine with another runtime does not."""
    runner = SimulatedRunner(noise=0.03)
    found, _, file = calibrate(MODEL, 60.0, runners=on(runner))
    machine = runner.machine(runner.inspect(["CPU"], try_batch=False))
    assert file == state
    assert load_calibration(machine) == found
    assert load_calibration(replace(machine, openvino="2030")) is None
    assert json.loads(file.read_text())
    assert found.model == "classifier.onnx"


def test_without_a_model_a_sample_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written before the race and gone after it."""
    seen: list[Path] = []

    def write(path: Path, cpus: Collection[int]) -> Path:
        path.write_text("<net/>")
        return path

    def make(model: RacedModel, folder: Path) -> Runner:
        assert model.path.is_file()
        seen.append(model.path)
        return SimulatedRunner()

    monkeypatch.setattr("autotune.racing.calibrate.write_sample_model", write)
    found, _, _ = calibrate(budget_s=30.0, runners=make)
    assert found.model == "a small convolutional network"
    assert [path.exists() for path in seen] == [False]


def test_launches_are_told_and_it_ends_when_asked(state: Path) -> None:
    """What was seen by then is no calibration: it would widen every tie."""
    launches: list[int] = []
    with pytest.raises(MachineFaultError, match="was stopped"):
        calibrate(
            MODEL,
            300.0,
            on_launch=lambda race: launches.append(race.launches),
            is_stopped=lambda: len(launches) >= 2,
            runners=on(SimulatedRunner(noise=0.02)),
        )
    assert launches == [1, 2]
    assert not state.exists()


def test_too_little_is_no_calibration(state: Path) -> None:
    """Stopped at once: an error with its reason, and no file."""
    with pytest.raises(MachineFaultError, match="was stopped"):
        calibrate(MODEL, 60.0, is_stopped=lambda: True, runners=on(SimulatedRunner()))
    assert not state.exists()


def test_a_twin_that_fails_is_no_calibration(state: Path) -> None:
    """With its failure in words."""
    crash = make_failure(FailureKind.CRASH, phase="open")
    runner = SimulatedRunner(faults={THROUGHPUT.compile_key: [crash] * 9})
    with pytest.raises(MachineFaultError, match="the calibration failed: it broke"):
        calibrate(MODEL, 60.0, runners=on(runner))
    assert not state.exists()


def test_a_calibration_is_alone_on_the_machine() -> None:
    """Anything else that runs would be taken for noise."""
    with machine_lock(), pytest.raises(BusyError):
        calibrate(MODEL, 60.0, runners=on(SimulatedRunner()))


def test_a_calibration_says_what_the_race_says() -> None:
    """The far end of the interval of the ratio, and the spread of its rounds."""
    rates = [(200, 202), (200, 198), (200, 204), (200, 200)]
    slices = [
        make_slice(launch, number, contender, pair[contender])
        for launch in range(2)
        for number, pair in enumerate(rates)
        for contender in (0, 1)
    ]
    result = make_result(slices)
    ratios = log_ratios(slices)
    found = calibration_of(result, ratios, "m")
    assert ratios == pytest.approx([math.log(b / a) for a, b in rates] * 2)
    assert found.slice_sd == pytest.approx(np.std(ratios, ddof=1))
    twin = result.standings[1].ratio
    assert twin is not None
    assert (found.ratio, found.noise) == (twin.mean, largest_difference(twin))
    assert (found.launches, found.rounds, found.duration_s) == (2, 8, 30.0)


def test_only_rounds_of_both_twins_are_compared() -> None:
    """One that had its turn alone has no ratio."""
    slices = [make_slice(0, 0, 1, 100), make_slice(0, 1, 0, 100)]
    assert log_ratios(slices) == []
    with pytest.raises(MachineFaultError, match="too few rounds"):
        calibration_of(make_result(slices), [], "m")


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (Interval(1.0, 0.98, 1.01), 1 / 0.98 - 1),
        (Interval(1.0, 0.99, 1.05), 0.05),
        (Interval(1.0, 1.0, 1.0), 0.0),
        (Interval(1.0, None, None), None),
        (Interval(1.0, 0.0, 2.0), None),
    ],
)
def test_the_farther_end_counts(ratio: Interval, expected: float | None) -> None:
    """Upwards or downwards alike; nothing without an interval."""
    found = largest_difference(ratio)
    assert found == (None if expected is None else pytest.approx(expected))


@given(st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_the_difference_is_the_same_from_either_side(one: float, other: float) -> None:
    """Which of the twins comes first does not matter, and no difference is negative."""
    low, high = sorted((one, other))
    found = largest_difference(Interval(1.0, low, high))
    assert found is not None
    assert found >= 0
    assert found == pytest.approx(largest_difference(Interval(1.0, 1 / high, 1 / low)))


def test_twins_run_the_same_configuration() -> None:
    """Two workers, one configuration: what differs is the machine."""
    runner = SimulatedRunner()
    _, result, _ = calibrate(MODEL, 60.0, runners=on(runner))
    assert {key.key for key in runner.opened} == {THROUGHPUT.compile_key.key}
    assert len(runner.opened) == 2 * result.launches
    assert len(result.standings) == 2
