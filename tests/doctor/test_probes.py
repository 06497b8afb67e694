"""What the probes read of a machine: in trees of fake files, and once of this one."""

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from autotune.doctor import counters, hardware, space, timing
from autotune.doctor.check import Grade
from autotune.doctor.checks import checks_of
from autotune.doctor.files import attempt
from autotune.doctor.probes import Effort, examine
from autotune.doctor.readings import (
    Frequency,
    Missing,
    SyncedWrites,
    Temperature,
    Topology,
)
from autotune.host.files import read
from autotune.machines.locks import machine_lock

Tree = Callable[[dict[str, str]], Path]
SHORT = Effort(idle_s=0.1, load_s=0.5, rounds=3, round_s=0.005, sleeps=5, writes=2, limit_s=1.0)
CPU, CLASS = "sys/devices/system/cpu", "sys/class"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A machine that has these files and no others."""

    def build(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return build


def test_runnable_tasks_leave_out_the_one_that_asks(tree: Tree) -> None:
    """It always runs while it reads."""
    assert counters.runnable_tasks(tree({"proc/loadavg": "0.5 0.5 0.5 3/200 999\n"})) == 2
    assert counters.runnable_tasks(tree({"proc/loadavg": "0.5 0.5 0.5 0/200 999\n"})) == 0


def test_thermal_throttles_are_summed(tree: Tree) -> None:
    """Over cores and packages."""
    root = tree(
        {
            f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "1\n",
            f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "2\n",
            f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4\n",
            f"{CPU}/cpufreq/thermal_throttle/core_throttle_count": "100\n",
        }
    )
    assert counters.thermal_throttles(root) == 7


def test_temperatures_are_those_of_zones_and_cpu_sensors(tree: Tree) -> None:
    """With the lowest trip point at which something is done; what cannot be read is left out."""
    zone, asleep = f"{CLASS}/thermal/thermal_zone0", f"{CLASS}/thermal/thermal_zone1"
    chip, disk = f"{CLASS}/hwmon/hwmon0", f"{CLASS}/hwmon/hwmon1"
    root = tree(
        {
            f"{zone}/type": "x86_pkg_temp\n",
            f"{zone}/temp": "45500\n",
            f"{zone}/trip_point_0_type": "critical\n",
            f"{zone}/trip_point_0_temp": "105000\n",
            f"{zone}/trip_point_1_type": "passive\n",
            f"{zone}/trip_point_1_temp": "95000\n",
            f"{zone}/trip_point_2_type": "active\n",
            f"{zone}/trip_point_2_temp": "40000\n",
            f"{zone}/trip_point_3_type": "hot\n",
            f"{zone}/trip_point_3_temp": "-274000\n",
            f"{asleep}/type": "wifi\n",
            f"{chip}/name": "k10temp\n",
            f"{chip}/temp1_input": "60000\n",
            f"{chip}/temp1_crit": "100000\n",
            f"{chip}/temp1_max": "70000\n",
            f"{chip}/temp2_input": "61000\n",
            f"{disk}/name": "nvme\n",
            f"{disk}/temp1_input": "30000\n",
        }
    )
    assert hardware.temperatures(root) == (
        Temperature(sensor="x86_pkg_temp", celsius=45.5, trip_celsius=95.0),
        Temperature(sensor="k10temp", celsius=60.0, trip_celsius=100.0),
        Temperature(sensor="k10temp", celsius=61.0, trip_celsius=None),
    )


@pytest.mark.parametrize(
    ("switch", "turbo"),
    [
        ({}, None),
        ({f"{CPU}/intel_pstate/no_turbo": "0\n"}, True),
        ({f"{CPU}/intel_pstate/no_turbo": "1\n"}, False),
        ({f"{CPU}/cpufreq/boost": "1\n"}, True),
        ({f"{CPU}/cpufreq/boost": "0\n"}, False),
    ],
)
def test_frequency_is_governors_and_turbo(
    tree: Tree, switch: dict[str, str], turbo: bool | None
) -> None:
    """The two drivers name the switch the other way round."""
    root = tree(
        {
            f"{CPU}/cpufreq/policy0/scaling_governor": "powersave\n",
            f"{CPU}/cpufreq/policy0/scaling_driver": "intel_pstate\n",
            f"{CPU}/cpufreq/policy1/scaling_governor": "performance\n",
            **switch,
        }
    )
    assert hardware.frequency(root) == Frequency(
        governors=("performance", "powersave"), driver="intel_pstate", turbo=turbo
    )


def test_batteries_are_those_of_the_machine(tree: Tree) -> None:
    """Not the mains, and not a mouse's."""
    root = tree(
        {
            f"{CLASS}/power_supply/AC/type": "Mains\n",
            f"{CLASS}/power_supply/BAT0/type": "Battery\n",
            f"{CLASS}/power_supply/BAT0/status": "Discharging\n",
            f"{CLASS}/power_supply/hid-1/type": "Battery\n",
            f"{CLASS}/power_supply/hid-1/scope": "Device\n",
            f"{CLASS}/power_supply/hid-1/status": "Unknown\n",
        }
    )
    assert hardware.batteries(root) == ("Discharging",)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {
                f"{CPU}/cpu0/topology/thread_siblings_list": "0,2\n",
                f"{CPU}/cpu1/topology/thread_siblings_list": "1\n",
                "sys/devices/system/node/node0/cpulist": "0\n",
                "sys/devices/system/node/node1/cpulist": "1\n",
                "sys/devices/cpu_core/cpus": "0-1,4\n",
                "sys/devices/cpu_atom/cpus": "2-3\n",
            },
            Topology(
                threads_per_core=2, numa_nodes=2, core_kinds=("3 P-core CPUs", "2 E-core CPUs")
            ),
            id="Intel hybrid",
        ),
        pytest.param(
            {
                f"{CPU}/cpu0/topology/thread_siblings_list": "0\n",
                f"{CPU}/cpu0/cpu_capacity": "400\n",
                f"{CPU}/cpu1/cpu_capacity": "1024\n",
                f"{CPU}/cpu2/cpu_capacity": "1024\n",
                "sys/devices/system/node/node0/cpulist": "0\n",
            },
            Topology(
                threads_per_core=1,
                numa_nodes=1,
                core_kinds=("2 CPUs of capacity 1024", "1 CPUs of capacity 400"),
            ),
            id="Arm",
        ),
        pytest.param(
            {f"{CPU}/cpu0/cpu_capacity": "1024\n", f"{CPU}/cpu1/cpu_capacity": "1024\n"},
            Topology(
                threads_per_core=Missing("no CPU topology is visible"),
                numa_nodes=Missing("no memory nodes are visible"),
                core_kinds=(),
            ),
            id="nothing but equal capacities",
        ),
    ],
)
def test_topology(tree: Tree, files: dict[str, str], expected: Topology) -> None:
    """Threads of a core, memory nodes, kinds of cores."""
    assert hardware.topology(tree(files)) == expected


