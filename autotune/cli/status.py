"""`status` and `log`: how a study stands and what happened in it, read-only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.analysis.answer import raced, space_size
from autotune.analysis.devices import DeviceSummary, by_device
from autotune.analysis.mixture import mix_fed
from autotune.analysis.story import story
from autotune.cli.output import goal_json, print_json, say, show
from autotune.cli.questions import opened, terms_json
from autotune.domain.measurement import Block
from autotune.domain.race import RaceResult
from autotune.domain.ranking import (
    baselines,
    better_hint,
    chosen,
    last_improvement,
    ratio,
    seen,
)
from autotune.domain.trial import Trial
from autotune.machines.locks import holder_of_study
from autotune.report.devices import devices_json, devices_table
from autotune.report.drift import drift_json, drift_lines
from autotune.report.format import goal_in_words, seconds
from autotune.report.race import race_lines
from autotune.report.race_json import race_json
from autotune.report.race_table import race_table
from autotune.report.story import story_json, story_lines
from autotune.report.tables import distinct, trials_table
from autotune.report.words import ruled_out, search_in_words, terms_of
from autotune.storage.identity import Identity
from autotune.storage.sessions import SessionRow, last_machine

_RECENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """How a study stands: what is stored of it, and what follows for its goal."""

    identity: Identity
    sessions: Sequence[SessionRow]
    trials: Sequence[Trial]
    holder: int | None
    """The process that tunes it now."""
    race: RaceResult | None
    leader: Trial | None
    hint: Trial | None
    """The better one."""
    space_size: int
    devices: Sequence[DeviceSummary]
    reference: Sequence[tuple[int, float, Block]]

    @property
    def failures(self) -> Counter[str]:
        """How often each kind of failure came."""
        return Counter(trial.failure.kind.value for trial in self.trials if trial.failure)

    @property
    def machine(self) -> dict[str, Any]:
        """Fingerprint of the machine that it last ran on."""
        return last_machine(self.sessions)

    @property
    def spent_s(self) -> float:
        """Over all sessions."""
        return sum(session.elapsed_s for session in self.sessions)


def show_status(folder: Path, *, as_json: bool) -> None:
    """Progress, the best so far, failures by kind, and the last trials."""
    folder, store = opened(folder)
    identity, sessions, trials = store.identity(), store.sessions(), store.trials()
    holder = holder_of_study(folder)
    race = raced(store, trials)
    study = StudyStatus(
        identity=identity,
        sessions=sessions,
        trials=trials,
        holder=holder,
        race=race,
        leader=chosen(trials, identity.goal, race),
        hint=better_hint(trials, identity.goal, race),
        space_size=space_size(identity, store.name),
        devices=by_device(trials, identity.goal),
        reference=store.reference(),
    )
    if as_json:
        print_json(_status_json(study))
    else:
        _tell_status(Console(), study)


def _status_json(study: StudyStatus) -> dict[str, Any]:
    from autotune.analysis.frames import frame, to_records

    identity, trials, leader, race = study.identity, study.trials, study.leader, study.race
    last = last_improvement(trials, identity.goal)
    return {
        "study": identity.name,
        "goal": goal_json(identity.goal),
        **terms_json(identity, study.machine),
        "running_pid": study.holder,
        "trials": len(trials),
        "failures": dict(study.failures),
        "ruled_out": ruled_out(trials),
        "spent_s": study.spent_s,
        "sessions": len(study.sessions),
        "last_end": study.sessions[-1].end if study.sessions else None,
        "space_size": study.space_size,
        "seen": seen(trials),
        "last_improvement_trial": None if last is None else trials[last].number,
        "best_trial": leader and leader.number,
        "ratio_to_better_hint": ratio(leader, study.hint, identity.goal),
        "devices": devices_json(study.devices, identity.goal),
        "race": None if race is None else race_json(race),
        "drift": drift_json(study.reference, identity.items_per_request),
        "measurements": to_records(frame(trials, identity)),
    }


def _tell_status(console: Console, study: StudyStatus) -> None:
    identity, trials, goal = study.identity, study.trials, study.identity.goal
    mix = mix_fed(identity.fed)
    say(console, f"study {identity.name}: {goal_in_words(goal)}")
    say(console, terms_of(identity, study.machine))
    sessions = f"{len(study.sessions)} session(s)"
    spent = f"{len(trials)} trials in {seconds(study.spent_s)}, {sessions}"
    say(console, f"{_state(study)}; {spent}")
    for kind, count in study.failures.most_common():
        say(console, f"{count} failed: {kind.replace('_', ' ')}")
    for line in ruled_out(trials):
        say(console, line)
    say(console, search_in_words(trials, goal, study.space_size))
    for line in drift_lines(study.reference, identity.items_per_request):
        say(console, line)
    shown = [trial for trial in (study.leader, *baselines(trials).values()) if trial is not None]
    show(console, trials_table(distinct(shown), goal, study.hint, "best and hints", mix=mix))
    if (each := devices_table(study.devices, goal, study.hint)) is not None:
        show(console, each)
    if study.race is not None:
        show(console, race_table(study.race, goal))
        for line in race_lines(study.race, goal):
            say(console, line)
    show(console, trials_table(trials[-_RECENT:], goal, study.hint, "last trials", mix=mix))
    for trial in trials[-_RECENT:]:
        if trial.failure is not None:
            failure = f"{trial.failure.kind}: {trial.failure.message}"
            say(console, f"trial {trial.number}, {trial.configuration}: {failure}")


def _state(study: StudyStatus) -> str:
    if study.holder:
        return f"being tuned by process {study.holder}"
    end = study.sessions[-1].end if study.sessions else None
    return "cut off" if end is None else f"ended ({end})"


def show_log(folder: Path, *, as_json: bool) -> None:
    """What happened, in order."""
    folder, store = opened(folder)
    happened = story(store)
    if as_json:
        print_json(story_json(happened))
        return
    console = Console()
    identity = store.identity()
    say(console, f"study {identity.name}: {goal_in_words(identity.goal)}")
    say(console, terms_of(identity, last_machine(store.sessions())))
    for line in story_lines(happened):
        say(console, line)
    race = raced(store, store.trials())
    for line in [] if race is None else race_lines(race, identity.goal):
        say(console, line)
    for line in drift_lines(store.reference(), identity.items_per_request):
        say(console, line)
