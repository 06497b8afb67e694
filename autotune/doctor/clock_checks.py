"""Checks of the clocks: whether short times can be measured."""

import math

from autotune.doctor.check import Check, Grade, finding, fine_percent, grade, unread
from autotune.doctor.readings import FullLoad, Missing

# A reading takes a microsecond or more, or steps by milliseconds; of the TSC it takes 20 to 50 ns.
_SLOW_SOURCES = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}
# MLPerf's LoadGen warns of a tenth of a percent between its two clocks, and refuses a percent.
_WARN_DRIFT, _FAIL_DRIFT = 0.001, 0.01
# 2.5 % of 40 us, about the shortest inference that the load loop can drive; a bound of our own.
_WARN_STEP_S = 1e-6
# A machine that wakes a sleeper this late delays threads that wait for a request, too.
_WARN_OVERSHOOT_S, _FAIL_OVERSHOOT_S = 0.001, 0.005


def source_check(reading: str | Missing) -> Check:
    """What the kernel tells the time from."""
    name = "clock source"
    if isinstance(reading, Missing):
        return unread(name, reading)
    return finding(
        name,
        Grade.WARN if reading in _SLOW_SOURCES else Grade.PASS,
        reading,
        "reading the clock costs a microsecond or more, or is coarse: short latencies are wrong",
        "see why the kernel distrusts the TSC (dmesg | grep -i tsc); boot with clocksource=tsc",
    )


def drift_check(load: FullLoad | Missing) -> Check:
    """Whether the wall clock, by which C++ libraries may time, is being stepped or slewed."""
    name = "clock drift"
    if isinstance(load, Missing):
        return unread(name, load)
    before, after = load.interval.before, load.interval.after
    duration_s = load.interval.duration_s
    drift_s = after.wall_s - before.wall_s - duration_s
    return finding(
        name,
        grade(abs(drift_s) / duration_s, _WARN_DRIFT, _FAIL_DRIFT),
        f"{drift_s * 1000:+.2f} ms between wall and monotonic clock in {duration_s:.1f} s "
        f"({fine_percent(abs(drift_s) / duration_s)})",
        "latencies that are taken from the wall clock are wrong by as much or more",
        "let the time service finish (chronyc tracking, timedatectl), or make it slew slowly",
    )


def step_check(reading_s: float | Missing) -> Check:
    """The finest difference that can be timed."""
    name = "clock step"
    if isinstance(reading_s, Missing):
        return unread(name, reading_s)
    return finding(
        name,
        Grade.WARN if reading_s > _WARN_STEP_S else Grade.PASS,
        f"perf_counter advances by {reading_s * 1e9:.0f} ns",
        "short latencies are rounded",
        "see the clock source; in a sandbox, measure outside of it",
    )


def timer_check(overshoots_s: tuple[float, ...] | Missing) -> Check:
    """How late a sleeper wakes up."""
    name = "timer"
    if isinstance(overshoots_s, Missing):
        return unread(name, overshoots_s)
    p99_s = sorted(overshoots_s)[math.ceil(0.99 * len(overshoots_s)) - 1]
    return finding(
        name,
        grade(p99_s, _WARN_OVERSHOOT_S, _FAIL_OVERSHOOT_S),
        f"{len(overshoots_s)} sleeps of 1 ms end late by {p99_s * 1000:.2f} ms (p99)",
        "threads that wait for a request wake up late: high percentiles are the machine's",
        "stop other work; in a virtual machine, take dedicated CPUs",
    )
