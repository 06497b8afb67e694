"""What becomes of a file's claims: judged from a race of the file's configuration and a hint."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.limits import limits_of
from autotune.domain.measurement import Feed, Interval
from autotune.domain.model_file import model_sha256
from autotune.domain.race import (
    Contender,
    Dossier,
    End,
    RaceResult,
    Slice,
    Status,
)
from autotune.errors import AutotuneError, ModelError, StudyMismatchError
from autotune.export.best_file import BestFile, BestModel, write_best
from autotune.export.from_trial import best_file
from autotune.machines.ports import Runner
from autotune.racing.claims import Finding, Verification, judge_claims
from autotune.racing.judge import Field, judge
from autotune.racing.named import RacedModel
from autotune.racing.verify import verify
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedCpu, SimulatedRunner
from tests.builders import (
    make_block,
    make_configuration,
    make_failure,
    make_measurement,
    make_opening,
    make_trial,
)

LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
TUNED = make_configuration()
GOAL = Goal(Objective.THROUGHPUT, 99.0, 10.0)
MACHINE = SimulatedRunner().machine(SimulatedRunner().inspect(["CPU"], try_batch=False)).to_dict()
PATH = Path("best.json")


@pytest.fixture(autouse=True)
def _never_calibrated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def make_result(
    tuned_per_s: float = 300.0,
    hint_per_s: float = 200.0,
    *,
    goal: Goal = GOAL,
    launches: int = 3,
    rounds: int = 4,
    late: int = 0,
    hint_late: int = 0,
    latency_ms: float = 5.0,
    hint_ms: float | None = None,
    wobble: float = 0.01,
    failed: FailureKind | None = None,
    unproven: str | None = None,
    configuration: Configuration = TUNED,
    hint: Configuration | None = THROUGHPUT,
) -> RaceResult:
    """A race in which both were this fast, with so many requests over the cap in each slice."""
    lates, usual_ms = (late, hint_late), (latency_ms, hint_ms or latency_ms)

    def block(position: int, per_s: float, step: int) -> Any:
        count = max(1, round(per_s / 2))
        times = [usual_ms[position]] * (count - lates[position]) + [50.0] * lates[position]
        return make_block(times, duration_s=0.5 * (1 + wobble * ((7 * step) % 5 - 2)))

    speeds = [tuned_per_s] if hint is None else [tuned_per_s, hint_per_s]
    slices = [
        Slice(launch, number, position, 0.0, block(position, per_s, launch + number))
        for launch in range(launches)
        for number in range(rounds)
        for position, per_s in enumerate(speeds)
        if not (failed and position == 0)
    ]
    named = [Contender(name="best.json", configuration=configuration, trial=3)]
    if hint is not None:
        named.append(Contender(name=str(hint), configuration=hint, trial=1))
    field = Field(
        contenders=named,
        dossiers={
            0: Dossier(
                failure=None if failed is None else make_failure(failed),
                opening=make_opening(unproven=unproven),
            )
        },
        slices=slices,
        goal=goal,
        baseline=len(named) - 1,
        tie_margin=0.01,
    )
    return judge(field, end=End.BUDGET, duration_s=12.0)


def measured(configuration: Configuration, per_s: float) -> Any:
    """What the search saw, with an interval of 2 %."""
    return make_measurement(
        configuration=configuration, throughput=Interval(per_s, 0.98 * per_s, 1.02 * per_s)
    )


def make_best(
    *,
    exported: Configuration = TUNED,
    race: RaceResult | None = None,
    hints: dict[Configuration, float] | None = None,
    goal: Goal = GOAL,
    **fields: Any,
) -> BestFile:
    """A file of a study that found 300 per second where the hints have 200 and 100."""
    speeds = {THROUGHPUT: 200.0, LATENCY: 100.0} if hints is None else hints
    trials = [
        make_trial(number + 1, configuration=c, measurement=measured(c, per_s))
        for number, (c, per_s) in enumerate(speeds.items())
    ]
    known = {t.configuration: t for t in trials}
    best = known.get(exported) or make_trial(
        3, configuration=exported, measurement=measured(exported, 300.0)
    )
    values: dict[str, Any] = {
        "trial": best,
        "trials": tuple(trials if best in trials else [*trials, best]),
        "goal": goal,
        "model": BestModel(path="model.onnx", sha256="0" * 64, shapes={}),
        "machine": MACHINE,
        "versions": {},
        "study": "s",
        "race": race,
        **fields,
    }
    return best_file(**values)


CERTIFIED = make_best(race=make_result())
"""At least about 299 items per second, 1.5 times the hint, p99 at most 5 ms."""


def found(result: RaceResult, best: BestFile = CERTIFIED, goal: Goal = GOAL) -> Verification:
    """What is found of a file."""
    return judge_claims(PATH, best, result, goal)


# --- the rules


LOWEST = Goal(Objective.LATENCY, 99.0, None)


@pytest.mark.parametrize(
    ("changes", "latency", "holds"),
    [
        ({}, Finding.HOLDS, True),
        ({"latency_ms": 5.05, "hint_ms": 10.0}, Finding.HOLDS, True),
        ({"latency_ms": 8.0, "hint_ms": 10.0}, Finding.BROKEN, False),
        ({"latency_ms": 8.0, "hint_ms": 10.0, "launches": 1}, Finding.UNSHOWN, False),
        ({"latency_ms": 8.0, "hint_ms": 16.0}, Finding.RELATIVE, True),
        ({"latency_ms": 8.0, "hint_ms": 12.0}, Finding.BROKEN, False),
        ({"failed": FailureKind.CRASH}, Finding.UNSHOWN, False),
    ],
    ids=[
        "as then",
        "within 2 %",
        "slower",
        "seen once",
        "all slower",
        "more than the hint",
        "dead",
    ],
)
def test_the_latency_of_a_file_that_was_made_for_it(
    changes: dict[str, Any], latency: Finding, holds: bool
) -> None:
    """At most what is claimed, or as far below the hint as then on a machine that is slower now."""
    race = make_result(goal=LOWEST, latency_ms=5.0, hint_ms=10.0)
    best = make_best(goal=LOWEST, race=race)
    then = {"latency_ms": 5.0, "hint_ms": 10.0}
    now = found(make_result(goal=LOWEST, **{**then, **changes}), best, LOWEST)
    assert (now.latency, now.holds) == (latency, holds)
    assert now.is_broken == (latency is Finding.BROKEN)


def test_a_throughput_beside_a_latency_is_judged_by_rates() -> None:
    """The ratio to the hint is one of latencies there, and says nothing of the rate."""
    race = make_result(goal=LOWEST, latency_ms=5.0, hint_ms=10.0)
    best = make_best(goal=LOWEST, race=race)
    half = make_result(150.0, 100.0, goal=LOWEST, latency_ms=5.0, hint_ms=10.0)
    assert found(half, best, LOWEST).throughput is Finding.RELATIVE
    slower = make_result(150.0, 200.0, goal=LOWEST, latency_ms=5.0, hint_ms=20.0)
    assert found(slower, best, LOWEST).throughput is Finding.BROKEN


def test_only_a_file_that_was_made_for_latency_claims_one() -> None:
    """Elsewhere the cap is what is claimed."""
    assert found(make_result()).latency is None


@pytest.mark.parametrize(
    ("changes", "answers"),
    [
        ({}, Finding.HOLDS),
        ({"unproven": "its output is empty for every sample"}, Finding.UNSHOWN),
        ({"failed": FailureKind.WRONG_OUTPUT}, Finding.BROKEN),
        ({"failed": FailureKind.CRASH}, Finding.HOLDS),
    ],
    ids=["proven", "unproven", "wrong", "crashed"],
)
def test_answers_that_are_not_proven_now_do_not_hold(
    changes: dict[str, Any], answers: Finding
) -> None:
    """However fast they are: an older version may have proven them by outputs that say nothing."""
    seen = found(make_result(**changes))
    assert seen.answers is answers
    assert seen.holds is (not changes)


def test_a_file_that_says_that_its_answers_are_unproven_claims_speed_only() -> None:
    """That claim is verified as any other."""
    unproven = make_result(unproven="its output is empty for every sample")
    best = make_best(race=unproven)
    assert best.status is Status.UNPROVEN
    seen = found(unproven, best)
    assert (seen.answers, seen.holds) == (None, True)


def test_a_file_holds_where_its_own_race_is_repeated() -> None:
    """Both claims, on a machine as fast as then."""
    seen = found(make_result())
    assert (seen.sla, seen.throughput, seen.holds) == (Finding.HOLDS, Finding.HOLDS, True)
    assert seen.machine_speed == pytest.approx(1.0)
    assert CERTIFIED.status is Status.CERTIFIED
    assert CERTIFIED.certificate is not None
    assert seen.claim_per_s == CERTIFIED.certificate.throughput_low_per_s
    assert seen.ratio is not None
    assert seen.claim_ratio is not None
    assert seen.ratio.mean == pytest.approx(1.5, rel=1e-3)
    assert seen.claim_ratio.mean == pytest.approx(1.5, rel=1e-3)


def test_a_missed_cap_breaks_the_sla() -> None:
    """One request in fifteen is over it; the throughput holds all the same, the file does not."""
    seen = found(make_result(late=10))
    assert (seen.sla, seen.throughput, seen.holds) == (Finding.BROKEN, Finding.HOLDS, False)


@pytest.mark.parametrize(
    ("late", "hint_ms", "hint_per_s", "finding"),
    [
        (10, 5.0, 200.0, Finding.BROKEN),
        (10, 9.0, 200.0, Finding.BROKEN),
        (10, 11.0, 200.0, Finding.RELATIVE),
        (10, 5.0, 90.0, Finding.RELATIVE),
        (2, 5.0, 200.0, Finding.UNSHOWN),
        (2, 11.0, 200.0, Finding.RELATIVE),
        (0, 11.0, 90.0, Finding.HOLDS),
    ],
    ids=[
        "machine as fast as then",
        "slower than then, within the headroom",
        "slower by the percentile",
        "slower by the rate",
        "unclear, as fast",
        "unclear, slower",
        "met for all that",
    ],
)
def test_a_machine_slower_than_the_headroom_is_told_from_a_wrong_claim(
    late: int, hint_ms: float, hint_per_s: float, finding: Finding
) -> None:
    """The certificate says 5.4 ms under a cap of 10: room for 1.86 times the time, by the hint."""
    seen = found(make_result(late=late, hint_ms=hint_ms, hint_per_s=hint_per_s))
    assert seen.headroom == pytest.approx(0.855, abs=0.001)
    assert seen.sla is finding
    assert seen.holds == (finding is Finding.HOLDS and seen.throughput is not Finding.BROKEN)


def test_without_a_hint_a_miss_is_a_miss() -> None:
    """Nothing shows how fast the machine is."""
    seen = found(make_result(late=10, hint=None))
    assert (seen.machine_slowness, seen.sla) == (None, Finding.BROKEN)


def test_a_lower_throughput_is_broken() -> None:
    """A fifth less on a machine on which the hint is as fast as then."""
    seen = found(make_result(tuned_per_s=240.0))
    assert (seen.sla, seen.throughput, seen.holds) == (Finding.HOLDS, Finding.BROKEN, False)


def test_a_slower_machine_keeps_the_ratio() -> None:
    """Everything takes a quarter longer, the hint too: the claim holds relative to it."""
    seen = found(make_result(tuned_per_s=240.0, hint_per_s=160.0))
    assert (seen.throughput, seen.holds) == (Finding.RELATIVE, True)
    assert seen.machine_speed == pytest.approx(0.8)


def test_a_slower_machine_excuses_no_lower_ratio() -> None:
    """The hint lost a tenth, the exported configuration a third."""
    seen = found(make_result(tuned_per_s=200.0, hint_per_s=180.0))
    assert (seen.throughput, seen.holds) == (Finding.BROKEN, False)


def test_a_faster_hint_is_no_excuse() -> None:
    """The ratio to it is not asked for where the machine is not slower."""
    assert found(make_result(tuned_per_s=240.0, hint_per_s=300.0)).throughput is Finding.BROKEN


def test_a_faster_machine_holds() -> None:
    """More than was claimed is no breach."""
    seen = found(make_result(tuned_per_s=600.0, hint_per_s=400.0))
    assert (seen.throughput, seen.holds) == (Finding.HOLDS, True)
    assert seen.machine_speed == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("share", "finding"),
    [(0.985, Finding.HOLDS), (0.975, Finding.BROKEN)],
    ids=["within", "beyond"],
)
def test_two_percent_below_the_claim_still_hold(share: float, finding: Finding) -> None:
    """Measured without any noise, so that only the tolerance counts."""
    exact = make_best(race=make_result(20_000.0, 10_000.0, wobble=0.0))
    seen = found(make_result(share * 20_000.0, 10_000.0, wobble=0.0), exact)
    assert seen.throughput is finding


def test_too_few_requests_show_nothing() -> None:
    """Neither that the SLA holds nor that it is broken: the file is not confirmed."""
    seen = found(make_result(tuned_per_s=20.0))
    assert (seen.sla, seen.holds) == (Finding.UNSHOWN, False)


def test_too_few_rounds_show_no_throughput() -> None:
    """Two slices have no interval."""
    seen = found(make_result(tuned_per_s=3000.0, launches=1, rounds=2))
    assert (seen.throughput, seen.holds) == (Finding.UNSHOWN, False)


def test_a_crash_shows_nothing() -> None:
    """The worker died: nothing holds."""
    seen = found(make_result(failed=FailureKind.CRASH))
    assert (seen.sla, seen.throughput, seen.holds) == (Finding.UNSHOWN, Finding.UNSHOWN, False)
    assert seen.standing.failure is not None
    assert (seen.ratio, seen.claim_per_s > 0) == (None, True)


def test_a_limit_of_one_that_never_ran_is_not_shown() -> None:
    """It is said of each limit: none may be taken for one that nobody asked for."""
    goal = replace(GOAL, limits=limits_of({"max_memory": 2.0**30, "min_throughput": 100.0}))
    best = make_best(race=make_result(), goal=goal)
    seen = found(make_result(failed=FailureKind.CRASH, goal=goal), best, goal)
    assert [(one.limit.name, finding) for one, finding in seen.limits] == [
        ("max_memory", Finding.UNSHOWN),
        ("min_throughput", Finding.UNSHOWN),
    ]
    assert not seen.holds


def test_without_a_cap_only_the_throughput_counts() -> None:
    """There is no SLA to hold."""
    goal = Goal(Objective.THROUGHPUT, 99.0, None)
    best = make_best(race=make_result(goal=goal), goal=goal)
    seen = found(make_result(goal=goal), best, goal)
    assert (seen.sla, seen.throughput, seen.holds) == (None, Finding.HOLDS, True)


def test_a_file_without_certificate_claims_what_the_search_saw() -> None:
    """Its lower bound, and the ratio of its means."""
    best = make_best()
    seen = found(make_result(), best)
    assert best.certificate is None
    assert seen.claim_per_s == pytest.approx(0.98 * 300)
    assert seen.claim_ratio == Interval(1.5, None, None)
    assert (seen.throughput, seen.holds) == (Finding.HOLDS, True)
    slower = found(make_result(tuned_per_s=240.0, hint_per_s=160.0), best)
    assert slower.throughput is Finding.RELATIVE
    assert found(make_result(tuned_per_s=240.0), best).throughput is Finding.BROKEN


def test_a_file_without_hints_has_only_its_own_number() -> None:
    """Nothing shows how fast the machine is, so a lower throughput is broken."""
    best = make_best(hints={})
    seen = found(make_result(hint=None), best)
    assert (seen.machine_speed, seen.claim_ratio, seen.holds) == (None, None, True)
    seen = found(make_result(tuned_per_s=240.0, hint=None), best)
    assert seen.throughput is Finding.BROKEN


@given(st.floats(20, 2000), st.floats(20, 2000), st.integers(0, 5))
def test_a_file_holds_exactly_where_both_claims_do(
    tuned_per_s: float, hint_per_s: float, late: int
) -> None:
    """And more throughput never breaks what less of it kept."""
    seen = found(make_result(tuned_per_s, hint_per_s, late=late))
    kept = seen.throughput in {Finding.HOLDS, Finding.RELATIVE}
    assert seen.holds == (kept and seen.sla is Finding.HOLDS)
    assert (seen.sla is Finding.HOLDS) == (seen.standing.search_verdict is Verdict.MET)
    if kept:
        faster = found(make_result(1.5 * tuned_per_s, hint_per_s, late=late))
        assert faster.throughput in {Finding.HOLDS, Finding.RELATIVE}


# --- the whole of it, on simulated machines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


def write(folder: Path, runner: SimulatedRunner, exported: Configuration = TUNED) -> Path:
    """A best.json that says what this machine does; the cap is twice the latency."""
    flows = {c: runner.predict(c) for c in (THROUGHPUT, LATENCY, exported)}
    hints = {c: flows[c].throughput_per_s for c in (THROUGHPUT, LATENCY)}
    goal = Goal(Objective.THROUGHPUT, 99.0, 2 * flows[exported].latency_ms)
    model = BestModel(path="model.onnx", sha256=model_sha256(folder / "model.onnx"), shapes={})
    per_s = flows[exported].throughput_per_s
    number = [*hints, exported].index(exported) + 1
    trial = make_trial(number, configuration=exported, measurement=measured(exported, per_s))
    best = make_best(exported=exported, hints=hints, goal=goal, model=model, trial=trial)
    write_best(best, folder / "best.json")
    return folder / "best.json"


def on(runner: SimulatedRunner) -> Callable[[RacedModel, Path], Runner]:
    """Every model on this machine."""
    return lambda model, folder: runner


def test_a_true_file_holds(folder: Path) -> None:
    """Against the better hint, in the time that was given."""
    runner = SimulatedRunner(noise=0.02)
    path = write(folder, runner)
    seen, result, machine = verify(path, 40.0, runners=on(runner))
    assert seen.holds
    assert (seen.path, seen.best.study) == (path, "s")
    assert [s.contender.configuration for s in result.standings] == [TUNED, THROUGHPUT]
    assert result.baseline == 1
    assert machine.differences(seen.best.machine) == []
    assert runner.clock() < 42.0


@pytest.mark.parametrize(("items", "counts"), [(8, 8), (1, 1), (None, 1)])
def test_a_file_is_counted_as_it_was_made(folder: Path, items: int | None, counts: int) -> None:
    """By its own items, not by what is found now; one of a file of before format 4."""
    path = write(folder, SimulatedRunner(items_per_request=items or 1))
    values = json.loads(path.read_text())
    if items is None:
        values["format_version"] = 3
        del values["model"]["items_per_request"]
    else:
        values["model"]["items_per_request"] = items
    path.write_text(json.dumps(values))
    seen, result, _ = verify(path, 40.0, runners=on(SimulatedRunner(items_per_request=8)))
    assert seen.holds
    assert seen.machine_speed == pytest.approx(1.0, rel=0.01)
    assert [s.contender.items_per_request for s in result.standings] == [counts, counts]


def test_a_machine_of_half_the_speed_keeps_the_ratio(folder: Path) -> None:
    """The same formula with twice the work; its cap is far enough away."""
    path = write(folder, SimulatedRunner())
    slow = SimulatedRunner(cpu=SimulatedCpu(item_ms=6.0, overhead_ms=0.75))
    seen, _, _ = verify(path, 40.0, runners=on(slow))
    assert (seen.throughput, seen.sla, seen.holds) == (Finding.RELATIVE, Finding.HOLDS, True)
    assert seen.machine_speed == pytest.approx(2 / 3, rel=0.01)


def test_a_configuration_that_became_slower_is_broken(folder: Path) -> None:
    """While the hint is what it was; and its latency is over the cap now."""
    path = write(folder, SimulatedRunner())
    changed = SimulatedRunner(slower={TUNED.compile_key: 2.5})
    seen, _, _ = verify(path, 40.0, runners=on(changed))
    assert (seen.throughput, seen.sla, seen.holds) == (Finding.BROKEN, Finding.BROKEN, False)


def test_an_exported_hint_is_measured_against_the_other_one(folder: Path) -> None:
    """Against itself it would show nothing of the machine."""
    runner = SimulatedRunner()
    path = write(folder, runner, THROUGHPUT)
    seen, result, _ = verify(path, 40.0, runners=on(runner))
    assert [s.contender.configuration for s in result.standings] == [THROUGHPUT, LATENCY]
    assert seen.holds
    assert seen.claim_ratio is not None
    assert seen.ratio is not None
    assert seen.ratio.mean == pytest.approx(seen.claim_ratio.mean, rel=0.02)


def test_the_hint_beside_a_file_is_one_of_its_own_device(folder: Path) -> None:
    """Also where that of another device was the better one of the study."""
    runner = SimulatedRunner()
    path = write(folder, runner)

    def with_another_device(values: dict[str, Any]) -> None:
        other = {**values["baselines"][0], "name": "GPU THROUGHPUT"}
        values["baselines"].insert(0, other)
        values["better_hint"] = "GPU THROUGHPUT hint"

    edit(path, with_another_device)
    seen, result, _ = verify(path, 40.0, runners=on(runner))
    assert [s.contender.configuration for s in result.standings] == [TUNED, THROUGHPUT]
    assert seen.machine_speed == pytest.approx(1.0, rel=0.01)


def as_format_1(values: dict[str, Any]) -> None:
    """As the first version wrote it: no certificate, no feed."""
    values["format_version"] = 1
    del values["certificate"]
    del values["measured"]["feed"]


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """By hand."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_a_file_of_format_1_is_verified(folder: Path) -> None:
    """By the search's own number, which is all that it has."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    edit(path, as_format_1)
    seen, _, _ = verify(path, 40.0, runners=on(runner))
    assert (seen.best.format_version, seen.holds) == (1, True)


def test_a_file_without_hints_races_alone(folder: Path) -> None:
    """There is nothing beside it, and ratios are to itself."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    edit(path, lambda values: values.update(baselines=[], better_hint=None))
    seen, result, _ = verify(path, 20.0, runners=on(runner))
    assert (len(result.standings), result.baseline) == (1, 0)
    assert (seen.machine_speed, seen.claim_ratio, seen.holds) == (None, None, True)


