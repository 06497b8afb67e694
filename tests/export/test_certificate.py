"""What a race proved, as best.json has it, and older formats still read."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Feed, Flag, Interval
from autotune.domain.race import (
    Choice,
    Conditions,
    Contender,
    Dossier,
    End,
    RaceResult,
    Slice,
    State,
    Status,
)
from autotune.errors import AutotuneError
from autotune.export.best_file import FORMAT_VERSION, BestFile, BestModel, read_best
from autotune.export.certificate import best_ratio, certificate, load_in_words
from autotune.export.from_trial import best_file
from autotune.racing.judge import Field, judge
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api, PerformanceHint
from tests.builders import (
    GOAL,
    make_block,
    make_configuration,
    make_failure,
    make_opening,
    make_trial,
)

HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
SCHEMA = json.loads(files("autotune.export").joinpath("best.schema.json").read_text())


def make_race(
    goal: Goal = GOAL, *, launches: int = 3, end: End = End.DECIDED, feed: Feed = Feed.BIND
) -> RaceResult:
    """Trial 3 beats the hint by half; a third one crashed, and a fourth had no turn."""
    slices = [
        Slice(launch, number, position, 1.0, make_block((1.0,) * count, steal_s=0.01))
        for launch in range(launches)
        for number in range(4)
        for position, count in ((0, 300 + number), (3, 200 + number))
    ]
    contenders = [
        Contender(
            name="trial 3",
            configuration=make_configuration(),
            trial=3,
            search_per_s=660.0,
            search_latency_ms=0.9,
        ),
        Contender(name="trial 4", configuration=make_configuration(streams=4), trial=4),
        Contender(name="trial 5", configuration=make_configuration(streams=8), trial=5),
        Contender(name=str(HINT), configuration=HINT, trial=0),
    ]
    field = Field(
        contenders=contenders,
        dossiers={0: Dossier(opening=make_opening()), 1: Dossier(failure=make_failure())},
        slices=slices,
        goal=goal,
        baseline=3,
        tie_margin=0.012,
        feed=feed,
    )
    return judge(field, end=end, duration_s=42.0, noise=0.012)


def make_best(race: RaceResult | None, *, number: int = 3, goal: Goal = GOAL) -> BestFile:
    """The file for a trial of a study whose race this was."""
    hint = make_trial(0, configuration=HINT)
    trial = hint if number == 0 else make_trial(number)
    return best_file(
        trial=trial,
        trials=(hint, trial),
        goal=goal,
        model=BestModel(path="m.onnx", sha256="0" * 64, shapes={}),
        machine={},
        versions={},
        study="s",
        race=race,
    )


RACE = make_race()


def as_strict_json(best: BestFile) -> dict[str, Any]:
    """What a strict reader makes of the file: it knows no NaN and no Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    values: dict[str, Any] = json.loads(best.model_dump_json(), parse_constant=refuse)
    return values


def test_a_certified_file_is_valid_json_by_its_schema() -> None:
    """The status is that of the race, and the certificate is complete."""
    best = make_best(RACE)
    values = as_strict_json(best)
    jsonschema.validate(values, SCHEMA)
    assert (values["format_version"], values["status"]) == (FORMAT_VERSION, "certified")
    assert BestFile.model_validate_json(best.model_dump_json()) == best


@pytest.mark.parametrize(
    "race",
    [
        make_race(launches=1),
        make_race(end=End.STOPPED),
        make_race(Goal(Objective.THROUGHPUT, 99.0, None)),
        make_race(Goal(Objective.LATENCY, 99.9, None), launches=2),
        make_race(feed=Feed.COPY),
    ],
    ids=["one launch", "stopped", "no cap", "latency", "copy"],
)
def test_every_race_that_chose_gives_a_valid_file(race: RaceResult) -> None:
    """Also one that proves little: what it could not bound is null."""
    assert race.winner is not None
    best = make_best(race, number=race.winner.contender.trial or 0)
    jsonschema.validate(as_strict_json(best), SCHEMA)
    assert best.status is race.status
    assert best.certificate is not None
    assert best.certificate.end is race.end


