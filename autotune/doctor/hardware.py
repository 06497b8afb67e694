"""What /sys tells of CPUs, clocks, heat and power."""

from collections import Counter
from functools import partial
from pathlib import Path

from autotune.doctor.files import attempt
from autotune.doctor.readings import CpuKinds, Frequency, Temperature
from autotune.host.energy import energy_meter
from autotune.host.files import read, read_whole
from autotune.host.topology import capacities_of, cores_of, nodes_of, told_types_of

# hwmon has sensors of disks and network cards too; these drivers are those of CPUs.
_CPU_SENSORS = {"coretemp", "k10temp", "zenpower", "cpu_thermal"}
_ACTING_TRIPS = {"passive", "hot", "critical"}


def temperatures(root: Path) -> tuple[Temperature, ...]:
    """Every thermal zone and CPU sensor that can be read."""
    zones = sorted(root.glob("sys/class/thermal/thermal_zone*"))
    sensors = [
        path
        for chip in sorted(root.glob("sys/class/hwmon/hwmon*"))
        if attempt(partial(read, chip / "name")) in _CPU_SENSORS
        for path in sorted(chip.glob("temp*_input"))
    ]
    attempted = [attempt(partial(_zone, zone)) for zone in zones]
    attempted += [attempt(partial(_sensor, path)) for path in sensors]
    # Some zones answer only while their device is awake.
    found = tuple(reading for reading in attempted if isinstance(reading, Temperature))
    if not found:
        raise ValueError("no temperature sensor is visible, as in most virtual machines")
    return found


def _zone(zone: Path) -> Temperature:
    trips = [
        _celsius(kind.with_name(kind.name.replace("_type", "_temp")))
        for kind in zone.glob("trip_point_*_type")
        if read(kind) in _ACTING_TRIPS
    ]
    return Temperature(
        sensor=read(zone / "type"),
        celsius=_celsius(zone / "temp"),
        # Firmware writes 0 or less where it means "none".
        trip_celsius=min((trip for trip in trips if trip > 0), default=None),
    )


def _sensor(path: Path) -> Temperature:
    # "crit" is where a CPU throttles itself, "max" where fans should be at their fastest.
    limits = [path.with_name(path.name.replace("_input", kind)) for kind in ("_crit", "_max")]
    return Temperature(
        sensor=read(path.with_name("name")),
        celsius=_celsius(path),
        trip_celsius=next((_celsius(limit) for limit in limits if limit.exists()), None),
    )


def _celsius(path: Path) -> float:
    return read_whole(path) / 1000


def frequency(root: Path) -> Frequency:
    """Governor and turbo."""
    policies = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"))
    if not policies:
        raise ValueError("no frequency control is visible, as in most virtual machines")
    return Frequency(
        governors=tuple(sorted({read(policy / "scaling_governor") for policy in policies})),
        driver=read(policies[0] / "scaling_driver"),
        turbo=_turbo(root),
    )


def _turbo(root: Path) -> bool | None:
    for switch, on in (("intel_pstate/no_turbo", "0"), ("cpufreq/boost", "1")):
        path = root / "sys/devices/system/cpu" / switch
        if path.exists():
            return read(path) == on
    return None


def batteries(root: Path) -> tuple[str, ...]:
    """State of the machine's batteries; a mouse's is none of them."""
    found = tuple(
        read(supply / "status")
        for supply in sorted(root.glob("sys/class/power_supply/*"))
        if read(supply / "type") == "Battery" and not _is_of_a_device(supply)
    )
    if not found:
        raise ValueError("no battery")
    return found


def _is_of_a_device(supply: Path) -> bool:
    scope = supply / "scope"
    return scope.exists() and read(scope) == "Device"


def cpu_kinds(root: Path) -> CpuKinds:
    """Threads of a core, memory nodes, kinds of cores: each for itself, as far as it is told."""
    return CpuKinds(
        threads_per_core=attempt(partial(_threads_per_core, root)),
        numa_nodes=attempt(lambda: len(set(nodes_of(root).values()))),
        core_kinds=_core_kinds(root),
    )


def _threads_per_core(root: Path) -> int:
    return max(Counter(cores_of(root).values()).values())


def _core_kinds(root: Path) -> tuple[str, ...]:
    """The fastest first; Arm's by their capacity, of which there may be three."""
    types = Counter(told_types_of(root).values())
    if types:
        return tuple(f"{types[kind]} {kind}-core CPUs" for kind in sorted(types)[::-1])
    capacities = Counter(capacities_of(root).values())
    several = sorted(capacities, reverse=True) if len(capacities) > 1 else []
    return tuple(f"{capacities[value]} CPUs of capacity {value}" for value in several)


def clock_source(root: Path) -> str:
    """What the kernel tells the time from."""
    return read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")


def energy(root: Path) -> tuple[str, ...]:
    """Names of the energy counters; all must be readable, which often only root may."""
    meter = energy_meter(root)
    if meter.why_not is not None:
        raise ValueError(meter.why_not)
    return tuple(counter.name for counter in meter.counters)
