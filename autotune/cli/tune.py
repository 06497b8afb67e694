"""`autotune tune`: a new study from options, or an old one continued; progress; the end."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from autotune.analysis.answer import answer
from autotune.cli.output import patience_of, say
from autotune.cli.progress import Log, Progress
from autotune.cli.report import report_of_a_night
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.doctor.check import Grade
from autotune.doctor.checks import checks_of
from autotune.doctor.probes import examine
from autotune.domain.events import Event, Noted, StudyOpened
from autotune.domain.goal import Goal
from autotune.domain.model_file import fault_of, located, model_in
from autotune.domain.paths import relative
from autotune.domain.race import RaceResult
from autotune.domain.ranking import (
    baselines,
    better_hint,
    ratio,
)
from autotune.domain.trial import Trial
from autotune.errors import (
    EXIT_INTERRUPTED,
    EXIT_NO_FEASIBLE,
    EXIT_OK,
    AutotuneError,
    MachineFaultError,
    ModelError,
    SpecError,
    StorageError,
    UsageError,
)
from autotune.export.best_file import (
    BestMeasured,
    read_best,
    relative_model_path,
    write_best,
)
from autotune.export.from_study import best_of_study
from autotune.machines.locks import STUDY_LOCK, study_lock
from autotune.report.format import (
    goal_in_words,
    milliseconds,
    per_second,
    percentile,
    times,
)
from autotune.report.race import race_lines, race_table
from autotune.report.tables import trials_table
from autotune.report.words import search_in_words, terms_in_words, why_nothing
from autotune.spec import STUDY_FILE, StudySpec, build_spec, load_spec, parse_shapes, to_toml
from autotune.storage.database import DATABASE
from autotune.storage.study_store import StudyStore
from autotune.tuning.loop import Outcome
from autotune.tuning.loop import StopRequest as Asked
from autotune.tuning.loop import tune as run

_LOG = "tune.log"
_OPTIONS = {
    "[goal] max_latency": "--max-latency",
    "[goal] percentile": "--percentile",
    "[goal] headroom": "--headroom",
    "[goal] objective": "--objective",
    "[budget] duration": "--budget",
    "[budget] trials": "--trials",
    "[budget] until": "--until",
    "[search] sampler": "--sampler",
    "[search]: sampler": "--sampler",
    "[space] device": "--device",
    "[model] shape": "--shape",
}


def run_tune(
    target: Path,
    given: dict[str, Any],
    limits: dict[str, Any],
    *,
    anyway: bool,
    trust: bool,
    wait: str | None,
) -> int:
    """Tune, and return the exit code."""
    console = Console()
    patience_of(wait, lambda _: None)  # a wrong argument shows before a folder is made
    if target.is_dir() or target.name == STUDY_FILE:
        folder = target if target.is_dir() else target.parent
        spec, text = _known(folder, given, limits), None
    else:
        folder, spec, text = _new(target, given, limits)
    options = {"duration": "--budget", "trials": "--trials", "until": "--until"}
    words = [f"{option} {limits[key]}" for key, option in options.items() if limits.get(key)]
    again = " ".join([*words, *(["--until-stable"] if limits.get("stable") else [])])
    go_on = f"autotune tune {folder} {again}".rstrip()
    session = _Tuning(folder, console)
    with closing(session), optional_output():
        try:
            outcome = session.run(spec, anyway=anyway, trust=trust, wait=wait)
        except KeyboardInterrupt:
            session.rescue()
            _say_how_to_go_on(console, go_on)
            return EXIT_INTERRUPTED
        except (AutotuneError, OSError) as error:
            if text is not None and not (folder / DATABASE).exists():
                # Nothing was measured: leave nothing behind.
                _take_back(folder, text, session.logged_bytes)
            elif session.is_open and isinstance(error, MachineFaultError | StorageError):
                session.rescue()
                kept = f"what was measured is kept: autotune best {folder} --out best.json"
                raise type(error)(f"{error}\n{kept}") from error
            raise
        except Exception:
            session.rescue()
            raise
        written = _written(outcome, folder)
    # Nothing is in a hurry any more: a pager gets the table, too; a signal ends the wait for it.
    with optional_output(patience_s=None):
        return _conclude(outcome, written, folder, console, go_on)


def _known(folder: Path, given: dict[str, Any], limits: dict[str, Any]) -> StudySpec:
    """A study's own spec, with another budget if one was given."""
    if not (folder / STUDY_FILE).is_file():
        file, way_out = model_in(folder)
        begin = f"begin one with: autotune tune {file or 'MODEL'} --max-latency 20ms"
        raise SpecError(f"{folder / STUDY_FILE}: there is no study here; {way_out or begin}")
    settled = [key for key, value in given.items() if value is not None]
    if settled:
        option = "--" + settled[0].replace("_", "-")
        raise UsageError(
            f"{option} is settled in {folder / STUDY_FILE}; change it there, "
            "or give the model file and a --name to begin another study"
        )
    spec = load_spec(folder)
    return _with_limits(spec, limits) if any(v is not None for v in limits.values()) else spec


