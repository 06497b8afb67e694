"""`pareto` and `best`: what is to be chosen, from what was measured; read-only."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from autotune.analysis.among import Among
from autotune.analysis.answer import Answer, answer, raced, trials_under
from autotune.analysis.devices import by_device
from autotune.analysis.guarded import losses_of
from autotune.analysis.mixture import mix_fed
from autotune.analysis.pareto import NOISE, pareto_front
from autotune.analysis.what_if import is_allowed, lowest_cap
from autotune.cli.output import STDOUT, csv_to, goal_json, must_end_with, print_json, say, show
from autotune.cli.questions import asked_about, asked_goal, opened, terms_json, within_limits
from autotune.domain.goal import Goal
from autotune.domain.ranking import baselines, better_hint, is_shown, latest
from autotune.domain.units import number
from autotune.errors import EXIT_NO_FEASIBLE, EXIT_OK, AutotuneError, UsageError
from autotune.export.best_file import BestFile, read_best, write_best
from autotune.export.from_study import best_of_study
from autotune.report.chart import pareto_chart
from autotune.report.devices import devices_table
from autotune.report.format import goal_in_words, percent
from autotune.report.race import held_lines, race_lines
from autotune.report.race_table import race_table
from autotune.report.tables import distinct, trials_table
from autotune.report.words import limit_lines, relaxed_in_words, terms_of, why_nothing
from autotune.report.workload import workload_lines
from autotune.storage.reader import StudyReader
from autotune.storage.sessions import last_machine
from autotune.workload.mix import Mix


def show_pareto(
    folder: Path,
    percentile: float | None,
    csv: Path | None,
    *,
    max_drop: str | None = None,
    as_json: bool,
) -> None:
    """The front over all measurements within the limits, beyond the noise, drawn and listed."""
    from autotune.analysis.frames import frame, to_csv, to_records

    folder, store = opened(folder)
    identity = store.identity()
    stored = identity.goal
    goal = asked_goal(stored, None, percentile)
    trials = trials_under(store, stored, goal)
    among = asked_about(trials, max_drop=max_drop)
    measured = [t for t in trials if t.measurement is not None and t.reused_from is None]
    allowed = [one for one in latest(measured) if is_allowed(one, goal, among)]
    table = frame(allowed, identity)
    on_front = pareto_front(
        table["throughput_per_s"], table["latency_goal_ms"], NOISE, losses_of(allowed)
    )
    table = table[on_front].sort_values(["accuracy_drop", "throughput_per_s"])
    if csv is not None:
        csv_to(csv, to_csv(table))
        if str(csv) == STDOUT:
            return
    if as_json:
        print_json(
            {
                "goal": goal_json(goal),
                **terms_json(identity, last_machine(store.sessions())),
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
        f"each has over {percent(NOISE)} more throughput than "
        + (
            "the one above it"
            if losses_of(rows) is None
            else "those above it that lose no more accuracy"
        )
        + (", and all keep the limits beside latency" if goal.limits else "")
    )
    race = raced(store, store.trials()) if goal == stored else None  # of no other goal
    mix = mix_fed(identity.fed)
    show(console, trials_table(rows, goal, better_hint(trials, goal, race), title, mix=mix))
    say(console, terms_of(identity, last_machine(store.sessions())))
    if csv is not None:
        say(console, f"wrote {csv}")


def show_best(
    folder: Path,
    max_latency: str | None,
    percentile: float | None,
    out: Path | None,
    *,
    headroom: str | None = None,
    limits: Mapping[str, str | None] | None = None,
    max_drop: str | None = None,
    device: str | None = None,
    portable: bool = False,
    as_json: bool,
) -> int:
    """The best configuration under the study's goal, or others and limits; the exit code."""
    if out is not None:
        must_end_with("--out", out, ".json")
    folder, store = opened(folder)
    goal = asked_goal(store.identity().goal, max_latency, percentile, headroom)
    goal = within_limits(goal, limits or {})
    goal = replace(goal, portable=portable or goal.portable)
    among = asked_about(store.trials(), device, max_drop)
    found = answer(store, goal, among)
    leader, race, trials = found.best, found.race, found.trials
    console = Console()
    if leader is None:
        why = _why_nothing(store, found, goal, among)
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
    code = EXIT_OK if is_shown(leader, goal, race) else EXIT_NO_FEASIBLE
    if as_json:
        print_json(file.model_dump(mode="json"))
        return code
    _tell_best(console, found, file, goal, among, mix_fed(store.identity().fed))
    _tell_devices(console, store, found, goal, among)
    for line in _of_workload(store, found, goal):
        say(console, line)
    say(console, terms_of(store.identity(), last_machine(store.sessions())))
    if out is not None:
        say(console, f"wrote {out}")
    return code