def test_energy_counters_are_named(tree: Tree) -> None:
    """When they can be read."""
    zone = f"{CLASS}/powercap/intel-rapl:0"
    files = {"energy_uj": "123\n", "name": "package-0\n", "max_energy_range_uj": "262143328850\n"}
    root = tree({f"{zone}/{name}": text for name, text in files.items()})
    assert hardware.energy(root) == ("package-0",)


MOUNTS = """22 1 0:2 / / rw,relatime - overlay overlay rw
23 22 0:3 / /home rw shared:1 master:2 - ext4 /dev/sda1 rw
24 23 0:4 / /home/a\\040b rw - nfs4 server:/x rw
25 22 0:5 / /home rw - xfs /dev/sdb1 rw
26 22 0:6 / /homework rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/", "overlay"), ("/etc", "overlay"), ("/home/user", "xfs"), ("/home/a b/c", "nfs4")],
)
def test_the_file_system_is_that_of_the_deepest_mount(tree: Tree, folder: str, kind: str) -> None:
    """Of two at one point the later one; spaces are escaped; names that only begin alike differ."""
    assert space.file_system(tree({"proc/self/mountinfo": MOUNTS}), Path(folder)) == kind


def test_writes_go_to_the_folder_or_to_the_one_for_temporary_files(tmp_path: Path) -> None:
    """Where the folder cannot be written; nothing is left behind."""
    here = space.synced_writes(tmp_path, 3, 10.0)
    assert isinstance(here, SyncedWrites)
    assert (here.folder, len(here.times_s)) == (str(tmp_path), 3)
    assert not list(tmp_path.iterdir())
    elsewhere = space.synced_writes(tmp_path / "missing", 3, 0.0)
    assert isinstance(elsewhere, SyncedWrites)
    assert (elsewhere.folder != str(tmp_path / "missing"), len(elsewhere.times_s)) == (True, 1)


def file_system_of_root(root: Path) -> str:
    """Which every machine has."""
    return space.file_system(root, Path("/"))


EVERY_FILE_PROBE: list[Callable[[Path], object]] = [
    counters.runnable_tasks,
    counters.thermal_throttles,
    hardware.temperatures,
    hardware.frequency,
    hardware.batteries,
    hardware.clock_source,
    hardware.energy,
    file_system_of_root,
]


@pytest.mark.parametrize("probe", EVERY_FILE_PROBE)
def test_a_machine_without_proc_and_sys_gives_reasons(
    tmp_path: Path, probe: Callable[[Path], object]
) -> None:
    """Never a traceback, and never a zero."""
    missing = attempt(lambda: probe(tmp_path))
    assert isinstance(missing, Missing)
    assert missing.reason


MALFORMED = {
    "proc/stat": "cpu  x\n",
    "proc/pressure/cpu": "some\n",
    "proc/loadavg": "much\n",
    "proc/meminfo": "MemAvailable: lots kB\n",
    "proc/self/cgroup": "here\n",
    "proc/self/mountinfo": "1 2 3\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "\n",
    f"{CPU}/cpufreq/policy0/affected_cpus": "0\n",
    f"{CLASS}/thermal/thermal_zone0/temp": "warm\n",
    f"{CLASS}/power_supply/BAT0/status": "Full\n",
    f"{CLASS}/powercap/intel-rapl:0/energy_uj": "\x00\n",
}


@pytest.mark.parametrize(
    "probe", [probe for probe in EVERY_FILE_PROBE if probe is not hardware.clock_source]
)
def test_malformed_files_give_reasons(tree: Tree, probe: Callable[[Path], object]) -> None:
    """The clock source may be any word; of all others something is expected."""
    root = tree(MALFORMED)
    missing = attempt(lambda: probe(root))
    assert isinstance(missing, Missing)
    assert missing.reason


def test_topology_that_is_malformed_gives_a_reason(tree: Tree) -> None:
    """The rest of it is read."""
    found = hardware.topology(tree({f"{CPU}/cpu0/topology/thread_siblings_list": "a-b\n"}))
    assert isinstance(found.threads_per_core, Missing)
    assert "thread_siblings_list: 'a-b' is no list of CPUs" in found.threads_per_core.reason


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A folder cannot be read as text, whoever asks."""
    assert attempt(lambda: read(tmp_path)) == Missing(f"{tmp_path}: Is a directory")


