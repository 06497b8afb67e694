"""All checks in the order of the report: from what is most often wrong to what is good to know."""

from collections.abc import Sequence

from autotune.doctor import clock_checks, cpu_checks, hardware_checks, host_checks
from autotune.doctor.check import Check, Grade
from autotune.doctor.readings import Missing, Readings


def checks_of(readings: Readings) -> tuple[Check, ...]:
    """Every check; pure, so the same readings give the same report."""
    work = readings.work
    pinned_s, unpinned_s = (
        (work, work) if isinstance(work, Missing) else (work.pinned_s, work.unpinned_s)
    )
    return (
        host_checks.lock(readings.lock),
        cpu_checks.cpus(readings.cpus),
        cpu_checks.throttling(readings.idle, readings.load),
        cpu_checks.steal(readings.load),
        cpu_checks.idle_pressure(readings.idle),
        cpu_checks.runnable_tasks(readings.idle, readings.cpus),
        cpu_checks.steadiness("pinned", pinned_s),
        cpu_checks.steadiness("unpinned", unpinned_s),
        hardware_checks.frequency(readings.frequency),
        hardware_checks.battery(readings.batteries),
        hardware_checks.temperature(readings.temperatures, readings.load),
        hardware_checks.topology(readings.topology),
        clock_checks.source(readings.clock_source),
        clock_checks.drift(readings.load),
        clock_checks.step(readings.clock_step_s),
        clock_checks.timer(readings.overshoots_s),
        host_checks.memory(readings.memory),
        host_checks.swap(readings.memory),
        host_checks.disk(readings.disk),
        host_checks.file_system(readings.file_system),
        host_checks.synced_writes(readings.synced_writes),
        host_checks.sqlite(readings.sqlite),
        host_checks.openvino(readings.openvino),
        host_checks.devices(readings.devices),
        host_checks.calibration(readings.devices),
        hardware_checks.energy(readings.energy),
    )


def is_fit(checks: Sequence[Check]) -> bool:
    """Whether nothing failed."""
    return all(check.state is not Grade.FAIL for check in checks)
