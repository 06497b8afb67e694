"""What /sys tells of CPUs, clocks, heat and power."""

from functools import partial
from pathlib import Path

from autotune.doctor.files import attempt, cpu_files
from autotune.doctor.readings import Frequency, Temperature, Topology
from autotune.host.energy import energy_meter
from autotune.host.files import read, read_whole

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


def topology(root: Path) -> Topology:
    """Threads of a core, memory nodes, kinds of cores."""
    return Topology(
        threads_per_core=attempt(partial(_threads_per_core, root)),
        numa_nodes=attempt(partial(_numa_nodes, root)),
        core_kinds=_core_kinds(root),
    )


def _threads_per_core(root: Path) -> int:
    paths = cpu_files(root, "topology/thread_siblings_list")
    if not paths:
        raise ValueError("no CPU topology is visible")
    return max(_count(path) for path in paths)


def _numa_nodes(root: Path) -> int:
    nodes = list(root.glob("sys/devices/system/node/node[0-9]*"))
    if not nodes:
        raise ValueError("no memory nodes are visible")
    return len(nodes)


def _core_kinds(root: Path) -> tuple[str, ...]:
    # Intel has a device for each kind; Arm gives each CPU its capacity.
    kinds = {"P": root / "sys/devices/cpu_core/cpus", "E": root / "sys/devices/cpu_atom/cpus"}
    if all(path.exists() for path in kinds.values()):
        return tuple(f"{_count(path)} {kind}-core CPUs" for kind, path in kinds.items())
    capacities = [read_whole(path) for path in cpu_files(root, "cpu_capacity")]
    several = sorted(set(capacities), reverse=True)
    if len(several) < 2:
        return ()
    return tuple(f"{capacities.count(value)} CPUs of capacity {value}" for value in several)


def _count(path: Path) -> int:
    """How many CPUs a file lists in the kernel's notation: 0-3,8."""
    text, total = read(path), 0
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            total += int(last or first) - int(first) + 1
    except ValueError:
        raise ValueError(f"{path}: {text!r} is no list of CPUs") from None
    return total


def clock_source(root: Path) -> str:
    """What the kernel tells the time from."""
    return read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")


def energy(root: Path) -> tuple[str, ...]:
    """Names of the energy counters; all must be readable, which often only root may."""
    meter = energy_meter(root)
    if meter.why_not is not None:
        raise ValueError(meter.why_not)
    return tuple(counter.name for counter in meter.counters)
