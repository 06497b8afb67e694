"""`status`, `pareto` and `best`: questions to a stored study, read-only."""

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.analysis.answer import Answer, answer, judged, raced, space_size
from autotune.analysis.pareto import NOISE, pareto_front
from autotune.analysis.story import story
from autotune.analysis.what_if import Limits, lowest_cap
from autotune.cli.output import (
    STDOUT,
    csv_to,
    goal_json,
    must_end_with,
    print_json,
    say,
    show,
)
from autotune.domain.goal import Goal, Objective
from autotune.domain.ranking import (
    baselines,
    better_hint,
    chosen,
    last_improvement,
    latest,
    ratio,
    seen,
)
from autotune.domain.trial import Trial
from autotune.domain.units import parse_bytes, parse_duration, parse_percent
from autotune.errors import EXIT_NO_FEASIBLE, EXIT_OK, AutotuneError, SpecError, UsageError
from autotune.export.best_file import BestFile, read_best, write_best
from autotune.export.from_study import best_of_study
from autotune.machines.locks import holder_of_study
from autotune.report.chart import pareto_chart
from autotune.report.drift import drift_json, drift_lines
from autotune.report.format import goal_in_words, limits_in_words, memory, percent, seconds
from autotune.report.race import held_lines, race_json, race_lines, race_table
from autotune.report.story import story_json, story_lines
from autotune.report.tables import trials_table
from autotune.report.words import (
    relaxed_in_words,
    ruled_out,
    search_in_words,
    terms_of,
    why_nothing,
)
from autotune.spec import STUDY_FILE, parse_spec
from autotune.storage.database import DATABASE
from autotune.storage.study_store import Identity, StudyStore

_RECENT = 10


def show_status(folder: Path, *, as_json: bool) -> None:
    """Progress, the best so far, failures by kind, and the last trials."""
    from autotune.analysis.frames import frame, to_records

    folder, store = opened(folder)
    identity, sessions, trials = store.identity(), store.sessions(), store.trials()
    holder = holder_of_study(folder)
    race = raced(store, trials)
    leader = chosen(trials, identity.goal, race)
    hint = better_hint(trials, identity.goal, race)
    failures = Counter(trial.failure.kind.value for trial in trials if trial.failure)
    spent = sum(session.elapsed_s for session in sessions)
    size = space_size(identity, store.name)
    last = last_improvement(trials, identity.goal)
    if as_json:
        print_json(
            {
                "study": identity.name,
                "goal": goal_json(identity.goal),
                **terms_json(identity),
                "running_pid": holder,
                "trials": len(trials),
                "failures": dict(failures),
                "ruled_out": ruled_out(trials),
                "spent_s": spent,
                "sessions": len(sessions),
                "last_end": sessions[-1].end if sessions else None,
                "space_size": size,
                "seen": seen(trials),
                "last_improvement_trial": None if last is None else trials[last].number,
                "best_trial": leader and leader.number,
                "ratio_to_better_hint": ratio(leader, hint, identity.goal),
                "race": None if race is None else race_json(race),
                "drift": drift_json(store.reference(), identity.items_per_request),
                "measurements": to_records(frame(trials)),
            }
        )
        return
    console = Console()
    state = (
        f"being tuned by process {holder}"
        if holder
        else _state(sessions[-1].end if sessions else None)
    )
    say(console, f"study {identity.name}: {goal_in_words(identity.goal)}")
    say(console, terms_of(identity))
    say(console, f"{state}; {len(trials)} trials in {seconds(spent)}, {len(sessions)} session(s)")
    for kind, count in failures.most_common():
        say(console, f"{count} failed: {kind.replace('_', ' ')}")
    for line in ruled_out(trials):
        say(console, line)
    say(console, search_in_words(trials, identity.goal, size))
    for line in drift_lines(store.reference(), identity.items_per_request):
        say(console, line)
    shown = [trial for trial in (leader, *baselines(trials).values()) if trial is not None]
    show(console, trials_table(_distinct(shown), identity.goal, hint, "best and hints"))
    if race is not None:
        show(console, race_table(race, identity.goal))
        for line in race_lines(race, identity.goal):
            say(console, line)
    show(console, trials_table(trials[-_RECENT:], identity.goal, hint, "last trials"))
    for trial in trials[-_RECENT:]:
        if trial.failure is not None:
            failure = f"{trial.failure.kind}: {trial.failure.message}"
            say(console, f"trial {trial.number}, {trial.configuration}: {failure}")


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
    say(console, terms_of(identity))
    for line in story_lines(happened):
        say(console, line)
    race = raced(store, store.trials())
    for line in [] if race is None else race_lines(race, identity.goal):
        say(console, line)
    for line in drift_lines(store.reference(), identity.items_per_request):
        say(console, line)


