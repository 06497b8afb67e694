"""Checks of the hardware: whether it keeps its speed, and what else to know of it."""

from autotune.doctor.check import Check, Grade, finding, unread
from autotune.doctor.readings import (
    Frequency,
    FullLoad,
    Missing,
    Span,
    Temperature,
    Topology,
    both,
)

_WARN_MARGIN_CELSIUS = 10.0


def frequency_check(reading: Frequency | Missing) -> Check:
    """The governor. Turbo is only reported: what is deployed will have it, too."""
    name = "frequency"
    if isinstance(reading, Missing):
        return unread(name, reading)
    turbo = {True: ", turbo on", False: ", turbo off", None: ""}[reading.turbo]
    return finding(
        name,
        Grade.WARN if "powersave" in reading.governors else Grade.PASS,
        f"governor {', '.join(reading.governors)} ({reading.driver}){turbo}",
        "clocks are low, or rise late: few requests in flight look slower than they could be",
        "cpupower frequency-set -g performance, if the deployment runs with it, too",
    )


def battery_check(reading: tuple[str, ...] | Missing) -> Check:
    """Whether the machine runs from it."""
    name = "battery"
    if isinstance(reading, Missing):
        return unread(name, reading)
    return finding(
        name,
        Grade.WARN if "Discharging" in reading else Grade.PASS,
        ", ".join(reading).lower(),
        "the machine saves power, the more the emptier the battery",
        "plug it in",
    )


def topology_check(reading: Topology | Missing) -> Check:
    """What makes CPUs unequal: nothing to judge, but to know."""
    name = "topology"
    if isinstance(reading, Missing):
        return unread(name, reading)
    threads, nodes = reading.threads_per_core, reading.numa_nodes
    facts = [
        threads.reason if isinstance(threads, Missing) else f"{threads} thread(s) on each core",
        nodes.reason if isinstance(nodes, Missing) else f"{nodes} memory node(s)",
        f"hybrid: {' and '.join(reading.core_kinds)}" if reading.core_kinds else "not hybrid",
    ]
    return Check(name, Grade.INFO, ", ".join(facts))


def temperature_check(
    readings: tuple[Temperature, ...] | Missing, load: FullLoad | Missing
) -> Check:
    """The distance to the nearest trip point after the load, and throttling during it."""
    name = "temperature"
    consequence = "hot CPUs lower their clock: the end of a study is slower than its beginning"
    remedy = "better cooling; let the machine cool down before it measures"
    throttles = Missing("") if isinstance(load, Missing) else _throttles(load.interval)
    if not isinstance(throttles, Missing) and throttles > 0:
        evidence = f"throttled {throttles} times under full load"
        return Check(name, Grade.FAIL, evidence, consequence, remedy)
    if isinstance(readings, Missing):
        return unread(name, readings)
    margins = [
        (reading.trip_celsius - reading.celsius, f"{reading.trip_celsius:.0f} °C", reading)
        for reading in readings
        if reading.trip_celsius is not None
    ]
    if not margins:
        hottest = max(readings, key=lambda reading: reading.celsius)
        evidence = f"{hottest.celsius:.0f} °C ({hottest.sensor}), without a trip point"
        return Check(name, Grade.INFO, evidence)
    margin, trip, nearest = min(margins, key=lambda known: known[0])
    return finding(
        name,
        Grade.WARN if margin < _WARN_MARGIN_CELSIUS else Grade.PASS,
        f"{nearest.celsius:.0f} °C after full load, trip point {trip} ({nearest.sensor})",
        consequence,
        remedy,
    )


def _throttles(interval: Span) -> int | Missing:
    pair = both(interval.before.thermal_throttles, interval.after.thermal_throttles)
    return pair if isinstance(pair, Missing) else pair[1] - pair[0]


def energy_check(reading: tuple[str, ...] | Missing) -> Check:
    """Counters that tell joules for each item; nothing else depends on them."""
    name = "energy counters"
    if isinstance(reading, Missing):
        return unread(name, reading)
    return Check(name, Grade.INFO, f"readable, of the whole machine: {', '.join(reading)}")
