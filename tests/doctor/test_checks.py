"""Each check below, at and above its bounds, and without a reading."""

import statistics
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from autotune.doctor import clock_checks, cpu_checks, hardware_checks, host_checks
from autotune.doctor.check import Check, Grade, fine_percent, grade, size
from autotune.doctor.checks import checks_of, is_fit
from autotune.doctor.readings import (
    CpuKinds,
    Devices,
    Disk,
    Frequency,
    FullLoad,
    Lock,
    Missing,
    SyncedWrites,
    Temperature,
    Work,
)
from autotune.host.counters import CpuTime, QuotaPeriods
from tests.doctor.builders import (
    CALIBRATION,
    GIB,
    cpus,
    full_load,
    idle,
    interval,
    memory,
    readings,
    temperature,
)

PASS, WARN, FAIL, INFO = Grade.PASS, Grade.WARN, Grade.FAIL, Grade.INFO
MISSING = Missing("the reason")


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    """Checks by name."""
    return {check.name: check for check in checks}


def test_a_good_machine_passes_everything_that_is_judged() -> None:
    """What is left is for information."""
    checks = checks_of(readings())
    assert {check.name for check in checks if check.state is INFO} == {
        "topology",
        "energy counters",
    }
    assert all(check.state in {PASS, INFO} for check in checks)
    assert is_fit(checks)


def test_names_are_unique_and_evidence_is_always_given() -> None:
    """So that the JSON can be searched by name."""
    checks = checks_of(readings())
    assert len(by_name(checks)) == len(checks) == 26
    assert all(check.evidence for check in checks)


def test_a_machine_that_gives_no_reading_gets_no_judgement_but_the_reason() -> None:
    """Nothing is known to be bad, but that OpenVINO is not there."""
    always = {"lock", "sqlite"}
    nothing = {f.name: MISSING for f in fields(readings()) if f.name not in always}
    checks = by_name(checks_of(readings(**nothing)))
    assert {checks.pop(name).state for name in ("machine lock", "SQLite")} == {PASS}
    assert checks.pop("OpenVINO").state is FAIL
    assert {(check.state, check.evidence) for check in checks.values()} == {(INFO, "the reason")}


def test_counters_that_are_missing_leave_their_checks_open() -> None:
    """Each for itself: the rest of the same stretch is judged."""
    missing = {
        "cpu_time": MISSING,
        "pressure_s": MISSING,
        "quota": MISSING,
        "thermal_throttles": MISSING,
    }
    checks = by_name(
        checks_of(readings(load=full_load(**missing), idle=idle(runnable_tasks=MISSING, **missing)))
    )
    unknown = {name for name, check in checks.items() if check.evidence == "the reason"}
    assert unknown == {"steal", "idle pressure", "CPU quota", "runnable tasks"}
    assert checks["clock drift"].state is PASS
    assert checks["temperature"].state is PASS


def test_advice_is_given_where_something_is_to_be_done_and_only_there() -> None:
    """A warning or failure says what follows and what to do."""
    bad = checks_of(
        readings(
            lock=Lock(problem="another measurement runs", is_held=True),
            cpus=cpus(quota_cpus=0.5),
            file_system="nfs4",
            clock_source="hpet",
            openvino="2025.4.0",
        )
    )
    for check in bad:
        advised = check.state in {WARN, FAIL}
        assert (bool(check.consequence), bool(check.remedy)) == (advised, advised)
    assert not is_fit(bad)


def test_a_warning_does_not_make_a_machine_unfit() -> None:
    """It costs time, not truth."""
    assert is_fit(checks_of(readings(clock_source="hpet")))


@pytest.mark.parametrize(
    ("value", "state"), [(0.0, PASS), (1.0, PASS), (1.01, WARN), (5.0, WARN), (5.01, FAIL)]
)
def test_a_bound_itself_is_still_good(value: float, state: Grade) -> None:
    """For every check with two bounds."""
    assert grade(value, 1.0, 5.0) is state