def show_pareto(folder: Path, percentile: float | None, csv: Path | None, *, as_json: bool) -> None:
    """The front over all measurements, beyond the noise, drawn and listed."""
    from autotune.analysis.frames import frame, to_csv, to_records

    folder, store = opened(folder)
    identity = store.identity()
    stored = identity.goal
    goal = asked_goal(stored, None, percentile)
    trials = judged(store, stored, goal)
    measured = [t for t in trials if t.measurement is not None and t.reused_from is None]
    table = frame(latest(measured))
    on_front = pareto_front(table["throughput_per_s"], table["latency_goal_ms"], NOISE)
    table = table[on_front].sort_values("throughput_per_s")
    if csv is not None:
        csv_to(csv, to_csv(table))
        if str(csv) == STDOUT:
            return
    if as_json:
        print_json(
            {
                "goal": goal_json(goal),
                **terms_json(identity),
                "measurements": len(measured),
                "front": to_records(table),
            }
        )
        return
    console = Console()
    front = {t.number: t for t in measured}
    rows = [front[number] for number in table["trial"]]
    if not rows:
        say(console, why_nothing(trials, goal))
        return
    show(console, pareto_chart(measured, rows, goal, console.width))
    title = (
        f"{len(rows)} of {len(measured)} measurements are on the front: "
        f"each has over {percent(NOISE)} more throughput than the one above it"
    )
    race = raced(store, store.trials()) if goal == stored else None  # of no other goal
    show(console, trials_table(rows, goal, better_hint(trials, goal, race), title))
    say(console, terms_of(identity))
    if csv is not None:
        say(console, f"wrote {csv}")


def show_best(
    folder: Path,
    max_latency: str | None,
    percentile: float | None,
    out: Path | None,
    *,
    headroom: str | None = None,
    max_memory: str | None = None,
    device: str | None = None,
    as_json: bool,
) -> int:
    """The best configuration under the study's goal, or others and limits; the exit code."""
    if out is not None:
        must_end_with("--out", out, ".json")
    folder, store = opened(folder)
    goal = asked_goal(store.identity().goal, max_latency, percentile, headroom)
    limits = asked_limits(max_memory, device)
    found = answer(store, goal, limits)
    leader, race, trials = found.best, found.race, found.trials
    console = Console()
    if leader is None:
        why = _why_nothing(store, found, goal, limits)
        if as_json:
            print_json({"goal": goal_json(goal), "best": None, "why": why})
        else:
            say(console, why)
        return EXIT_NO_FEASIBLE
    target = None if out is None else out.parent
    file = best_of_study(store, folder, leader, trials, goal, target=target, race=race)
    if out is not None:
        _keep_certified(out, file)
        write_best(file, out)
    if as_json:
        print_json(file.model_dump(mode="json"))
        return EXIT_OK
    within = limits_in_words(limits)
    say(console, f"{goal_in_words(goal)}{f', {within}' if within else ''}:")
    if race is not None:
        show(console, race_table(race, goal))
        for line in race_lines(race, goal):
            say(console, line)
    else:
        shown = _distinct([leader, *baselines(trials).values()])
        show(console, trials_table(shown, goal, better_hint(trials, goal)))
        say(console, _never_raced(file))
        for line in held_lines(found.held, leader.number, goal):
            say(console, line)
    say(console, terms_of(store.identity()))
    if out is not None:
        say(console, f"wrote {out}")
    return EXIT_OK


