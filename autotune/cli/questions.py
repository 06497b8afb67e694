"""What is asked, of which study: from the words of the command line to values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.analysis.among import Among
from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import BY_NAME
from autotune.domain.trial import Trial
from autotune.domain.units import number, parse_duration, parse_percent
from autotune.errors import SpecError, UsageError
from autotune.host.core_budget import budget_in_words
from autotune.report.words import inputs_of
from autotune.spec import STUDY_FILE, parse_spec
from autotune.spec.variants import parse_max_drop
from autotune.storage.backup import SUFFIX
from autotune.storage.database import DATABASE
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader


def opened(path: Path) -> tuple[Path, StudyReader]:
    """A study's folder and its evidence, read-only; the path of its study.toml will do.

    Raises:
        SpecError: there is no study there, or only a copy of one.
        StorageError: it has no database yet, or not a readable one.
    """
    if path.suffix == SUFFIX and path.is_file():
        raise SpecError(
            f"{path}: a copy of a study's database; to look at it, copy it into a folder of its "
            f"own, as {DATABASE}, and give that folder"
        )
    # Any file in a study's folder will do for it.
    is_inside = path.is_file() and any((path.parent / n).exists() for n in (STUDY_FILE, DATABASE))
    folder = path.parent if is_inside or path.name == STUDY_FILE else path
    if not (folder / STUDY_FILE).exists() and not (folder / DATABASE).exists():
        what = "a file" if folder.is_file() else "no such folder"
        what = "no study" if folder.is_dir() else what
        raise SpecError(
            f"{path}: {what}; give the folder of a study, such as studies/NAME, "
            "or begin one with: autotune tune MODEL --max-latency 20ms"
        )
    return folder, StudyReader.read_only(folder)


def asked_goal(
    stored: Goal,
    max_latency: str | None,
    percentile: float | None,
    headroom: str | None = None,
) -> Goal:
    """The study's goal with another cap, percentile or headroom.

    Raises:
        UsageError: it is no duration, no percentile or no share; headroom below no cap.
    """
    try:
        cap_ms = None if max_latency is None else parse_duration(max_latency) * 1000
    except ValueError as error:
        raise UsageError(f"--max-latency: {error}") from None
    try:
        room = None if headroom is None else parse_percent(headroom)
    except ValueError as error:
        raise UsageError(f"--headroom: {error}") from None
    if room is not None and stored.cap_ms is None and cap_ms is None:
        raise UsageError("--headroom: the study has no cap to keep it from; give --max-latency")
    if percentile is not None and not 1 <= percentile < 100:
        meant = f"; did you mean {100 * percentile:g}?" if 0 < percentile < 1 else ""
        raise UsageError(
            f"--percentile: must be at least 1 and below 100, got {percentile:g}{meant}"
        )
    asked = stored.asked(percentile=percentile, cap_ms=cap_ms, headroom=room)
    if cap_ms is None or asked.objective is Objective.EFFICIENCY:
        return asked
    return replace(asked, objective=Objective.THROUGHPUT)


def within_limits(goal: Goal, limits: Mapping[str, str | None]) -> Goal:
    """The same goal with the limits of the command line, by their names.

    Raises:
        UsageError: a value is none; the message names the option.
    """
    found = {}
    for name, text in limits.items():
        if text is not None:
            try:
                found[name] = BY_NAME[name].parse(text)
            except ValueError as error:
                raise UsageError(f"{BY_NAME[name].option}: {error}") from None
    return goal.within(found) if found else goal


def asked_about(
    trials: Sequence[Trial], device: str | None = None, max_drop: str | None = None
) -> Among:
    """Which trials are asked about, from the words of the command line.

    Raises:
        UsageError: a loss that is none, that no guard looked at, or that is more than it let
            through: nothing above that was measured.
    """
    device = None if device is None else device.upper()
    if max_drop is None:
        return Among(device=device)
    try:
        asked = parse_max_drop(max_drop)
    except ValueError as error:
        said = str(error).rsplit("Value error, ", maxsplit=1)[-1]
        raise UsageError(f"--max-drop: {said}") from None
    found = [t.measurement.opening.accuracy for t in trials if t.measurement is not None]
    known = next((one for one in found if one is not None), None)
    if known is None:
        raise UsageError("--max-drop: the study has no guard that looked at answers: [accuracy]")
    scale = abs(known.reference or 0.0) if asked.is_relative else 1.0
    lost = asked.amount * scale
    if lost > known.max_drop * (1 + 1e-9):
        raise UsageError(
            f"--max-drop: the study's guard let no more through than {number(known.max_drop, 3)}, "
            "and what lost more was not measured; begin a study with another [accuracy] max_drop"
        )
    return Among(device=device, max_drop=lost)


def terms_json(identity: Identity, machine: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers are numbers of, for JSON output; `machine` is a fingerprint."""
    fed = identity.fed
    said = parse_spec(identity.spec).model.inputs
    return {
        "items_per_request": identity.items_per_request,
        "data": fed.data if fed is not None else "random" if said is None else "real",
        "inputs": inputs_of(identity),
        "data_warnings": [] if fed is None else list(fed.warnings),
        "core_budget": budget_in_words(machine),
    }
