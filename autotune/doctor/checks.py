"""All checks in the order of the report: from what is most often wrong to what is good to know."""

from collections.abc import Sequence

from autotune.doctor import clock_checks, cpu_checks, hardware_checks, host_checks
from autotune.doctor.check import Check, Grade
from autotune.doctor.readings import MachineReadings, Missing


def checks_of(readings: MachineReadings) -> tuple[Check, ...]:
    """Every check; pure, so the same readings give the same report."""
    work = readings.work
    pinned_s, unpinned_s = (
        (work, work) if isinstance(work, Missing) else (work.pinned_s, work.unpinned_s)
    )
    return (
        host_checks.lock_check(readings.lock),
        cpu_checks.cpus_check(readings.cpus),
        cpu_checks.throttling_check(readings.idle, readings.load),
        cpu_checks.steal_check(readings.load),
        cpu_checks.idle_pressure_check(readings.idle),
        cpu_checks.runnable_tasks_check(readings.idle, readings.cpus),
        cpu_checks.steadiness_check("pinned", pinned_s),
        cpu_checks.steadiness_check("unpinned", unpinned_s),
        hardware_checks.frequency_check(readings.frequency),
        hardware_checks.battery_check(readings.batteries),
        hardware_checks.temperature_check(readings.temperatures, readings.load),
        hardware_checks.topology_check(readings.topology),
        clock_checks.source_check(readings.clock_source),
        clock_checks.drift_check(readings.load),
        clock_checks.step_check(readings.clock_step_s),
        clock_checks.timer_check(readings.overshoots_s),
        host_checks.memory_check(readings.memory),
        host_checks.swap_check(readings.memory),
        host_checks.disk_check(readings.disk),
        host_checks.file_system_check(readings.file_system),
        host_checks.synced_writes_check(readings.synced_writes),
        host_checks.sqlite_check(readings.sqlite),
        host_checks.openvino_check(readings.openvino),
        host_checks.devices_check(readings.devices),
        host_checks.calibration_check(readings.devices),
        hardware_checks.energy_check(readings.energy),
    )


def is_fit(checks: Sequence[Check]) -> bool:
    """Whether nothing failed."""
    return all(check.state is not Grade.FAIL for check in checks)