def _with_limits(spec: StudySpec, limits: dict[str, Any]) -> StudySpec:
    """The same study with these limits in place of its own; the others stay."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    return _from_options({**values, "budget": {**values.get("budget", {}), **_given(limits)}})


def _new(
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
    goal = {key: given[key] for key in ("objective", "max_latency", "percentile", "headroom")}
    values = {
        "model": _given({"path": relative_model_path(model, folder), "shape": given["shape"]}),
        "goal": _given(goal),
        "budget": _given(limits),
        "space": _given({"device": given["device"]}),
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


def _take_back(folder: Path, text: str, logged_bytes: int) -> None:
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
            found <= {STUDY_FILE, _LOG, STUDY_LOCK, "logs"}
            and (folder / STUDY_FILE).read_bytes() == text.encode()
            and (folder / _LOG).stat().st_size == logged_bytes
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
        return "--max-latency is missing: write for instance --max-latency 20ms"
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


class _Tuning:
    """One run of the tuner, heard, logged, and stopped by signals."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._log = Log(folder / _LOG)
        self._stop: Signals | None = None
        self.is_open = False
        """Whether it got as far as the study."""

    def run(self, spec: StudySpec, *, anyway: bool, trust: bool, wait: str | None) -> Outcome:
        """Tune.

        Raises:
            KeyboardInterrupt: a signal ended it before the first trial, after the last, or twice.
        """
        with self._log as log, Progress(self._console) as progress:

            def hear(event: Event) -> None:
                self.is_open = self.is_open or isinstance(event, StudyOpened)
                log.hear(event)
                progress.hear(event)

            patience = patience_of(wait, lambda text: hear(Noted(text=text)))
            asked = Asked()
            self._stop = Signals(progress.say, "this trial", patience=patience, asked=asked)
            self._stop.install()
            try:
                return run(
                    spec,
                    self._folder,
                    on_event=hear,
                    stop=asked,
                    anyway=anyway,
                    trust=trust,
                    recover=lambda: _troubles(asked),
                    patience=patience,
                )
            finally:
                # What is left takes a moment, best.json among it: nothing may cut it off.
                self._stop.settle()

    @property
    def logged_bytes(self) -> int:
        """What it wrote into its log."""
        return self._log.written_bytes

    def close(self) -> None:
        """Have signals do what they did before: all files are written."""
        if self._stop is not None:
            self._stop.release()

    def rescue(self) -> None:
        """Write best.json and the report of what is known, after an end that had no outcome.

        Nothing is written where the study was not opened: it may be another process's.
        """
        if not self.is_open:
            return
        # Whatever goes wrong here, the error that ends the command is the one that ended the study.
        try:
            lines = self._export_what_is_known()
        except Exception as error:  # noqa: BLE001 - the report is still to be written
            lines = [f"no best.json: {error}"]
        for line in [*lines, report_of_a_night(self._folder)]:
            say(self._console, line)

    def _export_what_is_known(self) -> list[str]:
        """Write best.json from the database; what to say of it, if there is anything to write."""
        with closing(StudyStore.read_only(self._folder)) as store:
            goal = store.identity().goal
            found = answer(store, goal)
        if found.best is None:
            return []
        return _export(self._folder, goal, found.best, found.trials, found.race)


def _troubles(stop: Asked) -> list[str]:
    """Wait a while, in case whatever it was goes away; then what the doctor finds wrong.

    Nothing is put under load: this process holds the machine.
    """
    until = time.monotonic() + _PAUSE_S
    while time.monotonic() < until and not stop.requested:
        time.sleep(0.2)
    checks = [] if stop.requested else checks_of(examine(lambda _: None))
    failed = [c for c in checks if c.state is Grade.FAIL and c.name != "machine lock"]
    return [f"{check.name}: {check.evidence}: {check.remedy}" for check in failed]


