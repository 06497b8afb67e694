"""Joules from the kernel's RAPL counters, or in words why there are none."""

from pathlib import Path

import pytest

from autotune.host.energy import (
    ABSENT,
    DENIED,
    Energy,
    EnergyMeter,
    energy_between,
    energy_meter,
)
from autotune.host.files import read_whole
from tests.host.conftest import Tree

RANGE_UJ = 262_143_328_850


def zone(name: str, counter: int = 1_000_000, range_uj: int = RANGE_UJ) -> dict[str, str]:
    """Files of one zone of the tree."""
    return {
        "name": f"{name}\n",
        "energy_uj": f"{counter}\n",
        "max_energy_range_uj": f"{range_uj}\n",
    }


def zones(**found: dict[str, str]) -> dict[str, str]:
    """Files of a machine; `__` stands for the colon in a zone's folder."""
    return {
        f"sys/class/powercap/{folder.replace('__', ':').replace('_', '-')}/{name}": text
        for folder, files in found.items()
        for name, text in files.items()
    }


TWO_SOCKETS = zones(
    intel_rapl__0=zone("package-0"),
    intel_rapl__0__0=zone("core"),
    intel_rapl__0__1=zone("uncore"),
    intel_rapl__0__2=zone("dram"),
    intel_rapl__1=zone("package-1"),
    intel_rapl__2=zone("psys"),
    intel_rapl_mmio__0=zone("package-0"),
)


def names(meter: EnergyMeter) -> list[str]:
    """Of the counters that are added up."""
    return [counter.name for counter in meter.counters]


def test_packages_and_memory_are_counted_once(tree: Tree) -> None:
    """Cores and uncore are parts of a package, psys has packages in it, mmio repeats one."""
    meter = energy_meter(tree(TWO_SOCKETS))
    assert (names(meter), meter.why_not) == (["package-0", "dram", "package-1"], None)
    assert meter.read_uj() == (1_000_000,) * 3


def test_joules_are_those_of_all_counters(tree: Tree) -> None:
    """Of both sockets, and their memory."""
    meter = energy_meter(tree(TWO_SOCKETS))
    found = energy_between(meter, meter.read_uj(), (3_000_000, 1_500_000, 2_000_000), 0.5)
    assert found == Energy(3.5)


def test_dies_of_a_package_are_packages(tree: Tree) -> None:
    """The kernel names them so where a package has several; of AMD the names are the same."""
    meter = energy_meter(
        tree(zones(intel_rapl__0=zone("package-0-die-0"), intel_rapl__1=zone("package-0-die-1")))
    )
    assert names(meter) == ["package-0-die-0", "package-0-die-1"]


def test_a_counter_that_began_anew_is_counted_on(tree: Tree) -> None:
    """From what it was to the end of its range, and on from zero."""
    meter = energy_meter(tree(zones(intel_rapl__0=zone("package-0"))))
    assert energy_between(meter, (RANGE_UJ - 1_000_000,), (500_000,), 1.0) == Energy(1.5)


def test_where_it_may_have_begun_anew_twice_nothing_is_said(tree: Tree) -> None:
    """Nobody could see it; no package uses a kilowatt."""
    meter = energy_meter(tree(zones(intel_rapl__0=zone("package-0", range_uj=65_000_000_000))))
    assert energy_between(meter, (0,), (5_000_000,), 60.0).joules == 5.0
    found = energy_between(meter, (0,), (5_000_000,), 66.0)
    assert found.joules is None
    assert found.why_not == "package-0 may have begun anew more than once in 66 s"


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="a virtual machine"),
        pytest.param({"sys/class/powercap/dtpm/enabled": "0\n"}, id="another kind of zone"),
        pytest.param(zones(intel_rapl__0={"enabled": "1\n"}), id="a container that masks it"),
        pytest.param(
            zones(intel_rapl__0={"name": "package-0\n", "enabled": "1\n"}), id="without a counter"
        ),
        pytest.param(zones(intel_rapl__0=zone("psys")), id="only the whole board"),
    ],
)
def test_without_counters_the_reason_says_so(tree: Tree, files: dict[str, str]) -> None:
    """And nothing is estimated."""
    meter = energy_meter(tree(files))
    assert (meter.counters, meter.why_not, meter.read_uj()) == ((), ABSENT, None)
    assert energy_between(meter, None, None, 1.0) == Energy(None, ABSENT)


def test_counters_that_only_root_reads_come_with_the_way_out(tree: Tree) -> None:
    """One that is refused is enough: the sum would be of a part of the machine."""

    def refused(path: Path) -> int:
        if path.parent.name == "intel-rapl:1":
            raise PermissionError(13, "Permission denied", str(path))
        return read_whole(path)

    meter = energy_meter(tree(TWO_SOCKETS), refused)
    assert (meter.counters, meter.why_not) == ((), DENIED)
    assert "sudo chmod" in DENIED


def test_a_malformed_counter_is_named(tree: Tree) -> None:
    """With its file."""
    files = zone("package-0") | {"energy_uj": "lots\n"}
    why_not = energy_meter(tree(zones(intel_rapl__0=files))).why_not
    assert why_not is not None
    assert "energy_uj: 'lots' is no whole number" in why_not


def test_a_counter_that_goes_away_gives_nothing(tree: Tree) -> None:
    """Later, when a driver is unloaded or a right is taken back."""
    root = tree(zones(intel_rapl__0=zone("package-0")))
    meter = energy_meter(root)
    (meter.counters[0].path).unlink()
    assert meter.read_uj() is None
    found = energy_between(meter, (1,), None, 1.0)
    assert found == Energy(None, "a RAPL counter could not be read")
