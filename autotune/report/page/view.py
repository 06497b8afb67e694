"""What the page shows, in words and numbers; no markup here."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from autotune.analysis.among import ALL, Among
from autotune.analysis.caps import lowest_met
from autotune.analysis.evidence import Evidence
from autotune.analysis.mixture import mix_fed
from autotune.domain.goal import Goal
from autotune.domain.race import Status
from autotune.domain.ranking import ratio
from autotune.domain.trial import Trial
from autotune.report.devices import device_rows
from autotune.report.drift import drift_lines
from autotune.report.format import (
    efficiency,
    gained,
    goal_in_words,
    memory,
    milliseconds,
    per_second,
    percentile,
    seconds,
    times,
)
from autotune.report.page.accuracy import AccuracyView, accuracy_view
from autotune.report.page.charts import all_figures
from autotune.report.page.drawing import Figure
from autotune.report.page.program import data_of
from autotune.report.page.workload import WorkloadView, workload_view
from autotune.report.race import race_lines, ratio_text
from autotune.report.tables import doubt_in_words, names_of_doubts
from autotune.report.words import (
    labelled_lines,
    relaxed_in_words,
    ruled_out,
    search_in_words,
    terms_of,
    why_nothing,
)
from autotune.report.workload import labelled_workload

_LONGEST_NAME = 200
_BADGES = {
    Status.CERTIFIED: "good",
    Status.PROVISIONAL: "fair",
    Status.UNCONFIRMED: "poor",
    Status.UNPROVEN: "poor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The page's contents; every text is plain and may hold anything."""

    title: str
    """The study's name."""
    question: str
    """The goal in words."""
    status: str
    """certified, provisional, unconfirmed, unproven, or nothing found."""
    badge: str
    """good, fair or poor."""
    answer: str
    """In one sentence."""
    configuration: str | None
    facts: tuple[tuple[str, str], ...]
    """Terms and figures below the answer."""
    lines: tuple[str, ...]
    """What the race says, or why there was none."""
    devices: tuple[tuple[str, str, str], ...]
    """Each device, its best or why it has none, and that against the better hint; empty for one."""
    workload: WorkloadView | None
    """None where there is nothing to say of it."""
    accuracy: AccuracyView | None
    """Likewise."""
    notes: tuple[str, ...]
    """What bears on every number."""
    failures: tuple[tuple[str, int, str], ...]
    """Kind, how often, and an example."""
    ruled_out: tuple[str, ...]
    drift: tuple[str, ...]
    slices: tuple[str, ...]
    """Names of the figures of single settings."""
    together: tuple[str, ...]
    sessions: tuple[tuple[str, str, str], ...]
    """Start, time spent, and end of each."""
    machine: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    flags: tuple[tuple[str, int], ...]
    """Reasons to doubt a measurement, and how many have them."""
    figures: frozenset[str]
    data: dict[str, Any]
    """For the page's program."""


def view_of(study: Evidence, asked: Goal | None = None, among: Among = ALL) -> View:
    """The page of a study; `asked` and `among` are what its other answers begin with."""
    figures = all_figures(study)
    status, badge, answer = _answer(study)
    last = study.sessions[-1] if study.sessions else None
    failed = [trial for trial in study.trials if trial.failure is not None]
    kinds = Counter(trial.failure.kind.value for trial in failed if trial.failure)
    flags = Counter(doubt for trial in study.trials for doubt in names_of_doubts(trial.measurement))
    return View(
        title=_short(study.identity.name),
        question=goal_in_words(study.goal),
        status=status,
        badge=badge,
        answer=answer,
        configuration=None if study.leader is None else str(study.leader.configuration),
        facts=tuple(_facts(study)),
        lines=tuple(_lines(study)),
        devices=tuple(device_rows(study.devices, study.goal, study.hint)),
        workload=workload_view(study),
        accuracy=accuracy_view(study),
        notes=tuple(_notes(study)),
        failures=tuple(
            (kind.replace("_", " "), count, _example(failed, kind))
            for kind, count in kinds.most_common()
        ),
        ruled_out=tuple(ruled_out(study.trials)),
        drift=tuple(drift_lines(study.reference, study.identity.items_per_request)),
        slices=tuple(_names(figures, "slice")),
        together=tuple(_names(figures, "together")),
        sessions=tuple(
            (
                session.started_at[:16].replace("T", " ") + " UTC",
                seconds(session.elapsed_s),
                session.end or "cut off, or goes on",
            )
            for session in study.sessions
        ),
        machine=tuple(_pairs(study.machine)),
        versions=tuple(_pairs(last.versions if last else {})),
        flags=tuple((doubt_in_words(flag), count) for flag, count in flags.most_common()),
        figures=frozenset(figures),
        data=data_of(study, figures, status, asked or study.goal, among.max_drop),
    )