def test_work_is_calibrated_once_and_leaves_the_affinity_alone() -> None:
    """Pinned and not, the same number of rounds."""
    before = os.sched_getaffinity(0)
    work = timing.fixed_work(0.001, 4, 10.0)
    assert isinstance(work.pinned_s, tuple)
    assert (len(work.pinned_s), len(work.unpinned_s)) == (4, 4)
    assert os.sched_getaffinity(0) == before


def test_limits_cut_rounds_and_sleeps_short() -> None:
    """But leave what statistics need."""
    work = timing.fixed_work(0.001, 1000, 0.0)
    assert isinstance(work.pinned_s, tuple)
    assert (len(work.pinned_s), len(work.unpinned_s)) == (2, 2)
    assert len(timing.overshoots(1000, 0.0)) == 1


def test_a_load_that_ends_early_is_no_full_load() -> None:
    """What was measured beside it says nothing."""
    with pytest.raises(ValueError, match="ended early"):
        timing.full_load(Path("/"), 1.0, 1, program="")


def test_an_idle_stretch_has_a_reason_when_tasks_cannot_be_counted(tmp_path: Path) -> None:
    """It lasts as long as asked all the same."""
    idle = timing.idle(tmp_path, 0.01)
    assert isinstance(idle.runnable_tasks, Missing)
    assert idle.interval.duration_s >= 0.01


@pytest.mark.openvino
def test_this_machine_can_be_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: every probe that takes time gives a reading."""
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    found = examine(told.append, SHORT)
    timed = ("cpus", "idle", "work", "overshoots_s", "load", "synced_writes", "devices")
    assert not [name for name in timed if isinstance(getattr(found, name), Missing)]
    assert len(told) == 6
    assert checks_of(found)
    assert not isinstance(found.devices, Missing)
    assert found.devices.problem is None
    assert any(name.startswith("CPU") for name in found.devices.names)


@pytest.mark.openvino
def test_an_odd_machine_can_be_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, /sys and a current folder, every check still has its line."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = examine(lambda doing: None, SHORT, tmp_path)
    checks = {check.name: check for check in checks_of(found)}
    assert len(checks) == 26
    assert checks["steal"].state is Grade.INFO
    assert "proc/stat: No such file or directory" in checks["steal"].evidence
    assert checks["disk space"].state is Grade.INFO


def test_nothing_is_put_under_load_while_another_measures() -> None:
    """It would spoil the other's numbers; what files tell is still read."""
    told: list[str] = []
    with machine_lock():
        found = examine(told.append)
    assert found.lock.is_held
    assert told == []
    untouched = {f.name for f in fields(found) if "not probed" in str(getattr(found, f.name))}
    assert untouched == {"idle", "work", "overshoots_s", "load", "synced_writes", "devices"}
    checks = {check.name: check for check in checks_of(found)}
    assert checks["machine lock"].state is Grade.FAIL
    assert f"process {os.getpid()}" in checks["machine lock"].evidence


def test_a_lock_that_cannot_be_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is put under load then, as another may be measuring."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path / "file"))
    found = examine(lambda doing: None)
    assert not found.lock.is_held
    assert "cannot be locked" in str(found.lock.problem)
    assert isinstance(found.load, Missing)