def test_the_certificate_is_what_the_race_saw() -> None:
    """Claims, evidence and conditions, from the race's own slices; the search's number beside."""
    found, winner = certificate(RACE), RACE.winner
    assert winner is not None
    assert winner.throughput is not None
    assert found.throughput_per_s == winner.throughput.mean
    assert found.throughput_low_per_s == winner.throughput.low
    assert found.latency_upper_ms == winner.latency_upper_ms
    assert (found.verdict, found.over_cap) == (Verdict.MET, 0)
    assert found.requests == 3 * sum(300 + n for n in range(4))
    assert (found.launches, found.rounds) == (3, 12)
    assert found.measured_s == pytest.approx(6.0)
    assert (found.search_throughput_per_s, found.search_latency_ms) == (660.0, 0.9)
    assert (found.choice, found.end) == (Choice.FASTEST, End.DECIDED)
    assert (found.tie_margin, found.conditions.aa_noise) == (0.012, 0.012)
    assert (found.duration_s, found.flags) == (42.0, [])
    assert found.conditions.steal_share == pytest.approx(0.02)
    assert found.ratio_to_better_hint is not None
    assert found.ratio_to_better_hint.mean == pytest.approx(1.5, rel=0.01)


def test_the_certificate_says_what_the_choice_took_beside_time() -> None:
    """In the race's processes, not in the search's."""
    found, winner = certificate(RACE).costs, RACE.winner
    assert found is not None
    assert winner is not None
    cpu = winner.readings.cpu_s_per_item
    assert cpu is not None
    assert cpu.low is not None
    assert cpu.high is not None
    assert (found.cpu_s_per_item, found.cpu_s_per_item_high) == (cpu.mean, cpu.high)
    assert found.cpu_s_per_item_low == max(0.0, cpu.low)
    assert found.energy_j_per_item is None


def test_everyone_else_who_raced_is_named() -> None:
    """With how each one ended; ratios are to the chosen one."""
    others = {c.name: c for c in certificate(RACE).contenders}
    assert {name: c.state for name, c in others.items()} == {
        "trial 4": State.FAILED,
        "trial 5": State.WAITING,
        str(HINT): State.SLOWER,
    }
    assert others["trial 4"].throughput_per_s is None
    assert others["trial 5"].ratio_to_chosen is None
    hint = others[str(HINT)]
    assert (hint.trial, hint.verdict) == (0, Verdict.MET)
    assert hint.ratio_to_chosen is not None
    assert hint.ratio_to_chosen.mean == pytest.approx(1 / 1.5, rel=0.01)


def test_only_the_chosen_trial_has_a_certificate() -> None:
    """Another trial of the same study was not proved to do anything."""
    other = make_best(RACE, number=4)
    assert (other.certificate, other.status) == (None, Status.UNCONFIRMED)
    without = make_best(None)
    assert (without.certificate, without.status) == (None, Status.UNCONFIRMED)
    jsonschema.validate(as_strict_json(other), SCHEMA)


def test_an_unproven_race_is_in_the_file() -> None:
    """With the race's own reason, whatever the search had said."""
    opening = make_opening(unproven="outputs are all equal")
    winner = replace(RACE.standings[0], unproven=opening.unproven)
    race = replace(RACE, standings=(winner, *RACE.standings[1:]), status=Status.UNPROVEN)
    best = make_best(race)
    jsonschema.validate(as_strict_json(best), SCHEMA)
    assert (best.status, best.unproven) == (Status.UNPROVEN, "outputs are all equal")
    assert best.certificate is not None


def test_a_race_without_a_choice_proves_nothing() -> None:
    """There is no certificate to write."""
    strict = make_race(replace(GOAL, cap_ms=0.1))
    assert strict.winner is None
    with pytest.raises(ValueError, match="proves nothing"):
        certificate(strict)
    assert make_best(strict).certificate is None


def test_an_exported_hint_has_no_ratio_to_itself() -> None:
    """The ratio to the better hint is null where it is the better hint."""
    race = make_race()
    alone = replace(
        race,
        standings=(replace(race.standings[3], state=State.CHOSEN),),
        chosen=0,
        baseline=0,
        choice=Choice.DEFAULT,
    )
    found = certificate(alone)
    assert (found.ratio_to_better_hint, found.contenders) == (None, [])


def test_a_wide_interval_never_claims_less_than_nothing() -> None:
    """A rate below zero is no rate."""
    winner = RACE.winner
    assert winner is not None
    wide = replace(winner, throughput=Interval(600.0, -50.0, 1250.0))
    found = certificate(replace(RACE, standings=(wide, *RACE.standings[1:])))
    assert found.throughput_low_per_s == 0.0


def test_unknown_conditions_are_null() -> None:
    """Where /proc says nothing, the file does not say zero."""
    unknown = Conditions(
        steal_share=None,
        most_steal_share=None,
        throttled=None,
        major_faults=0,
        void_slices=0,
        dispersion=None,
        noise=None,
    )
    found = certificate(replace(RACE, conditions=unknown)).conditions
    assert (found.steal_share, found.throttled, found.aa_noise) == (None, None, None)