def test_shares_and_sizes_are_written_for_people() -> None:
    """With the digits that matter, and the unit that fits."""
    assert [fine_percent(0.0), fine_percent(4e-7), fine_percent(0.01234)] == [
        "0.00 %",
        "0.00 %",
        "1.23 %",
    ]
    assert [fine_percent(0.1234), fine_percent(1.0)] == ["12.3 %", "100.0 %"]
    assert [size(0), size(300 * 2**20), size(3 * GIB // 2)] == ["0 MiB", "300 MiB", "1.5 GiB"]


@pytest.mark.parametrize(
    ("visible", "affinity", "quota", "state"),
    [
        pytest.param(4, 4, None, PASS, id="no quota"),
        pytest.param(4, 4, 4.0, PASS, id="a quota for all"),
        pytest.param(4, 4, 3.9, WARN, id="a quota below the affinity"),
        pytest.param(8, 2, 2.0, PASS, id="OpenVINO sees the affinity, so it may be smaller"),
        pytest.param(4, 4, 1.0, WARN, id="one CPU"),
        pytest.param(4, 4, 0.99, FAIL, id="less than one CPU"),
        pytest.param(1, 1, 0.5, FAIL, id="half of the only CPU"),
    ],
)
def test_a_quota_must_allow_the_affinity(
    visible: int, affinity: int, quota: float | None, state: Grade
) -> None:
    """And one CPU at least."""
    assert cpu_checks.cpus_check(cpus(visible, affinity, quota)).state is state


def test_cpus_are_told_by_all_three_limits() -> None:
    """In the evidence."""
    evidence = cpu_checks.cpus_check(cpus(8, 4, 1.5)).evidence
    assert evidence == "8 visible, 4 in the affinity, a quota of 1.5"


def quota(throttled: int, periods: int, group: str = "/") -> tuple[QuotaPeriods, ...]:
    """Accounting of one cgroup, which began at zero."""
    return (QuotaPeriods(group=group, periods=periods, throttled=throttled),)


@pytest.mark.parametrize(
    ("throttled", "periods", "state"),
    [(0, 0, PASS), (0, 50, PASS), (1, 50, WARN), (5, 100, WARN), (6, 100, FAIL), (50, 50, FAIL)],
)
def test_any_throttled_period_is_a_warning(throttled: int, periods: int, state: Grade) -> None:
    """More than one in twenty is a failure."""
    load = full_load(quota=quota(throttled, periods))
    assert cpu_checks.throttling_check(idle(), load).state is state


def test_throttling_while_idle_counts_too() -> None:
    """Others in the same cgroup use up the quota."""
    check = cpu_checks.throttling_check(idle(quota=quota(1, 20)), full_load(quota=quota(0, 50)))
    assert (check.state, check.evidence) == (WARN, "ran out in 1 of 20 periods")


def test_the_cgroup_with_the_largest_share_counts() -> None:
    """A quota far above throttles as well as one's own; a group that appears late is unknown."""
    groups = (*quota(9, 9, "/new"), *quota(2, 100))
    check = cpu_checks.throttling_check(MISSING, full_load(quota=groups))
    assert check.evidence == "ran out in 2 of 100 periods"


def test_no_quota_is_said_as_such() -> None:
    """Version 2 then has no periods at all."""
    check = cpu_checks.throttling_check(idle(quota=()), full_load(quota=()))
    assert (check.state, check.evidence) == (PASS, "none was in force under full load")


@pytest.mark.parametrize(
    ("steal_s", "busy_s", "state"),
    [
        (0.0, 20.0, PASS),
        (0.2, 19.8, PASS),
        (0.21, 19.79, WARN),
        (1.0, 19.0, WARN),
        (1.01, 18.99, FAIL),
    ],
)
def test_steal_is_a_share_of_the_time_that_was_wanted(
    steal_s: float, busy_s: float, state: Grade
) -> None:
    """One percent is good, five bearable."""
    load = full_load(cpu_time=CpuTime(busy_s=busy_s, steal_s=steal_s))
    assert cpu_checks.steal_check(load).state is state


def test_cpu_time_that_stands_still_is_not_judged() -> None:
    """Some sandboxes show zeros; that is not zero steal."""
    load = full_load(cpu_time=CpuTime(busy_s=0.0, steal_s=0.0))
    assert cpu_checks.steal_check(load).state is INFO


@pytest.mark.parametrize(
    ("pressure_s", "state"), [(0.0, PASS), (0.1, PASS), (0.11, WARN), (0.5, WARN), (0.51, FAIL)]
)
def test_idle_pressure_is_a_share_of_the_time(pressure_s: float, state: Grade) -> None:
    """Of two seconds: 5 % is good, 25 % bearable."""
    assert cpu_checks.idle_pressure_check(idle(pressure_s=pressure_s)).state is state


@pytest.mark.parametrize(
    ("samples", "state"),
    [((0, 0), PASS), ((2, 1), PASS), ((2, 2), WARN), ((9, 9), WARN)],
)
def test_runnable_tasks_are_compared_with_the_cpus(samples: tuple[int, ...], state: Grade) -> None:
    """Of four CPUs, less than two may be busy, on average."""
    assert cpu_checks.runnable_tasks_check(idle(samples), cpus()).state is state


def varying(coefficient: float) -> tuple[float, ...]:
    """Times around 50 ms with this coefficient of variation and a steady level."""
    pattern = (-1, 0, 1) * 13
    unit = coefficient / statistics.stdev(pattern)
    return tuple(0.05 * (1 + unit * value) for value in pattern)


@pytest.mark.parametrize(
    ("times_s", "state"),
    [
        pytest.param(varying(0.0), PASS, id="always the same"),
        pytest.param(varying(0.0199), PASS, id="below 2 %"),
        pytest.param(varying(0.0201), WARN, id="above 2 %"),
        pytest.param(varying(0.0999), WARN, id="below 10 %"),
        pytest.param(varying(0.1001), FAIL, id="above 10 %"),
        pytest.param((0.05,) * 39 + (0.07,), WARN, id="one outlier is no step"),
        pytest.param((0.05,) * 20 + (0.0549,) * 20, WARN, id="a step below 10 %"),
        pytest.param((0.05,) * 20 + (0.0551,) * 20, FAIL, id="a step above 10 %"),
        pytest.param((0.0551,) * 20 + (0.05,) * 20, FAIL, id="a step down"),
        pytest.param((0.05, 0.05), PASS, id="as few as there can be"),
    ],
)
def test_the_same_work_must_take_the_same_time(times_s: tuple[float, ...], state: Grade) -> None:
    """By its coefficient of variation, and by shifts of its level."""
    assert cpu_checks.steadiness_check("pinned", times_s).state is state


def test_a_step_needs_ten_on_each_side() -> None:
    """Fewer are outliers."""
    assert cpu_checks.level_step((1.0,) * 10 + (1.5,) * 10) == pytest.approx(0.5)
    assert cpu_checks.level_step((1.0,) * 10 + (1.5,) * 9) == 0
    assert cpu_checks.level_step((1.0,) * 36 + (1.5,) * 4) == 0


def test_work_that_cannot_be_pinned_is_still_timed_unpinned() -> None:
    """One of the two lines has the reason."""
    checks = by_name(checks_of(readings(work=Work(pinned_s=MISSING, unpinned_s=(0.05,) * 40))))
    assert (checks["speed, pinned"].state, checks["speed, unpinned"].state) == (INFO, PASS)


@pytest.mark.parametrize(
    ("governors", "state"),
    [
        (("performance",), PASS),
        (("schedutil",), PASS),
        (("powersave",), WARN),
        (("performance", "powersave"), WARN),
    ],
)
def test_a_governor_that_saves_power_is_a_warning(governors: tuple[str, ...], state: Grade) -> None:
    """On any of the CPUs."""
    reading = Frequency(governors=governors, driver="intel_pstate", turbo=None)
    assert hardware_checks.frequency_check(reading).state is state


@pytest.mark.parametrize(
    ("turbo", "words"), [(True, "turbo on"), (False, "turbo off"), (None, "(acpi)")]
)
def test_turbo_is_reported_and_not_judged(turbo: bool | None, words: str) -> None:
    """The deployed program will have it, too."""
    check = hardware_checks.frequency_check(
        Frequency(governors=("performance",), driver="acpi", turbo=turbo)
    )
    assert check.state is PASS
    assert check.evidence.endswith(words)


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("Full",), PASS),
        (("Charging",), PASS),
        (("Not charging",), PASS),
        (("Full", "Discharging"), WARN),
    ],
)
def test_running_from_a_battery_is_a_warning(states: tuple[str, ...], state: Grade) -> None:
    """Whichever of them it is."""
    assert hardware_checks.battery_check(states).state is state


