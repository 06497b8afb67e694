"""Energy that the CPU packages have used, by RAPL counters; or in words why nobody can say.

The counters are those of the kernel's powercap tree, which has them for Intel and AMD alike under
the name intel-rapl (Documentation/power/powercap/powercap.rst). They are the package's: of all that
ran on the machine meanwhile, and idle power too. Nothing is ever estimated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.host.files import ROOT, known, read, read_whole

TREE = Path("sys/class/powercap")
_PACKAGES, _MEMORY = "package-", "dram"
"""What is counted. Cores and uncore are parts of their package, psys is the whole board and has
them in it; memory is beside its package, although the tree shows it below (Intel SDM 3B, 16.10)."""
_MOST_W = 1000.0
"""No package uses more: what could have gone once round its counter by then is not known."""

ABSENT = (
    "there are no RAPL counters here: virtual machines and containers have none; measure on the "
    "machine itself"
)
DENIED = (
    "only root may read the RAPL counters since CVE-2020-8694: sudo chmod a+r "
    "/sys/class/powercap/intel-rapl*/energy_uj"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCounter:
    """One counter, in microjoules."""

    name: str
    """As the kernel has it, such as `package-0`."""
    path: Path
    range_uj: int
    """After it the counter begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyMeter:
    """The counters that add up to what the CPUs use; without any, why."""

    counters: tuple[EnergyCounter, ...] = ()
    why_not: str | None = None
    """Why there is nothing to read; None where there is."""

    def read_uj(self) -> tuple[int, ...] | None:
        """What each counter says now; None where one cannot be read."""
        if not self.counters:
            return None
        return known(lambda: tuple(read_whole(counter.path) for counter in self.counters))


@dataclass(frozen=True, slots=True)
class Energy:
    """What was used between two readings: joules, or why that is not known."""

    joules: float | None
    why_not: str | None = None


def energy_meter(root: Path = ROOT, reading: Callable[[Path], int] = read_whole) -> EnergyMeter:
    """Every package of this machine, and its memory where that is counted beside it.

    Args:
        root: of the file system.
        reading: how a counter is read.
    """
    try:
        zones = sorted((root / TREE).glob("intel-rapl:*"))  # intel-rapl-mmio repeats a package
        named = [(known(lambda zone=zone: read(zone / "name")), zone) for zone in zones]  # type: ignore[misc]
        wanted = [(name, zone) for name, zone in named if name and _counts(name)]
        if not any(name.startswith(_PACKAGES) for name, _ in wanted):
            return EnergyMeter(why_not=ABSENT)
        return EnergyMeter(counters=tuple(_counter(name, zone, reading) for name, zone in wanted))
    except PermissionError:
        return EnergyMeter(why_not=DENIED)
    except FileNotFoundError:
        return EnergyMeter(why_not=ABSENT)
    except (OSError, ValueError) as error:
        return EnergyMeter(why_not=f"the RAPL counters cannot be read: {error}")


def energy_between(
    meter: EnergyMeter, before: Sequence[int] | None, after: Sequence[int] | None, lasted_s: float
) -> Energy:
    """Joules of all counters from one reading to a later one.

    A counter that is smaller than before began anew once. Whether it did so more than once cannot
    be seen: where there was time for that, nothing is said.

    Args:
        meter: what was read.
        before: its counters, as `EnergyMeter.read_uj` gives them.
        after: the same later.
        lasted_s: the time between.
    """
    if meter.why_not is not None:
        return Energy(None, meter.why_not)
    if before is None or after is None:
        return Energy(None, "a RAPL counter could not be read")
    total_uj = 0
    for counter, then, now in zip(meter.counters, before, after, strict=True):
        if lasted_s * _MOST_W * 1e6 >= counter.range_uj:
            why = f"{counter.name} may have begun anew more than once in {lasted_s:.0f} s"
            return Energy(None, why)
        total_uj += now - then if now >= then else now - then + counter.range_uj
    return Energy(total_uj / 1e6)


def _counts(name: str) -> bool:
    return name.startswith(_PACKAGES) or name == _MEMORY


def _counter(name: str, zone: Path, reading: Callable[[Path], int]) -> EnergyCounter:
    """A counter that was read once.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    path = zone / "energy_uj"
    reading(path)
    return EnergyCounter(name=name, path=path, range_uj=reading(zone / "max_energy_range_uj"))