def test_doubts_are_in_the_certificate() -> None:
    """Flags of the chosen one's slices, sorted."""
    winner = RACE.winner
    assert winner is not None
    doubtful = replace(winner, flags=frozenset({Flag.STEAL, Flag.PRESSURE}))
    found = certificate(replace(RACE, standings=(doubtful, *RACE.standings[1:])))
    assert found.flags == [Flag.PRESSURE, Flag.STEAL]


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        (make_configuration(), " always in flight, async API"),
        (make_configuration(batch_size=8), "4 request(s)"),
        (make_configuration(api=Api.SYNC), "1 request(s)"),
        (HINT, "2 request(s)"),
    ],
)
@pytest.mark.parametrize("inputs", ["random data, bound once", "8 samples of a.npz, copied"])
@pytest.mark.parametrize("items", [1, 8])
def test_the_load_is_said_in_words(
    configuration: Configuration, says: str, inputs: str, items: int
) -> None:
    """What the numbers are numbers of; a hint's requests are those that the runtime chose."""
    standing = RACE.standings[0]
    contender = replace(standing.contender, configuration=configuration, items_per_request=items)
    words = load_in_words(replace(standing, contender=contender), inputs)
    assert says in words
    assert f" of {items * configuration.batch_size} item(s) " in words
    assert f", inputs: {inputs}; " in words
    assert words.startswith("closed loop: ")
    assert words.endswith("not the rate that independent callers may send")


def test_no_ratio_is_null() -> None:
    """And one without an interval keeps its mean."""
    assert best_ratio(None) is None
    found = best_ratio(Interval(1.5, None, None))
    assert found is not None
    assert (found.mean, found.low, found.high) == (1.5, None, None)


@given(st.floats(0, 1e6), st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_any_ratio_survives_the_file(mean: float, low: float | None, high: float | None) -> None:
    """To the last bit."""
    found = best_ratio(Interval(mean, low, high))
    assert found is not None
    again = type(found).model_validate_json(found.model_dump_json())
    assert (again.mean, again.low, again.high) == (mean, low, high)


# --- reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A certified file."""
    found = tmp_path / "best.json"
    found.write_text(make_best(RACE).model_dump_json())
    return found


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """By hand, with Python's NaN where asked for."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_format_1_is_still_read(path: Path) -> None:
    """It had no certificate and no feed, and called everything unconfirmed."""

    def older(values: dict[str, Any]) -> None:
        values.update(format_version=1, status="unconfirmed")
        del values["certificate"]
        del values["measured"]["feed"]

    edit(path, older)
    found = read_best(path)
    assert (found.format_version, found.certificate) == (1, None)
    assert (found.status, found.measured.feed) == (Status.UNCONFIRMED, Feed.BIND)
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)


def test_a_newer_format_is_refused_whatever_is_in_it(path: Path) -> None:
    """With both versions and the way out."""
    newer = FORMAT_VERSION + 1
    certificate = {"from": "the future"}
    edit(path, lambda values: values.update(format_version=newer, certificate=certificate))
    refused = rf"format {newer} is newer .* \({FORMAT_VERSION}\); upgrade autotune"
    with pytest.raises(AutotuneError, match=refused):
        read_best(path)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda c: c.update(throughput_per_s=math.nan), "certificate.throughput_per_s"),
        (lambda c: c.update(throughput_low_per_s=-1.0), "certificate.throughput_low_per_s"),
        (lambda c: c.update(latency_upper_ms=math.inf), "certificate.latency_upper_ms"),
        (lambda c: c.update(launches=-3), "certificate.launches"),
        (lambda c: c.update(verdict="sure"), "certificate.verdict"),
        (lambda c: c.update(choice="mine"), "certificate.choice"),
        (lambda c: c.update(signature="x"), "certificate.signature"),
        (lambda c: c.pop("latency_ms"), "certificate.latency_ms"),
        (lambda c: c["contenders"][0].update(state="robbed"), "certificate.contenders.0.state"),
        (lambda c: c["conditions"].update(steal_share="no"), "certificate.conditions.steal_share"),
    ],
)
def test_a_field_that_cannot_be_is_named(
    path: Path, change: Callable[[dict[str, Any]], None], names: str
) -> None:
    """Nobody's certificate is taken for ours."""
    edit(path, lambda values: change(values["certificate"]))
    with pytest.raises(AutotuneError, match=names.replace(".", r"\.")):
        read_best(path)
