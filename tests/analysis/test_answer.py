"""What-if answers are those of a direct computation on the stored requests, limits included."""

import json
import math
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from autotune.analysis.among import Among
from autotune.analysis.answer import answer
from autotune.analysis.caps import cap_ranges, latencies_of, lowest_met
from autotune.analysis.what_if import deciding, is_allowed, lowest_cap, may_be_met, under
from autotune.domain.goal import Goal, Objective, Sla, Verdict
from autotune.domain.measurement import Interval, Measurement
from autotune.domain.ranking import best, nearest_miss
from autotune.domain.trial import Trial
from autotune.stats.latency import summarise
from autotune.storage.reader import StudyReader
from tests.builders import (
    GOAL,
    make_block,
    make_configuration,
    make_failure,
    make_measurement,
    make_trial,
)
from tests.report.studies import make_study

_PERCENTILES = (50.0, 90.0, 95.0, 97.5, 99.0, 99.9)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of sixty trials on a simulated machine, each with some use of memory."""
    folder = make_study(tmp_path_factory.mktemp("night") / "study", trials=60)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute(
            "UPDATE autotune_measurement SET peak_rss_bytes = 100000000 * (1 + trial_number % 7)"
        )
    return folder


def stored(folder: Path) -> pd.DataFrame:
    """Every measured trial with its requests, straight from SQLite."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        table = pd.read_sql_query(
            "SELECT id, trial_number, throughput_low_per_s, warmup_blocks, "
            "max(open_peak_rss_bytes, load_peak_rss_bytes) AS peak_rss_bytes, "
            "configuration FROM autotune_measurement WHERE reused_from IS NULL "
            "AND trial_number IS NOT NULL",
            connection,
        )
        blocks = pd.read_sql_query(
            "SELECT measurement_id, position, latencies FROM autotune_block ORDER BY position",
            connection,
        )
    blocks["ticks"] = blocks["latencies"].map(
        lambda packed: np.cumsum(np.frombuffer(zlib.decompress(packed), dtype="<u4"))
    )
    blocks = blocks.merge(table[["id", "warmup_blocks"]], left_on="measurement_id", right_on="id")
    counted = blocks[blocks["position"] >= blocks["warmup_blocks"]]
    ticks = counted.groupby("measurement_id")["ticks"].apply(
        lambda one: np.concatenate(one.to_list())
    )
    return table.set_index("id").assign(ticks=ticks)


def is_met(ticks: np.ndarray, cap: int, percentile: float) -> bool:
    """E_pass >= 1 / 0.05, as DESIGN §6 has it, with scipy's beta distribution."""
    n, x, q0 = ticks.size, int((ticks > cap).sum()), 1 - percentile / 100
    a, b = 1.0, 1 / q0
    before, after = beta(a, b), beta(a + x, b + n - x)
    # The density of the posterior over that of the prior is the likelihood over the evidence.
    at = q0 / 2
    evidence = x * np.log(at) + (n - x) * np.log1p(-at) + before.logpdf(at) - after.logpdf(at)
    log_e = (
        evidence + after.logcdf(q0) - before.logcdf(q0) - x * np.log(q0) - (n - x) * np.log1p(-q0)
    )
    return bool(log_e >= -np.log(0.05))


def test_fifty_caps_and_percentiles_equal_pandas(night: Path) -> None:
    """Drawn over all latencies that were seen, half of them with a limit on memory."""
    table = stored(night)
    generator = np.random.default_rng(3)
    seen = np.concatenate(table["ticks"].to_list())
    answers = set()
    with closing(StudyReader.read_only(night)) as store:
        for number in range(50):
            cap = int(generator.choice(seen))
            percentile = float(generator.choice(_PERCENTILES))
            memory = None if number % 2 else int(generator.choice(table["peak_rss_bytes"]))
            # As the next process may take 1.645 x sqrt(2) x 0.25 % more than the one that was seen.
            most = None if memory is None else memory / math.exp(1.645 * math.sqrt(2) * 0.0025)
            allowed = table if most is None else table[table["peak_rss_bytes"] <= most]
            met = allowed[[is_met(ticks, cap, percentile) for ticks in allowed["ticks"]]]
            wanted = (
                None
                if met.empty
                else met.sort_values(
                    ["throughput_low_per_s", "trial_number"], ascending=[False, True]
                )["trial_number"].iloc[0]
            )
            goal = Goal(Objective.THROUGHPUT, percentile, cap * 1e-4)
            found = answer(
                store, goal if memory is None else goal.within({"max_memory": memory})
            ).best
            assert (None if found is None else found.number) == wanted, (cap, percentile)
            answers.add(wanted)
    assert len(answers) > 5  # the caps do differ


def made(number: int, latencies: list[float], low: float | None) -> Trial:
    """A trial with two blocks of these latencies and this claim."""
    block = make_block(latencies)
    plain = make_measurement(blocks=(block, block), warmup_blocks=0)
    measurement = replace(
        plain,
        latency=summarise(plain.counted, GOAL.percentile),
        throughput=Interval(200.0, low, 300.0),
    )
    hint = make_configuration(streams=None, num_requests=None, batch_size=1)
    configuration = hint if number == 0 else make_configuration(batch_size=number)
    return make_trial(number, configuration=configuration, measurement=measurement)


