"""What a machine's own noise is: the A/A race of `autotune doctor --calibrate`, kept per user."""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from autotune.domain.units import format_duration
from autotune.errors import StorageError
from autotune.machines.fingerprint import Machine
from autotune.storage.state import state_folder

LEAST_MARGIN = 0.01
"""Differences below 1 % are ties on every machine."""
_MOST_MARGIN = 0.1
_LARGEST_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One A/A race: the same configuration against itself."""

    measured_at: str
    """UTC, ISO 8601."""
    model: str
    """What was under load."""
    noise: float
    """Largest relative difference within the 95 % interval of the ratio: what the machine makes
    of two equal configurations in a race of this length."""
    ratio: float
    slice_sd: float
    """Standard deviation of the paired log ratio of one round."""
    launches: int
    rounds: int
    duration_s: float

    def __str__(self) -> str:
        return (
            f"{100 * self.noise:.2g} % after {self.rounds} rounds in {self.launches} launches, "
            f"{format_duration(round(self.duration_s))}, on {self.measured_at[:10]}"
        )


def tie_margin(calibration: Calibration | None) -> float:
    """Relative difference below which two configurations are called equal: at least 1 %."""
    noise = 0.0 if calibration is None else calibration.noise
    return min(_MOST_MARGIN, max(LEAST_MARGIN, noise))


def calibration_file() -> Path | None:
    """Where calibrations are kept; None for a user who has no home."""
    folder = state_folder()
    return None if folder is None else folder / "calibration.json"


def load_calibration(machine: Machine, file: Path | None = None) -> Calibration | None:
    """The calibration of this machine with this runtime; None where there is none to be read."""
    path = file or calibration_file()
    found = None if path is None else _read(path).get(_name(machine))
    if not isinstance(found, dict) or set(found) != {field.name for field in fields(Calibration)}:
        return None
    texts, numbers = (found["measured_at"], found["model"]), [found[name] for name in _NUMBERS]
    if not all(isinstance(text, str) for text in texts):
        return None
    if not all(isinstance(n, int | float) and 0 <= n < math.inf for n in numbers):
        return None
    return Calibration(**found)


def save_calibration(machine: Machine, calibration: Calibration, file: Path | None = None) -> Path:
    """Keep it in place of an older one of the same machine.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = file or calibration_file()
    if path is None:
        raise StorageError("the calibration has no place: set HOME, or XDG_STATE_HOME=FOLDER")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {**_read(path), _name(machine): asdict(calibration)}
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
    return path


_NUMBERS = ("noise", "ratio", "slice_sd", "launches", "rounds", "duration_s")


def _name(machine: Machine) -> str:
    """What must be the same for a calibration to hold."""
    limited = machine.quota_note is not None
    cpus = f"{machine.quota_cpus:g} of {machine.affinity_cpus}" if limited else machine.usable_cpus
    if machine.budget is not None:
        cpus = f"{len(machine.budget.cpus)} of {machine.logical_cpus}"
    under = "".join(f" / {name}={text}" for name, text in machine.environment.items())
    return f"{machine.cpu_model} / {cpus} CPUs / {machine.openvino}{under}"


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return {}
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