@pytest.mark.parametrize(
    ("reading", "evidence"),
    [
        (
            CpuKinds(threads_per_core=1, numa_nodes=1, core_kinds=()),
            "1 thread(s) on each core, 1 memory node(s), not hybrid",
        ),
        (
            CpuKinds(threads_per_core=2, numa_nodes=MISSING, core_kinds=("8 P", "4 E")),
            "2 thread(s) on each core, the reason, hybrid: 8 P and 4 E",
        ),
        (
            CpuKinds(threads_per_core=MISSING, numa_nodes=2, core_kinds=()),
            "the reason, 2 memory node(s), not hybrid",
        ),
    ],
)
def test_topology_is_noted(reading: CpuKinds, evidence: str) -> None:
    """Each part for itself."""
    check = hardware_checks.topology_check(reading)
    assert (check.state, check.evidence) == (INFO, evidence)


@pytest.mark.parametrize(
    ("celsius", "state"), [(50.0, PASS), (90.0, PASS), (90.1, WARN), (100.0, WARN), (105.0, WARN)]
)
def test_ten_degrees_below_a_trip_point_are_enough(celsius: float, state: Grade) -> None:
    """After the full load."""
    assert hardware_checks.temperature_check((temperature(celsius),), full_load()).state is state


def test_the_nearest_trip_point_counts() -> None:
    """Not the hottest sensor."""
    sensors = (
        Temperature(sensor="core", celsius=80, trip_celsius=100),
        Temperature(sensor="board", celsius=55, trip_celsius=60),
        Temperature(sensor="disk", celsius=99, trip_celsius=None),
    )
    check = hardware_checks.temperature_check(sensors, full_load())
    assert check.state is WARN
    assert check.evidence == "55 °C after full load, trip point 60 °C (board)"


