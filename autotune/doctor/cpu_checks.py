"""Checks of the CPUs: whether they are ours, and whether their speed is steady."""

import statistics
from collections.abc import Sequence

from autotune.doctor.check import Check, Grade, finding, fine_percent, grade, unread
from autotune.doctor.readings import FullLoad, Idle, Missing, Span, both
from autotune.host.cpus import Cpus

# These bounds are autotune's own: a warning is the size of the gains that tuning looks for (1 or 2
# percent), a failure is noise that hides them.
_FAIL_QUOTA_CPUS = 1.0
_WARN_THROTTLED, _FAIL_THROTTLED = 0.0, 0.05
_WARN_STEAL, _FAIL_STEAL = 0.01, 0.05
_WARN_PRESSURE, _FAIL_PRESSURE = 0.05, 0.25
_WARN_RUNNABLE_PER_CPU = 0.5
_WARN_CV, _FAIL_CV = 0.02, 0.10
_FAIL_STEP = 0.10
_LEAST_IN_LEVEL = 10

_BUSY_ELSEWHERE = "other work takes CPU time from what is measured, now and then"
_STOP_OTHERS = "stop it (top shows what runs), or wait until it has ended"


def cpus_check(reading: Cpus | Missing) -> Check:
    """Whether a quota is below the affinity: OpenVINO sees only the latter."""
    name = "CPUs"
    if isinstance(reading, Missing):
        return unread(name, reading)
    quota, state = reading.quota_cpus, Grade.PASS
    if quota is not None and quota < reading.affinity:
        state = Grade.FAIL if quota < _FAIL_QUOTA_CPUS else Grade.WARN
    limit = "no quota" if quota is None else f"a quota of {quota:g}"
    return finding(
        name,
        state,
        f"{reading.visible} visible, {reading.affinity} in the affinity, {limit}",
        "OpenVINO does not see the quota: the threads that it chooses by itself are throttled",
        "raise the quota (docker run --cpus, cpu.max), or measure on fewer CPUs with --cpus",
    )


def throttling_check(idle: Idle | Missing, load: FullLoad | Missing) -> Check:
    """Periods in which the quota ran out, idle or under full load: the worse counts."""
    name = "CPU quota"
    if isinstance(load, Missing):
        return unread(name, load)
    intervals = [load.interval, *([] if isinstance(idle, Missing) else [idle.interval])]
    counted = [_throttled_periods(interval) for interval in intervals]
    known = [counts for counts in counted if not isinstance(counts, Missing)]
    if not known:
        return unread(name, next(counts for counts in counted if isinstance(counts, Missing)))
    throttled, periods = max(known, key=lambda counts: _share(*counts))
    if periods == 0:
        return Check(name, Grade.PASS, "none was in force under full load")
    return finding(
        name,
        grade(_share(throttled, periods), _WARN_THROTTLED, _FAIL_THROTTLED),
        f"ran out in {throttled} of {periods} periods",
        "requests stand still until the next period: high percentiles are the quota's, not "
        "the model's",
        "raise the quota (docker run --cpus, cpu.max), and run nothing else under it",
    )


def _throttled_periods(interval: Span) -> tuple[int, int] | Missing:
    """(throttled, all) periods of the cgroup with the largest share."""
    pair = both(interval.before.quota, interval.after.quota)
    if isinstance(pair, Missing):
        return pair
    begun = {group.group: group for group in pair[0]}
    counts = [
        (end.throttled - begun[end.group].throttled, end.periods - begun[end.group].periods)
        for end in pair[1]
        if end.group in begun
    ]
    # Of equal shares, the group that had a quota at all.
    return max(counts, key=lambda count: (_share(*count), count[1]), default=(0, 0))


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