def test_a_moved_model_is_named(folder: Path) -> None:
    """And found again where the option says."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    (folder / "other").mkdir()
    moved = (folder / "model.onnx").rename(folder / "other" / "m.onnx")
    with pytest.raises(ModelError, match="--model FILE"):
        verify(path, 20.0, runners=on(runner))
    models: list[RacedModel] = []

    def make(model: RacedModel, _: Path) -> Runner:
        models.append(model)
        return runner

    seen, _, _ = verify(path, 20.0, model=moved, runners=make)
    assert seen.holds
    assert [model.path for model in models] == [moved]


def test_another_runtime_is_refused_unless_told_otherwise(folder: Path) -> None:
    """With what differs; then the differences can be told from the machine that comes back."""
    path = write(folder, SimulatedRunner())
    newer = SimulatedRunner(openvino="2030.1")
    with pytest.raises(StudyMismatchError, match=r"'simulated' then, '2030\.1' now"):
        verify(path, 20.0, runners=on(newer))
    seen, _, machine = verify(path, 20.0, anyway=True, runners=on(newer))
    assert seen.holds
    assert machine.differences(seen.best.machine)


def test_a_file_that_is_none_is_refused(folder: Path) -> None:
    """Before any model is opened."""
    runner = SimulatedRunner()
    (folder / "best.json").write_text("{}")
    with pytest.raises(AutotuneError, match=r"no valid best\.json"):
        verify(folder / "best.json", 20.0, runners=on(runner))
    assert (runner.opened, runner.clock()) == ([], 0.0)


def test_a_crash_of_the_exported_configuration_is_shown(folder: Path) -> None:
    """The verification comes back, and it does not hold."""
    crash = make_failure(FailureKind.CRASH, phase="open")
    runner = SimulatedRunner(faults={TUNED.compile_key: [crash] * 9})
    seen, _, _ = verify(write(folder, runner), 20.0, runners=on(runner))
    assert (seen.holds, seen.standing.failure) == (False, crash)


def test_a_stopped_verification_says_what_it_saw(folder: Path) -> None:
    """Stopped before the first round: nothing was shown."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    launches: list[int] = []
    seen, result, _ = verify(
        path,
        40.0,
        on_launch=lambda race: launches.append(race.launches),
        is_stopped=lambda: True,
        runners=on(runner),
    )
    assert (result.end, launches, seen.holds) == (End.STOPPED, [], False)


def test_the_race_of_a_file_is_judged_by_the_files_goal(folder: Path) -> None:
    """A cap that was edited to be far too tight is broken, whatever the search had seen."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    edit(path, lambda values: values["sla"].update(cap_ms=0.01))
    seen, _, _ = verify(path, 30.0, runners=on(runner))
    assert (seen.sla, seen.throughput, seen.holds) == (Finding.BROKEN, Finding.HOLDS, False)
    assert replace(seen, sla=Finding.HOLDS).holds


def test_a_file_is_verified_as_it_was_fed(folder: Path) -> None:
    """Copied inputs cost time: bound ones would flatter the file."""
    runner = SimulatedRunner()
    path = write(folder, runner)
    edit(path, lambda values: values["measured"].update(feed="copy"))
    _, result, _ = verify(path, 20.0, runners=on(runner))
    assert result.feed is Feed.COPY