def test_a_temperature_without_a_trip_point_is_not_judged() -> None:
    """It is told."""
    check = hardware_checks.temperature_check((temperature(70, None),), MISSING)
    assert (check.state, check.evidence) == (INFO, "70 °C (coretemp), without a trip point")


@pytest.mark.parametrize("sensors", [(temperature(),), MISSING])
def test_throttling_under_load_fails_whatever_the_sensors_say(
    sensors: tuple[Temperature, ...] | Missing,
) -> None:
    """The CPU's own counter is the surer sign."""
    check = hardware_checks.temperature_check(sensors, full_load(thermal_throttles=2))
    assert (check.state, check.evidence) == (FAIL, "throttled 2 times under full load")


@pytest.mark.parametrize(
    ("source", "state"),
    [
        ("tsc", PASS),
        ("kvm-clock", PASS),
        ("arch_sys_counter", PASS),
        ("hpet", WARN),
        ("acpi_pm", WARN),
    ],
)
def test_a_clock_outside_of_the_cpu_is_a_warning(source: str, state: Grade) -> None:
    """It is slow to read."""
    assert clock_checks.source_check(source).state is state


@pytest.mark.parametrize(
    ("drift_s", "state"),
    [
        (0.0, PASS),
        (0.0049, PASS),
        (0.0051, WARN),
        (-0.0051, WARN),
        (0.049, WARN),
        (0.051, FAIL),
        (-3600.0, FAIL),
    ],
)
def test_the_two_clocks_must_agree(drift_s: float, state: Grade) -> None:
    """Within a thousandth of the five seconds; in both directions."""
    assert clock_checks.drift_check(full_load(wall_s=5 + drift_s)).state is state