_PAUSE_S = 60.0


class _Files(NamedTuple):
    """What became of the files."""

    lines: list[str]
    """What to say of them."""
    fault: Exception | None
    """Why there is no best.json where there should be one."""


def _written(outcome: Outcome, folder: Path) -> _Files:
    """best.json and the report: they are there whatever becomes of the output, or of each other."""
    lines: list[str] = []
    fault: Exception | None = None
    if outcome.best is not None:
        try:
            lines = _export(folder, outcome.goal, outcome.best, outcome.trials, outcome.race)
        except Exception as error:  # noqa: BLE001 - it is let out once the rest is there
            fault = error
    return _Files([*lines, report_of_a_night(folder)], fault)


def _conclude(outcome: Outcome, written: _Files, folder: Path, console: Console, go_on: str) -> int:
    """The closing table, what was written, and the exit code."""
    fault = written.fault
    try:
        _show(outcome, folder, console)
    except Exception as error:  # noqa: BLE001 - it is let out once the rest is said
        fault = fault or error
    for line in written.lines:
        say(console, line)
    if fault is not None:
        raise fault
    if outcome.reason in {"stopped", "interrupted"}:
        _say_how_to_go_on(console, go_on)
        return EXIT_INTERRUPTED
    return EXIT_OK if outcome.best is not None else EXIT_NO_FEASIBLE


def _show(outcome: Outcome, folder: Path, console: Console) -> None:
    """The closing table, and how far the search came."""
    if outcome.race is not None:
        console.print(race_table(outcome.race, outcome.goal))
        for line in race_lines(outcome.race, outcome.goal):
            say(console, line)
    else:
        hint = better_hint(outcome.trials, outcome.goal)
        leader = [] if outcome.best is None else [outcome.best]
        rows = {t.number: t for t in (*leader, *baselines(outcome.trials).values())}
        console.print(trials_table(list(rows.values()), outcome.goal, hint))
    say(console, terms_in_words(outcome.items_per_request, outcome.inputs))
    say(console, search_in_words(outcome.trials, outcome.goal, outcome.space_size))
    if outcome.best is None:
        if outcome.race is None:
            say(console, why_nothing(outcome.trials, outcome.goal))
        if (folder / "best.json").exists():
            say(
                console,
                f"{folder / 'best.json'} is of an earlier session, not shown to hold now",
            )


def _say_how_to_go_on(console: Console, go_on: str) -> None:
    console.print(f"stopped; go on with: {go_on}", soft_wrap=True)


def _export(
    folder: Path, goal: Goal, trial: Trial, trials: Sequence[Trial], race: RaceResult | None
) -> list[str]:
    """Write best.json; what to say of it."""
    target = folder / "best.json"
    if race is None and _is_better(target):
        return [f"kept {target}: it was raced, and this session ended before a race"]
    with closing(StudyStore.read_only(folder)) as store:
        file = best_of_study(store, folder, trial, tuple(trials), goal, race=race)
    write_best(file, target)
    said = [f"wrote {target} ({file.status})"]
    if file.certificate is None:
        gain = ratio(trial, better_hint(trials, goal), goal)
        doubt = ", flagged" if file.measured.flags else ""
        said.insert(
            0,
            f"{trial.configuration}: {per_second(file.measured.throughput_per_s)} "
            f"({_interval(file.measured)}) at {percentile(goal.percentile)} "
            f"{milliseconds(file.measured.latency_ms.goal)}, {times(gain)} the better hint "
            f"(one process, {file.status}{doubt})",
        )
        if file.unproven is not None:
            said.insert(1, f"unproven: its answers could not be proven: {file.unproven}")
    return said


def _is_better(target: Path) -> bool:
    """Whether there is a best.json with a certificate, which nothing unconfirmed may replace."""
    try:
        return read_best(target).certificate is not None
    except AutotuneError:
        return False


def _interval(measured: BestMeasured) -> str:
    low, high = measured.throughput_low_per_s, measured.throughput_high_per_s
    return f"95 %: {per_second(low)} to {per_second(high)}"