TRIALS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, 9.0, 30.0]), min_size=1, max_size=30),
        st.integers(1, 40),
        st.sampled_from([None, 100.0, 101.0, 150.0, 190.0]),
    ),
    min_size=1,
    max_size=8,
)
CAPS = st.sampled_from([0.5, 1.0, 2.0, 4.0, 10.0, 40.0])


@given(TRIALS, CAPS, st.sampled_from(_PERCENTILES), st.sampled_from(list(Objective)))
def test_those_that_decide_decide_as_all_do(
    drawn: list[tuple[list[float], int, float | None]],
    cap: float,
    percentile: float,
    objective: Objective,
) -> None:
    """The best, or else the nearest miss, is the same as when every trial is judged."""
    trials = [made(i, latencies * times, low) for i, (latencies, times, low) in enumerate(drawn)]
    trials.append(make_trial(len(trials), failure=make_failure()))
    goal = Goal(objective, percentile, cap)
    whole = {trial.number: trial for trial in trials}
    bare = [
        trial
        if trial.measurement is None
        else replace(trial, measurement=replace(trial.measurement, blocks=()))
        for trial in trials
    ]

    some = deciding(bare, GOAL, goal, lambda trial: whole[trial.number])
    all_of_them = under(bare, goal, lambda trial: whole[trial.number])

    wanted, found = best(all_of_them, goal), best(some, goal)
    assert (found and found.number) == (wanted and wanted.number)
    if wanted is None:
        near, nearest = nearest_miss(some), nearest_miss(all_of_them)
        assert near is not None
        assert nearest is not None
        assert near.number == nearest.number
    assert {t.number for t in some} >= {t.number for t in bare if t.configuration.is_hint}


@given(TRIALS, CAPS, st.sampled_from(_PERCENTILES))
def test_nothing_that_is_met_is_ruled_out(
    drawn: list[tuple[list[float], int, float | None]], cap: float, percentile: float
) -> None:
    """The stored percentiles may leave a trial open, never deny one that is met."""
    trials = [made(i, latencies * times, low) for i, (latencies, times, low) in enumerate(drawn)]
    goal = Goal(Objective.THROUGHPUT, percentile, cap)
    judged = under(trials, goal, lambda trial: trial)
    latencies = [trial.measurement.latency for trial in trials if trial.measurement]

    for trial, may in zip(judged, may_be_met(latencies, Sla(percentile, cap)), strict=True):
        assert trial.measurement is not None
        assert may or trial.measurement.verdict is not Verdict.MET


@given(TRIALS, st.sampled_from(_PERCENTILES))
def test_the_lowest_cap_is_that_of_all_ranges(
    drawn: list[tuple[list[float], int, float | None]], percentile: float
) -> None:
    """Without reading the blocks of all."""
    trials = [made(i, latencies * times, low) for i, (latencies, times, low) in enumerate(drawn)]
    latencies = [one for trial in trials for one in latencies_of(trial)]
    wanted = lowest_met(cap_ranges(trials, [percentile], latencies), percentile)

    assert lowest_cap(trials, GOAL.percentile, percentile, lambda trial: trial) == wanted


def with_memory(number: int, size: int | None, device: str = "CPU") -> Trial:
    """A trial that used so many bytes."""
    measurement: Measurement = make_measurement(peak_rss_bytes=size)
    return make_trial(
        number, configuration=make_configuration(device=device), measurement=measurement
    )


def test_what_is_allowed() -> None:
    """Unknown memory is not within a limit; another device is not the one asked for."""
    goal = GOAL.within({"max_memory": 1000.0})

    assert is_allowed(with_memory(0, 980), goal, Among(device="CPU"))
    assert not is_allowed(with_memory(0, 1000), goal), "the next process may take one page more"
    assert not is_allowed(with_memory(0, 1001), goal)
    assert not is_allowed(with_memory(0, None), goal)
    assert not is_allowed(with_memory(0, 10, device="GPU"), goal, Among(device="CPU"))
    assert is_allowed(with_memory(0, None), GOAL)


def test_a_race_has_no_say_over_what_is_not_allowed(night: Path) -> None:
    """Under a limit the answer comes from the trials."""
    with closing(StudyReader.read_only(night)) as store:
        goal = store.identity().goal
        free = answer(store, goal)
        assert free.best is not None
        assert free.best.measurement is not None
        used = free.best.measurement.readings.peak_rss_bytes
        assert used is not None
        tight = answer(store, goal.within({"max_memory": used - 1}))
        none = answer(store, goal.within({"max_memory": 1}))
        elsewhere = answer(store, goal, Among(device="GPU"))

    assert tight.best is None or tight.best.number != free.best.number
    assert none.best is None
    assert not none.is_any_allowed
    assert elsewhere.best is None


def test_stored_space_is_json(night: Path) -> None:
    """What the direct computation reads is what the tuner wrote."""
    assert all(json.loads(text) for text in stored(night)["configuration"])