@pytest.mark.parametrize(("step_s", "state"), [(40e-9, PASS), (1e-6, PASS), (1.1e-6, WARN)])
def test_the_clock_must_resolve_a_microsecond(step_s: float, state: Grade) -> None:
    """Some inferences take forty."""
    assert clock_checks.step_check(step_s).state is state


@pytest.mark.parametrize(
    ("overshoots_s", "state"),
    [
        pytest.param((0.001,) * 200, PASS, id="at the first bound"),
        pytest.param((0.0001,) * 198 + (1.0,) * 2, PASS, id="one percent may be late"),
        pytest.param((0.0001,) * 197 + (0.0011,) * 3, WARN, id="above the first"),
        pytest.param((0.005,) * 200, WARN, id="at the second"),
        pytest.param((0.0051,) * 200, FAIL, id="above the second"),
        pytest.param((0.002,), WARN, id="one sleep"),
    ],
)
def test_sleepers_must_wake_in_time(overshoots_s: tuple[float, ...], state: Grade) -> None:
    """At the 99th percentile."""
    assert clock_checks.timer_check(overshoots_s).state is state


@pytest.mark.parametrize(
    ("available", "room", "state", "evidence"),
    [
        (GIB, None, PASS, "1.0 GiB available"),
        (GIB - 1, None, WARN, "1024 MiB available"),
        (8 * GIB, GIB, PASS, "1.0 GiB available under the cgroup's limit"),
        (8 * GIB, GIB // 2, WARN, "512 MiB available under the cgroup's limit"),
        (8 * GIB, -1, WARN, "0 MiB available under the cgroup's limit"),
        (8 * GIB, 2**62, PASS, "8.0 GiB available"),
    ],
)
def test_memory_is_what_machine_and_cgroup_leave(
    available: int, room: int | None, state: Grade, evidence: str
) -> None:
    """Version 1 writes a huge number for no limit."""
    check = host_checks.memory_check(memory(available, group_room_bytes=room))
    assert (check.state, check.evidence) == (state, evidence)


@pytest.mark.parametrize(("used", "state"), [(0, PASS), (1, WARN), (GIB, WARN)])
def test_any_swap_in_use_is_a_warning(used: int, state: Grade) -> None:
    """Memory was short once."""
    assert host_checks.swap_check(memory(swap_used_bytes=used)).state is state


@pytest.mark.parametrize(
    ("free", "state"), [(200 * 10**6, PASS), (200 * 10**6 - 1, FAIL), (0, FAIL)]
)
def test_a_study_needs_room(free: int, state: Grade) -> None:
    """200 MB at least."""
    assert host_checks.disk_check(Disk(folder="/", free_bytes=free)).state is state


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("ext4", PASS),
        ("btrfs", PASS),
        ("nfs4", WARN),
        ("cifs", WARN),
        ("overlay", INFO),
        ("tmpfs", INFO),
    ],
)
def test_the_file_system_must_lock_files(kind: str, state: Grade) -> None:
    """And where it will not last, that is told."""
    assert host_checks.file_system_check(kind).state is state