def _never_raced(file: BestFile) -> str:
    """What may be claimed of what the search alone has seen."""
    why = "" if file.unproven is None else f"its answers could not be proven: {file.unproven}; "
    return f"{file.status}: {why}from the search, one process, and never raced for this goal"


def _keep_certified(out: Path, file: BestFile) -> None:
    """What a race proved is not replaced by what was never raced.

    Raises:
        UsageError: it would be.
    """
    if not out.exists() or file.certificate is not None:
        return
    was_raced = False
    with contextlib.suppress(AutotuneError):  # whatever else is there may go
        was_raced = read_best(out).certificate is not None
    if was_raced:
        raise UsageError(f"--out: {out} was raced, and this was not; give another name")


def _why_nothing(store: StudyStore, found: Answer, goal: Goal, limits: Limits) -> str:
    """Why there is no best within the limits, the nearest miss, and the cap that it would meet."""
    within = limits_in_words(limits)
    if not found.is_any_allowed and within:
        measured = [trial for trial in store.trials() if trial.measurement is not None]
        return f"nothing that was measured is within the limits: {within}{_least(measured, limits)}"
    why = why_nothing(tuple(t for t in found.trials if limits.allow(t)) or found.trials, goal)
    if goal.cap_ms is not None and found.is_any_allowed:
        stored, trials = store.identity().goal.percentile, store.trials()
        allowed = [trial for trial in trials if limits.allow(trial)]
        lowest = lowest_cap(allowed, stored, goal.percentile, store.with_blocks)
        why += relaxed_in_words(lowest, goal)
    return f"{within}: {why}" if within else why


def _least(measured: list[Trial], limits: Limits) -> str:
    """What there is instead: the devices, or the least memory."""
    if not measured:
        return ""
    devices = sorted({trial.configuration.device for trial in measured})
    if limits.device is not None and limits.device not in devices:
        return f"; measured were {', '.join(devices)}"
    known = [
        (trial.measurement.peak_rss_bytes, trial.number)
        for trial in measured
        if trial.measurement is not None
        and trial.measurement.peak_rss_bytes is not None
        and (limits.device is None or trial.configuration.device == limits.device)
    ]
    return f"; the least is {memory(min(known)[0])}, of trial {min(known)[1]}" if known else ""


def opened(path: Path) -> tuple[Path, StudyStore]:
    """A study's folder and its evidence, read-only; the path of its study.toml will do.

    Raises:
        SpecError: there is no study there.
        StorageError: it has no database yet, or not a readable one.
    """
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
    return folder, StudyStore.read_only(folder)


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
    return asked if cap_ms is None else replace(asked, objective=Objective.THROUGHPUT)


def asked_limits(max_memory: str | None, device: str | None) -> Limits:
    """Limits of the command line.

    Raises:
        UsageError: it is no amount of memory.
    """
    try:
        return Limits(
            max_memory_bytes=None if max_memory is None else parse_bytes(max_memory),
            device=None if device is None else device.upper(),
        )
    except ValueError as error:
        raise UsageError(f"--max-memory: {error}") from None


def terms_json(identity: Identity) -> dict[str, Any]:
    """What the numbers are numbers of, for JSON output."""
    fed = identity.fed
    inputs = parse_spec(identity.spec).model.inputs
    return {
        "items_per_request": identity.items_per_request,
        "data": "random" if inputs is None else "real",
        "data_warnings": [] if fed is None else list(fed.warnings),
    }


def _distinct(trials: list[Trial]) -> list[Trial]:
    return list({trial.number: trial for trial in trials}.values())


def _state(end: str | None) -> str:
    return "cut off" if end is None else f"ended ({end})"