def _answer(study: Evidence) -> tuple[str, str, str]:
    """Status, badge, and the one sentence."""
    goal, leader, race = study.goal, study.leader, study.race
    if leader is None or leader.measurement is None:
        said = f"{_capital(why_nothing(study.trials, goal))}."
        if goal.cap_ms is not None and study.caps and not goal.limits:
            said = said[:-1] + relaxed_in_words(lowest_met(study.caps, goal.percentile), goal) + "."
        return "nothing found", "poor", said
    measured = leader.measurement
    winner = None if race is None else race.winner
    if race is None or winner is None or winner.throughput is None:
        gain = ratio(leader, study.hint, goal)
        said = (
            f"{per_second(measured.throughput_per_s)} at {percentile(goal.percentile)} "
            f"{milliseconds(measured.latency.goal_ms)}"
        )
        said += "" if gain is None else f", {times(gain)} the better hint{gained(goal)}"
        said += "; from the search alone, in one process"
        if measured.opening.unproven is not None:
            said += f"; its answers could not be proven: {measured.opening.unproven}"
            return Status.UNPROVEN.value, "poor", f"{said}."
        return Status.UNCONFIRMED.value, "poor", f"{said}."
    low, upper = winner.throughput.low, winner.latency_upper_ms
    said = f"{per_second(winner.throughput.mean)}" if low is None else f"At least {per_second(low)}"
    if upper is not None:
        said += f" with {percentile(goal.percentile)} at most {milliseconds(upper)}"
    if winner.efficiency is not None and winner.efficiency.low is not None:
        said += f", at least {efficiency(winner.efficiency.low, goal)}"
    if winner.ratio is not None:
        said += f", {ratio_text(winner.ratio)} the better hint{gained(goal)}"
    return race.status.value, _BADGES[race.status], f"{said}."


def _facts(study: Evidence) -> list[tuple[str, str]]:
    goal, leader = study.goal, study.leader
    found = []
    if study.hint is not None and study.hint.measurement is not None:
        rate, latency = _of_hint(study)
        figures = f"{per_second(rate)}, {percentile(goal.percentile)} {milliseconds(latency)}"
        found.append(("better hint", f"{study.hint.configuration}: {figures}"))
    if leader is not None and leader.measurement is not None:
        measured = leader.measurement
        found.append(
            (
                f"the search saw (trial {leader.number})",
                (
                    f"{per_second(measured.throughput_per_s)} (95 %: "
                    f"{per_second(measured.throughput.low)} to "
                    f"{per_second(measured.throughput.high)}), "
                    f"{percentile(goal.percentile)} {milliseconds(measured.latency.goal_ms)}"
                ),
            )
        )
    found += labelled_lines(leader, goal)
    found += labelled_workload(
        leader,
        study.trials,
        study.race,
        goal,
        items=study.identity.items_per_request,
        mix=mix_fed(study.identity.fed),
    )
    spent = sum(session.elapsed_s for session in study.sessions)
    found.append(("search", search_in_words(study.trials, goal, study.space_size)))
    found.append(("figures", terms_of(study.identity, study.machine)))
    found.append(("time spent", f"{seconds(spent)}, {len(study.trials)} trials"))
    return found


def _notes(study: Evidence) -> list[str]:
    fed = study.identity.fed
    notes = [None if fed is None else fed.note]
    notes += [text for kind, text in study.findings if kind in {"items", "no_batch", "doubt"}]
    return [f"{_capital(note)}." for note in notes if note is not None]


def _of_hint(study: Evidence) -> tuple[float | None, float | None]:
    """Throughput and latency of the better hint: from the race, where that has the say."""
    assert study.hint is not None  # noqa: S101 - the caller has looked
    raced = [] if study.race is None else study.race.standings
    for one in raced:
        if one.contender.trial == study.hint.number and one.latency and one.throughput:
            return one.throughput.mean, one.latency.goal_ms
    measured = study.hint.measurement
    return (
        (None, None) if measured is None else (measured.throughput_per_s, measured.latency.goal_ms)
    )


def _lines(study: Evidence) -> list[str]:
    if study.race is not None:
        return race_lines(study.race, study.goal)
    return ["no race was held over these trials: what is above is the search's own figure"]


def _example(failed: list[Trial], kind: str) -> str:
    trial = next(t for t in failed if t.failure is not None and t.failure.kind.value == kind)
    message = trial.failure.message if trial.failure else ""
    return f"trial {trial.number}, {trial.configuration}: {message}"


def _names(figures: dict[str, Figure], kind: str) -> list[str]:
    return [name for name in figures if name.startswith(f"{kind}-")]


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Terms and values as a reader knows them; what is not there needs no line."""
    return [_pair(name, value) for name, value in values.items() if value is not None]


def _pair(name: str, value: object) -> tuple[str, str]:
    if isinstance(value, dict):
        return name.replace("_", " "), ", ".join(f"{key}: {one}" for key, one in value.items())
    if name.endswith("_bytes") and isinstance(value, int):
        return name.removesuffix("_bytes").replace("_", " "), memory(value)
    return name.replace("_", " "), str(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]} ..."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