@pytest.mark.parametrize(("slowest_s", "state"), [(0.1, PASS), (0.101, WARN)])
def test_the_slowest_write_counts(slowest_s: float, state: Grade) -> None:
    """A commit of each trial waits for it."""
    writes = SyncedWrites(folder="/", times_s=(0.001, slowest_s, 0.001))
    assert host_checks.synced_writes_check(writes).state is state


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("3.6.23", PASS),
        ("3.7.0", INFO),
        ("3.44.5", INFO),
        ("3.44.6", PASS),
        ("3.45.0", INFO),
        ("3.50.6", INFO),
        ("3.50.7", PASS),
        ("3.51.2", INFO),
        ("3.51.3", PASS),
        ("3.53.0", PASS),
    ],
)
def test_the_wal_bug_of_sqlite_is_told_and_does_not_matter(version: str, state: Grade) -> None:
    """Fixed in 3.51.3 and in two older branches."""
    check = host_checks.sqlite_check(version)
    assert check.state is state
    assert ("no WAL" in check.evidence) == (state is INFO)


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("2025.4.0", WARN),
        ("2026.3.9", WARN),
        ("2026.4.0", PASS),
        ("2026.10.0", PASS),
        ("2027.0.0.dev20270101", PASS),
        ("custom", INFO),
    ],
)
def test_an_openvino_with_known_bugs_is_a_warning(version: str, state: Grade) -> None:
    """Before 2026.4."""
    assert host_checks.openvino_check(version).state is state


def test_without_openvino_nothing_can_be_measured() -> None:
    """That is a failure, and no missing reading."""
    check = host_checks.openvino_check(Missing("not installed"))
    assert (check.state, check.evidence) == (FAIL, "not installed")


@pytest.mark.parametrize(
    ("reading", "state", "evidence"),
    [
        (Devices(names=("CPU (a)", "GPU (b)")), PASS, "CPU (a), GPU (b)"),
        (Devices(names=()), FAIL, "OpenVINO finds none"),
        (Devices(names=(), problem="it crashed"), FAIL, "it crashed"),
        (MISSING, INFO, "the reason"),
    ],
)
def test_there_must_be_a_device(reading: Devices | Missing, state: Grade, evidence: str) -> None:
    """Or the reason why the runtime does not answer."""
    check = host_checks.devices_check(reading)
    assert (check.state, check.evidence) == (state, evidence)


@pytest.mark.parametrize(
    ("reading", "state", "words"),
    [
        (Lock(), PASS, ""),
        (Lock(problem="another measures; wait", is_held=True), FAIL, "wait for it"),
        (Lock(problem="/x: cannot be locked"), FAIL, "AUTOTUNE_LOCK_DIR"),
    ],
)
def test_nobody_else_may_measure(reading: Lock, state: Grade, words: str) -> None:
    """And the lock must be one that can be taken."""
    check = host_checks.lock_check(reading)
    assert check.state is state
    assert words in check.remedy
    assert ";" not in check.evidence


def test_energy_counters_are_for_information() -> None:
    """Whose they are is said; where they cannot be read nothing is wrong."""
    check = hardware_checks.energy_check(("package-0", "dram"))
    evidence = "readable, of the whole machine: package-0, dram"
    assert (check.state, check.evidence) == (INFO, evidence)


@pytest.mark.parametrize(
    "check",
    [
        cpu_checks.steal_check,
        clock_checks.drift_check,
        lambda load: cpu_checks.throttling_check(MISSING, load),
    ],
)
def test_evidence_tells_the_figure_that_was_judged(check: Callable[[FullLoad], Check]) -> None:
    """So that a reader can disagree with the bound."""
    load = FullLoad(
        interval=interval(5.0, quota=quota(1, 50), cpu_time=CpuTime(busy_s=9, steal_s=1)),
        processes=2,
    )
    assert any(digit.isdigit() for digit in check(load).evidence)


@pytest.mark.parametrize(
    ("noise", "state"), [(0.0, PASS), (0.02, PASS), (0.021, WARN), (0.05, WARN), (0.051, FAIL)]
)
def test_the_noise_of_equal_configurations(noise: float, state: Grade) -> None:
    """MLPerf's bound for a material difference, and more than twice that."""
    found = Devices(names=("CPU (a)",), calibration=replace(CALIBRATION, noise=noise))
    assert host_checks.calibration_check(found).state is state


def test_a_machine_without_calibration_is_told_how() -> None:
    """It is no fault of the machine's."""
    check = host_checks.calibration_check(Devices(names=("CPU (a)",)))
    assert check.state is INFO
    assert "autotune doctor --calibrate" in check.evidence
