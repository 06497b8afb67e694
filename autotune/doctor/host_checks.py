"""Checks of the host: room, software, and nobody else who measures."""

import re

from autotune.doctor.check import Check, Grade, finding, grade, size, unread
from autotune.doctor.readings import Devices, Disk, Lock, Missing, SyncedWrites
from autotune.host.memory import Memory

# A race keeps several processes, each with a model; the bound is our own.
_WARN_MEMORY_BYTES = 2**30
# Databases and logs of a few studies; a full disk ends a study.
_FAIL_FREE_BYTES = 200 * 10**6
# A trial is a handful of commits: at a tenth of a second each they cost as much as a slice of load.
_WARN_SYNC_S = 0.1
# File locks on these are unreliable: https://www.sqlite.org/faq.html#q5
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"}
_NETWORK |= {"fuse.sshfs", "fuse.glusterfs"}
_SHORT_LIVED = {
    "overlay": "what is written here is lost with the container",
    "tmpfs": "what is written here is in memory and lost at the next boot",
}
# MLPerf takes 2 % for a material difference; the rest is our own.
_WARN_NOISE, _FAIL_NOISE = 0.02, 0.05
# The WAL-reset bug: https://www.sqlite.org/wal.html#walresetbug
_WAL_BUG_SINCE, _WAL_BUG_FIXED = (3, 7, 0), (3, 51, 3)
_WAL_BUG_BACKPORTS = ((3, 50, 7), (3, 44, 6))
# Hang when an AsyncInferQueue is torn down, https://github.com/openvinotoolkit/openvino/pull/37073;
# inputs that are shared with a queue may be freed before they are used, .../pull/36554
_FIXED_OPENVINO = (2026, 4)


def lock_check(reading: Lock) -> Check:
    """Whether another measurement runs."""
    name = "machine lock"
    if reading.problem is None:
        return Check(name, Grade.PASS, "free: no other measurement runs")
    if reading.is_held:
        consequence = "two measurements at once are two wrong numbers; nothing was put under load"
        remedy = "wait for it to end, or stop it; then run the doctor again"
    else:
        consequence = "no study can begin to measure; nothing was put under load"
        remedy = "name a folder that can be written in AUTOTUNE_LOCK_DIR"
    return Check(name, Grade.FAIL, reading.problem.partition(";")[0], consequence, remedy)


def calibration_check(reading: Devices | Missing) -> Check:
    """What this machine makes of two equal configurations."""
    name = "A/A noise"
    if isinstance(reading, Missing):
        return unread(name, reading)
    found = reading.calibration
    if found is None:
        return Check(name, Grade.INFO, "never calibrated: autotune doctor --calibrate")
    return finding(
        name,
        grade(found.noise, _WARN_NOISE, _FAIL_NOISE),
        str(found),
        "smaller differences than this are called equal",
        "calibrate again at a quieter hour",
    )


def memory_check(reading: Memory | Missing) -> Check:
    """What is left for workers, in this machine and under its cgroups' limits."""
    name = "memory"
    if isinstance(reading, Missing):
        return unread(name, reading)
    left_bytes = reading.left_bytes
    where = " under the cgroup's limit" if left_bytes < reading.available_bytes else ""
    return finding(
        name,
        Grade.WARN if left_bytes < _WARN_MEMORY_BYTES else Grade.PASS,
        f"{size(left_bytes)} available{where}",
        "workers may be killed: a race keeps several processes with a model each",
        "close other programs, or raise the container's limit",
    )


def swap_check(reading: Memory | Missing) -> Check:
    """Whether some memory was swapped out."""
    name = "swap"
    if isinstance(reading, Missing):
        return unread(name, reading)
    return finding(
        name,
        Grade.WARN if reading.swap_used_bytes > 0 else Grade.PASS,
        f"{size(reading.swap_used_bytes)} in use" if reading.swap_used_bytes else "not in use",
        "memory was short, and may be again: what is read back from the disk stops requests",
        "free memory, then swapoff -a && swapon -a",
    )


def disk_check(reading: Disk | Missing) -> Check:
    """Room for databases and logs."""
    name = "disk space"
    if isinstance(reading, Missing):
        return unread(name, reading)
    return finding(
        name,
        Grade.FAIL if reading.free_bytes < _FAIL_FREE_BYTES else Grade.PASS,
        f"{size(reading.free_bytes)} free in {reading.folder}",
        "a disk that is full ends a study",
        "free some space, or keep studies in another folder",
    )


def file_system_check(reading: str | Missing) -> Check:
    """Whether the database's locks can be trusted, and how long its file lives."""
    name = "file system"
    if isinstance(reading, Missing):
        return unread(name, reading)
    if reading in _SHORT_LIVED:
        return Check(name, Grade.INFO, f"{reading}: {_SHORT_LIVED[reading]}")
    return finding(
        name,
        Grade.WARN if reading in _NETWORK else Grade.PASS,
        reading,
        "file locks are unreliable over a network: two tuners may write one study",
        "keep studies on a local disk",
    )


def synced_writes_check(reading: SyncedWrites | Missing) -> Check:
    """How long a commit takes; of twenty writes the slowest is the p99."""
    name = "fsync"
    if isinstance(reading, Missing):
        return unread(name, reading)
    slowest_s = max(reading.times_s)
    return finding(
        name,
        Grade.WARN if slowest_s > _WARN_SYNC_S else Grade.PASS,
        f"slowest of {len(reading.times_s)} writes {slowest_s * 1000:.2g} ms in {reading.folder}",
        "every trial waits for its commits: less of the budget is spent on measuring",
        "keep studies on a faster or less busy disk",
    )


def sqlite_check(version: str) -> Check:
    """The WAL-reset bug, which cannot strike here: studies use a rollback journal."""
    name = "SQLite"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    affected = _WAL_BUG_SINCE <= numbers < _WAL_BUG_FIXED
    if affected and not any(
        fix[:2] == numbers[:2] and fix <= numbers for fix in _WAL_BUG_BACKPORTS
    ):
        evidence = f"{version}: has the WAL-reset bug; studies use no WAL, so it does not matter"
        return Check(name, Grade.INFO, evidence)
    return Check(name, Grade.PASS, version)


def openvino_check(version: str | Missing) -> Check:
    """Known bugs of the runtime."""
    name = "OpenVINO"
    if isinstance(version, Missing):
        remedy = "pip install openvino"
        return Check(name, Grade.FAIL, version.reason, "nothing can be measured", remedy)
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        return Check(name, Grade.INFO, f"{version}: not a version that can be compared")
    return finding(
        name,
        Grade.WARN if (int(match[1]), int(match[2])) < _FIXED_OPENVINO else Grade.PASS,
        version,
        "request queues may hang at their end, and inputs shared with them may be freed too "
        "early: trials and deployments fail now and then",
        "pip install --upgrade 'openvino>=2026.4'",
    )


def devices_check(reading: Devices | Missing) -> Check:
    """What can be measured on."""
    name = "devices"
    if isinstance(reading, Missing):
        return unread(name, reading)
    if reading.names:
        return Check(name, Grade.PASS, ", ".join(reading.names))
    return Check(
        name,
        Grade.FAIL,
        reading.problem or "OpenVINO finds none",
        "nothing can be measured",
        "reinstall openvino; for a GPU or NPU install its driver and join its group",
    )