def _tell_best(
    console: Console,
    found: Answer,
    file: BestFile,
    goal: Goal,
    among: Among,
    mix: Mix | None,
) -> None:
    """The race that chose it, or what the search saw of it beside the hints."""
    say(console, f"{goal_in_words(goal)}{_of(among)}:")
    if found.race is not None:
        show(console, race_table(found.race, goal))
        for line in race_lines(found.race, goal):
            say(console, line)
        return
    assert found.best is not None  # noqa: S101 - the caller has looked
    shown = distinct([found.best, *baselines(found.trials).values()])
    show(console, trials_table(shown, goal, better_hint(found.trials, goal), mix=mix))
    for line in limit_lines(found.best, goal):
        say(console, line)
    say(console, _never_raced(file))
    for line in held_lines(found.held, found.best.number, goal):
        say(console, line)


def _tell_devices(
    console: Console, store: StudyReader, found: Answer, goal: Goal, among: Among
) -> None:
    """The best of each device, where several are asked about."""
    if among.device is not None or len({t.configuration.device for t in found.trials}) < 2:
        return
    # Of another goal, only what decides it over all has been judged so far.
    judged = [t for t in trials_under(store, store.identity().goal, goal) if among.has(t)]
    each = devices_table(by_device(judged, goal), goal, better_hint(judged, goal, found.race))
    if each is not None:
        show(console, each)


def _of_workload(store: StudyReader, found: Answer, goal: Goal) -> list[str]:
    """How it serves a mix, what preparing takes, and what overlap brings."""
    identity, trials = store.identity(), found.trials
    if any(t.measurement and t.measurement.readings.prepare_ms is not None for t in trials):
        # Of another goal, only what decides it over all has been judged so far.
        trials = trials_under(store, identity.goal, goal)
    return workload_lines(
        found.best,
        trials,
        found.race,
        goal,
        items=identity.items_per_request,
        mix=mix_fed(identity.fed),
    )


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


def _of(among: Among) -> str:
    on = "" if among.device is None else f", on {among.device}"
    lost = among.max_drop
    return on if lost is None else f"{on}, losing at most {number(lost, 3)} accuracy"


def _why_nothing(store: StudyReader, found: Answer, goal: Goal, among: Among) -> str:
    """Why there is no best within the limits, the nearest misses, and the cap that would be met."""
    device = among.device
    here = tuple(trial for trial in found.trials if among.has(trial))
    if among.max_drop is not None and not any(trial.measurement for trial in here):
        return f"nothing that was measured was shown to lose at most {number(among.max_drop, 3)}"
    if device is not None and not any(trial.measurement for trial in here):
        measured = {t.configuration.device for t in store.trials() if t.measurement is not None}
        listed = f"; measured were {', '.join(sorted(measured))}" if measured else ""
        return f"nothing that was measured is within the limits: on {device}{listed}"
    why = why_nothing(here or found.trials, goal)
    if goal.cap_ms is not None and found.is_any_allowed:
        stored, trials = store.identity().goal.percentile, store.trials()
        allowed = [trial for trial in trials if is_allowed(trial, goal, among)]
        relaxed = relaxed_in_words(
            lowest_cap(allowed, stored, goal.percentile, store.with_blocks), goal
        )
        why += f"\nwithin these limits{relaxed[1:]}" if goal.limits and relaxed else relaxed
    return f"on {device}: {why}" if device is not None else why