def steal_check(load: FullLoad | Missing) -> Check:
    """CPU time that the hypervisor gave to others while we wanted all of it."""
    name = "steal"
    if isinstance(load, Missing):
        return unread(name, load)
    pair = both(load.interval.before.cpu_time, load.interval.after.cpu_time)
    if isinstance(pair, Missing):
        return unread(name, pair)
    before, after = pair
    steal_s = after.steal_s - before.steal_s
    wanted_s = after.busy_s - before.busy_s + steal_s
    if wanted_s <= 0:
        return Check(name, Grade.INFO, "CPU time does not advance in /proc/stat")
    return finding(
        name,
        grade(steal_s / wanted_s, _WARN_STEAL, _FAIL_STEAL),
        f"{fine_percent(steal_s / wanted_s)} of the CPU time in {load.interval.duration_s:.1f} s "
        f"of full load",
        "the hypervisor runs others on these CPUs: throughput varies with their work",
        "take dedicated CPUs, or a quieter host or hour; give a longer budget",
    )


def idle_pressure_check(idle: Idle | Missing) -> Check:
    """Time in which tasks waited for a CPU although we slept."""
    name = "idle pressure"
    if isinstance(idle, Missing):
        return unread(name, idle)
    pair = both(idle.interval.before.pressure_s, idle.interval.after.pressure_s)
    if isinstance(pair, Missing):
        return unread(name, pair)
    share = (pair[1] - pair[0]) / idle.interval.duration_s
    return finding(
        name,
        grade(share, _WARN_PRESSURE, _FAIL_PRESSURE),
        f"tasks waited for a CPU in {fine_percent(share)} of {idle.interval.duration_s:.1f} s",
        _BUSY_ELSEWHERE,
        _STOP_OTHERS,
    )


def runnable_tasks_check(idle: Idle | Missing, cpus: Cpus | Missing) -> Check:
    """Tasks that run although we sleep, all over the machine."""
    name = "runnable tasks"
    if isinstance(idle, Missing):
        return unread(name, idle)
    if isinstance(idle.runnable_tasks, Missing):
        return unread(name, idle.runnable_tasks)
    if isinstance(cpus, Missing):
        return unread(name, cpus)
    mean = statistics.fmean(idle.runnable_tasks)
    return finding(
        name,
        Grade.WARN if mean >= _WARN_RUNNABLE_PER_CPU * cpus.visible else Grade.PASS,
        f"{mean:.1f} on average beside this one, on {cpus.visible} CPUs",
        _BUSY_ELSEWHERE,
        _STOP_OTHERS,
    )


def steadiness_check(kind: str, times_s: tuple[float, ...] | Missing) -> Check:
    """How much the time of the same work varies, and whether its level shifts."""
    name = f"speed, {kind}"
    if isinstance(times_s, Missing):
        return unread(name, times_s)
    variation = statistics.stdev(times_s) / statistics.fmean(times_s)
    step = level_step(times_s)
    return finding(
        name,
        Grade.FAIL if step > _FAIL_STEP else grade(variation, _WARN_CV, _FAIL_CV),
        f"{len(times_s)} x {statistics.median(times_s) * 1000:.0f} ms of the same work: "
        f"CV {fine_percent(variation)}, max/min {max(times_s) / min(times_s):.2f}, "
        f"step {fine_percent(step)}",
        "one configuration measures differently from moment to moment: small gains drown in it",
        "look for the cause in other lines (steal, other tasks, heat); a neighbour on the same "
        "core leaves no trace but this: take a quieter host or hour, or a longer budget",
    )


def level_step(times_s: Sequence[float]) -> float:
    """Largest ratio, less one, of the medians before and after an instant.

    Medians leave outliers to the coefficient of variation; there are at least ten on each side.
    """
    splits = range(_LEAST_IN_LEVEL, len(times_s) - _LEAST_IN_LEVEL + 1)
    levels = [(statistics.median(times_s[:k]), statistics.median(times_s[k:])) for k in splits]
    return max((max(pair) / min(pair) - 1 for pair in levels), default=0.0)
