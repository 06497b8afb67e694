"""Workers under a core budget: where they run, and what is told of where they ran."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.domain.measurement import Flag
from autotune.host.core_budget import CoreBudget, CpuRequest
from autotune.host.cpus import affinity
from autotune.machines.fingerprint import Machine, fingerprint
from autotune.machines.protocol import BlockDone
from autotune.racing.calibration import Calibration, load_calibration, save_calibration
from tests.machines.fakes import KEY, LOAD, runner_of

LAST = max(affinity())
BUDGET = CoreBudget(CpuRequest(1), (LAST,), os.cpu_count() or 1)
TELLS = """
own = ",".join(map(str, sorted(os.sched_getaffinity(0))))
say("ready")
hear()
say("opened", effective={"NUM_STREAMS": own}, optimal_requests=1, read_s=0.0, compile_s=0.0,
    first_inference_ms=1.0, output_error=0.0)
if hear()["do"] == "close":
    os._exit(0)
block()
hear()
say("stopped", peak_rss_bytes=1)
hear()
"""


def test_a_worker_is_confined_and_its_parent_is_not(tmp_path: Path) -> None:
    """Alone and side by side; a block says how many CPUs it had."""
    before = affinity()
    runner = runner_of(tmp_path, TELLS).confined(BUDGET)
    with runner.side_by_side([KEY]):
        opened = [runner.open(KEY), runner.open(KEY)]
    assert affinity() == before
    for model in opened:
        assert dict(model.opening.effective.properties)["NUM_STREAMS"] == str(LAST)
        (block,) = list(model.load(LOAD))
        assert block.cpus == 1
        model.close()


def test_a_runner_without_a_budget_confines_nobody(tmp_path: Path) -> None:
    """Neither before one was given nor after it was taken back."""
    runner = runner_of(tmp_path, TELLS)
    for one in (runner, runner.confined(BUDGET).confined(None)):
        model = one.open(KEY)
        told = dict(model.opening.effective.properties)["NUM_STREAMS"]
        assert told == ",".join(map(str, sorted(affinity())))
        model.close()


def done(**fields: object) -> BlockDone:
    """A worker's word on half a second on one CPU."""
    values = {
        "say": "block",
        "duration_s": 0.5,
        "latency_ticks": "ECcAAA==",
        "occupancy": 1.0,
        "loop_cpu_s": 0.0,
        "process_cpu_s": 0.3,
        "steal_s": None,
        "pressure_s": 0.45,
        "throttled": None,
        "major_faults": 0,
        "clock_drift_s": 0.0,
        **fields,
    }
    return BlockDone.model_validate(values)


@pytest.mark.parametrize(
    ("others_s", "cpus", "pressure_s"), [(0.2, 1, 0.2), (0.0, 1, 0.0), (0.6, 2, 0.3)]
)
def test_under_a_budget_pressure_is_what_others_took_of_its_cpus(
    others_s: float, cpus: int, pressure_s: float
) -> None:
    """Tasks of the application beside it wait for CPUs that are none of the worker's."""
    block = done(others_s=others_s, affinity_cpus=cpus).block(cpus, is_confined=True)
    assert block.pressure_s == pytest.approx(pressure_s)


@pytest.mark.parametrize(
    ("waited_s", "others_s", "pressure_s"),
    [(0.45, 0.2, 0.2), (0.45, 0.0, 0.0), (0.45, 0.6, 0.45), (0.45, None, 0.45), (None, 0.6, None)],
)
def test_what_tasks_waited_for_each_other_is_no_pressure(
    waited_s: float | None, others_s: float | None, pressure_s: float | None
) -> None:
    """Streams of several models and the thread that feeds them share the CPUs by themselves."""
    block = done(pressure_s=waited_s, others_s=others_s, affinity_cpus=2).block(2)
    assert block.pressure_s == pressure_s
    assert (Flag.PRESSURE in block.flags) is (pressure_s == 0.45)


def test_what_others_took_is_unknown_where_nobody_counts_it() -> None:
    """And never the pressure of others' CPUs instead."""
    assert done().block(1, is_confined=True).pressure_s is None


# --- the machine that it is


def test_a_budget_is_a_machine_of_its_own() -> None:
    """With as many CPUs as it has; which ones a count came to is no difference."""
    plain, held = fingerprint("2026.4", {}), fingerprint("2026.4", {}, BUDGET)
    assert (held.usable_cpus, held.affinity_cpus) == (1, 1)
    assert (held.core_budget, held.core_budget_cpus) == ("1", str(LAST))
    assert held.budget == BUDGET
    assert "core_budget: None then, '1' now" in held.differences(plain.to_dict())
    assert replace(held, core_budget_cpus="9").differences(held.to_dict()) == []
    assert f"1 of {held.logical_cpus} CPUs: {LAST}, OpenVINO" in str(held)


def test_without_a_budget_the_fingerprint_is_that_of_older_versions() -> None:
    """Field by field: what was stored then is what is stored now."""
    plain = fingerprint("2026.4", {})
    assert not {"core_budget", "core_budget_cpus"} & plain.to_dict().keys()
    assert plain.budget is None
    assert Machine(**plain.to_dict()) == plain


def test_each_budget_has_its_own_calibration(tmp_path: Path) -> None:
    """The noise of one CPU beside an application is not that of the machine."""
    plain = fingerprint("2026.4", {})
    held = fingerprint("2026.4", {}, replace(BUDGET, of=plain.logical_cpus))
    found = Calibration(
        measured_at="2026-11-27T12:00:00+00:00",
        model="m",
        noise=0.02,
        ratio=1.0,
        slice_sd=0.01,
        launches=6,
        rounds=60,
        duration_s=100.0,
    )
    save_calibration(held, found, tmp_path / "c.json")
    assert load_calibration(held, tmp_path / "c.json") == found
    if plain.usable_cpus > 1:
        assert load_calibration(plain, tmp_path / "c.json") is None
