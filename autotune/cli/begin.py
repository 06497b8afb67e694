"""A study from options: a new folder with its file, or one that is there with other limits."""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from autotune.cli.output import cpus_of
from autotune.cli.workload import NAMED, workload_of
from autotune.domain.limits import TABLE
from autotune.domain.model_file import fault_of, located, model_in
from autotune.domain.paths import relative
from autotune.errors import AutotuneError, ModelError, SpecError, StorageError, UsageError
from autotune.export.best_file import relative_model_path
from autotune.machines.locks import STUDY_LOCK, study_lock
from autotune.report.format import goal_in_words
from autotune.spec import (
    STUDY_FILE,
    GoalSpec,
    StudySpec,
    build_spec,
    load_spec,
    parse_shapes,
    to_toml,
)
from autotune.storage.database import DATABASE

LOG = "tune.log"
"""Beside the study file."""
_OPTIONS = {
    "[goal] max_latency": "--max-latency",
    "[goal] percentile": "--percentile",
    "[goal] headroom": "--headroom",
    "[goal] objective": "--objective",
    "[goal] efficiency": "--efficiency",
    "[goal] portable": "--portable",
    **{f"[goal] {row.name}": row.option for row in TABLE},
    "[budget] duration": "--budget",
    "[budget] trials": "--trials",
    "[budget] until": "--until",
    "[search] sampler": "--sampler",
    "[search]: sampler": "--sampler",
    "[space] device": "--device",
    "[model] shape": "--shape",
    "[machine] cpus": "--cpus",
    **NAMED,
}


def known_study(folder: Path, given: dict[str, Any], limits: dict[str, Any]) -> StudySpec:
    """A study's own spec, with another budget if one was given."""
    if not (folder / STUDY_FILE).is_file():
        file, way_out = model_in(folder)
        begin = f"begin one with: autotune tune {file or 'MODEL'} --max-latency 20ms"
        raise SpecError(f"{folder / STUDY_FILE}: there is no study here; {way_out or begin}")
    settled = [key for key, value in given.items() if value is not None]
    if settled:
        option = "--" + settled[0].replace("_", "-")
        raise UsageError(
            f"{option} is settled in {folder / STUDY_FILE}; change it there while nothing is "
            "measured yet, or give the model file and a --name to begin another study"
        )
    spec = load_spec(folder)
    return _with_limits(spec, limits) if any(v is not None for v in limits.values()) else spec


def _with_limits(spec: StudySpec, limits: dict[str, Any]) -> StudySpec:
    """The same study with these limits in place of its own; the others stay."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    return _from_options({**values, "budget": {**values.get("budget", {}), **_given(limits)}})


def new_study(
    model: Path, given: dict[str, Any], limits: dict[str, Any]
) -> tuple[Path, StudySpec, str | None]:
    """A study folder for a model, made if it is not there; its spec; what was written into it.

    Nothing is said to be written where the folder was there before.
    """
    fault = fault_of(located(model))
    if fault is not None:
        is_missing = not model.suffix and not os.path.lexists(model)
        raise ModelError(
            fault + ("; a study's folder has a study.toml in it" if is_missing else "")
        )
    name = given["name"]
    if name is None:
        name = re.sub(r"[^\w.+-]+", "-", model.stem).strip("-.") or "model"
    if not re.fullmatch(r"[\w.+-]+", name) or name.startswith("."):
        raise UsageError(f"--name {name!r}: use letters, digits, dots, dashes and underscores")
    folder = Path("studies") / name
    try:
        parse_shapes(given["shape"])
    except SpecError as error:
        raise UsageError(str(error).replace("[model] shape", "--shape")) from None
    cpus_of(given["cpus"])  # what cannot be held here is said before a folder is made
    workload = workload_of(given, folder)
    goal = {key: given[key] for key in GoalSpec.model_fields}
    values = {
        "model": _given({"path": relative_model_path(model, folder), "shape": given["shape"]}),
        "workload": workload,
        "goal": _given(goal),
        "budget": _given(limits),
        "machine": _given({"cpus": given["cpus"]}),
        "space": _given({"device": given["device"]}),
        "measure": _given({"feed": given["feed"]}),
        "search": _given({"sampler": given["sampler"], "warm_start": _relative(given, folder)}),
    }
    spec = _from_options(values)
    file = folder / STUDY_FILE
    if file.exists():
        if load_spec(folder).model_copy(update={"budget": spec.budget}) != spec:
            raise UsageError(
                f"{file} exists and says something else; continue that study with: "
                f"autotune tune {folder}, or choose another --name"
            )
        return folder, spec, None
    created, text = not folder.exists(), to_toml(spec, _comments(name, spec))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file}: cannot be written: {error.strerror}") from error
    return folder, spec, text if created else None


def take_back(folder: Path, text: str, logged_bytes: int) -> None:
    """Remove a folder that this process made, unless somebody else has to do with it by now.

    Args:
        folder: in which nothing was measured.
        text: of its study file, as it was written.
        logged_bytes: what this process wrote into its log; who waits for the study writes, too.
    """
    # Whoever has the study tunes it, and nobody may begin to while it goes.
    with suppress(AutotuneError, OSError), study_lock(folder):
        found = {path.name for path in folder.iterdir()}
        is_ours = (
            found <= {STUDY_FILE, LOG, STUDY_LOCK, "logs"}
            and (folder / STUDY_FILE).read_bytes() == text.encode()
            and (folder / LOG).stat().st_size == logged_bytes
        )
        if is_ours:
            # At once: whoever comes now finds all of it or nothing, and no lock of its own in it.
            gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            try:
                folder.rename(gone)
            finally:
                shutil.rmtree(gone, ignore_errors=True)
            folder.parent.rmdir()


def _relative(given: dict[str, Any], folder: Path) -> str | None:
    """The study to start from, as the new study's file names it."""
    other = given["from"]
    if other is None:
        return None
    other = other.parent if other.name == STUDY_FILE else other
    if not (other / DATABASE).is_file():
        raise UsageError(f"--from {other}: there is no study with results")
    return relative(other, folder)


def _from_options(values: dict[str, Any]) -> StudySpec:
    """A spec from command-line options; faults are named by option."""
    try:
        return build_spec(values, "")
    except SpecError as error:
        lines = [line.removeprefix(": ") for line in str(error).splitlines()]
        raise UsageError("\n".join(_by_option(line) for line in lines)) from None


def _by_option(line: str) -> str:
    if line.startswith("[goal] max_latency: is missing"):
        return (
            "--max-latency is missing: write for instance --max-latency 20ms; or --objective "
            "throughput for as many items as the machine can do, however long each takes"
        )
    for key, option in _OPTIONS.items():
        if line.startswith(key):
            rest = line.removeprefix(key)
            return option + rest[rest.index(":") :] if ":" in rest else line
    return line


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _comments(name: str, spec: StudySpec) -> tuple[str, str, str]:
    goal = goal_in_words(spec.goal.goal)
    return (
        f"Question: which settings give {name} the {goal}?",
        "Duration: see [budget] below, ten minutes if there is none.",
        "Look at: best.json, and what autotune pareto shows.",
    )
