"""`autotune tune`: a new study from options, or an old one continued; progress; the end."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from autotune.analysis.answer import answer
from autotune.analysis.devices import by_device
from autotune.analysis.mixture import mix_fed
from autotune.cli.begin import LOG, known_study, new_study, take_back
from autotune.cli.output import patience_of, say, show
from autotune.cli.progress import Log, Progress
from autotune.cli.report import report_of_a_night
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.doctor.check import Grade
from autotune.doctor.checks import checks_of
from autotune.doctor.probes import examine
from autotune.domain.events import Event, Noted, StudyOpened
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.ranking import (
    baselines,
    better_hint,
    is_shown,
    ratio,
)
from autotune.domain.trial import Trial
from autotune.errors import (
    EXIT_INTERRUPTED,
    EXIT_NO_FEASIBLE,
    EXIT_OK,
    AutotuneError,
    InputCodeError,
    MachineFaultError,
    StorageError,
)
from autotune.export.best_file import read_best, write_best
from autotune.export.best_measured import BestMeasured
from autotune.export.from_study import best_of_study
from autotune.report.devices import devices_table
from autotune.report.format import gained, milliseconds, per_second, percentile, times
from autotune.report.race import race_lines
from autotune.report.race_table import race_table
from autotune.report.tables import trials_table
from autotune.report.words import limit_lines, search_in_words, terms_in_words, why_nothing
from autotune.report.workload import workload_lines
from autotune.spec import STUDY_FILE, StudySpec
from autotune.storage.database import DATABASE
from autotune.storage.reader import StudyReader
from autotune.tuning.allowance import StopRequest
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune as run


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
        spec, text = known_study(folder, given, limits), None
    else:
        folder, spec, text = new_study(target, given, limits)
    options = {"duration": "--budget", "trials": "--trials", "until": "--until"}
    words = [f"{option} {limits[key]}" for key, option in options.items() if limits.get(key)]
    words += ["--until-stable"] if limits.get("stable") else []
    again = [] if text is not None else words  # of a new study they stand in its file
    go_on = " ".join([f"autotune tune {folder}", *again])
    session = _Tuning(folder, console)
    with closing(session), optional_output():
        try:
            outcome, written = session.run(spec, anyway=anyway, trust=trust, wait=wait)
        except KeyboardInterrupt:
            session.rescue()
            _say_how_to_go_on(console, go_on)
            return EXIT_INTERRUPTED
        except (AutotuneError, OSError) as error:
            is_code = isinstance(error, InputCodeError)  # whose log lies there
            if text is not None and not (folder / DATABASE).exists() and not is_code:
                # Nothing was measured: leave nothing behind.
                take_back(folder, text, session.logged_bytes)
            elif session.is_open and isinstance(error, MachineFaultError | StorageError):
                session.rescue()
                kept = f"what was measured is kept: autotune best {folder} --out best.json"
                raise type(error)(f"{error}\n{kept}") from error
            raise
        except Exception:
            session.rescue()
            raise
    # Nothing is in a hurry any more: a pager gets the table, too; a signal ends the wait for it.
    with optional_output(patience_s=None):
        return _conclude(outcome, written, folder, console, go_on)


class _Tuning:
    """One run of the tuner, heard, logged, and stopped by signals."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._log = Log(folder / LOG)
        self._stop: Signals | None = None
        self.is_open = False
        """Whether it got as far as the study."""

    def run(
        self, spec: StudySpec, *, anyway: bool, trust: bool, wait: str | None
    ) -> tuple[Outcome, "_Files"]:
        """Tune, and write the files.

        Raises:
            KeyboardInterrupt: a signal ended it before the first trial, after the last, or twice.
        """
        asked, files = StopRequest(), _Files([], None)
        with ExitStack() as shown:
            log = shown.enter_context(self._log)
            progress = shown.enter_context(Progress(self._console))

            def hear(event: Event) -> None:
                self.is_open = self.is_open or isinstance(event, StudyOpened)
                log.hear(event)
                progress.hear(event)

            patience = patience_of(wait, lambda text: hear(Noted(text=text)))
            self._stop = stop = Signals(progress.say, "this trial", patience=patience, asked=asked)

            def end(outcome: Outcome, store: StudyReader) -> None:
                nonlocal files
                # What is left takes a moment, best.json among it: nothing may cut it off.
                stop.settle()
                shown.close()
                files = _written(outcome, store, self._folder)

            stop.install()
            try:
                outcome = run(
                    spec,
                    self._folder,
                    on_event=hear,
                    stop=asked,
                    anyway=anyway,
                    trust=trust,
                    recover=lambda: _troubles(asked),
                    patience=patience,
                    on_end=end,
                )
            finally:
                stop.settle()  # as a rescue takes a moment, too
        return outcome, files

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
            with closing(StudyReader.read_only(self._folder)) as store:
                lines = [*_rescued(store, self._folder), report_of_a_night(store, self._folder)]
        except Exception as error:  # noqa: BLE001 - as above
            lines = [f"no best.json: {error}", f"no report: {error}"]
        for line in lines:
            say(self._console, line)


def _rescued(store: StudyReader, folder: Path) -> list[str]:
    """Write best.json from the database; what to say of it, if there is anything to write."""
    try:
        goal = store.identity().goal
        found = answer(store, goal)
        if found.best is None:
            return []
        return _export(store, folder, goal, found.best, found.trials, found.race)
    except Exception as error:  # noqa: BLE001 - the report is still to be written
        return [f"no best.json: {error}"]


def _troubles(stop: StopRequest) -> list[str]:
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


def _written(outcome: Outcome, store: StudyReader, folder: Path) -> _Files:
    """best.json and the report: they are there whatever becomes of the output, or of each other."""
    lines: list[str] = []
    fault: Exception | None = None
    if outcome.best is not None:
        try:
            lines = _export(store, folder, outcome.goal, outcome.best, outcome.trials, outcome.race)
        except Exception as error:  # noqa: BLE001 - it is let out once the rest is there
            fault = error
    return _Files([*lines, report_of_a_night(store, folder)], fault)


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
    chosen = outcome.best
    is_met = chosen is not None and is_shown(chosen, outcome.goal, outcome.race)
    return EXIT_OK if is_met else EXIT_NO_FEASIBLE


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
        mix = mix_fed(outcome.fed)
        if rows:
            console.print(trials_table(list(rows.values()), outcome.goal, hint, mix=mix))
    hint = better_hint(outcome.trials, outcome.goal, outcome.race)
    each = devices_table(by_device(outcome.trials, outcome.goal), outcome.goal, hint)
    if each is not None:
        show(console, each)
    for line in _of_workload(outcome):
        say(console, line)
    say(console, _terms(outcome))
    say(console, search_in_words(outcome.trials, outcome.goal, outcome.space_size))
    if outcome.best is None:
        if outcome.race is None:
            say(console, why_nothing(outcome.trials, outcome.goal))
        if (folder / "best.json").exists():
            say(
                console,
                f"{folder / 'best.json'} is of an earlier session, not shown to hold now",
            )


def _terms(outcome: Outcome) -> str:
    budget = outcome.machine.budget_words
    return terms_in_words(outcome.items_per_request, outcome.inputs, budget)


def _of_workload(outcome: Outcome) -> list[str]:
    return workload_lines(
        outcome.best,
        outcome.trials,
        outcome.race,
        outcome.goal,
        items=outcome.items_per_request,
        mix=mix_fed(outcome.fed),
    )


def _say_how_to_go_on(console: Console, go_on: str) -> None:
    console.print(f"stopped; go on with: {go_on}", soft_wrap=True)


def _export(
    store: StudyReader,
    folder: Path,
    goal: Goal,
    trial: Trial,
    trials: Sequence[Trial],
    race: RaceResult | None,
) -> list[str]:
    """Write best.json; what to say of it."""
    target = folder / "best.json"
    if race is None and _is_better(target):
        return [f"kept {target}: it was raced, and this session ended before a race"]
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
            f"{milliseconds(file.measured.latency_ms.goal)}, {times(gain)} the better hint"
            f"{gained(goal)} (one process, {file.status}{doubt})",
        )
        said[1:1] = limit_lines(trial, goal)
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
