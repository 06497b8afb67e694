"""The story of a study in lines: starts and ends, gains, failures, races."""

from collections.abc import Iterable, Sequence
from typing import Any

from autotune.analysis.story import Occurrence, What
from autotune.host.core_budget import budget_in_words
from autotune.report.format import milliseconds, per_second, percentile, seconds

_TAIL_LINES = 12
_LISTED = ("cpu_model", "usable_cpus", "openvino")
_ENDS = {
    "budget": "its time was up",
    "trials": "all its trials were done",
    "stable": "an improvement above 1 % had become unlikely",
    "exhausted": "every configuration was measured",
    "stopped": "it was told to stop",
    "interrupted": "it was interrupted",
    "failed": "it could not go on",
    None: "it was cut off, or goes on",
}


def story_lines(occurrences: Iterable[Occurrence]) -> list[str]:
    """A line for each occurrence, in local time; a worker's last output below its failure."""
    found: list[str] = []
    day = None
    for one in occurrences:
        at = one.at.astimezone()
        if one.what is What.START and found:
            found.append("")
        if at.date() != day:
            day = at.date()
            found.append(f"{at:%A, %Y-%m-%d}")
        first, *rest = _TEXTS[one.what](one)
        found.append(f"{at:%H:%M:%S}  {first}")
        found += [f"          {line}" for line in rest]
    return found


def story_json(occurrences: Iterable[Occurrence]) -> list[dict[str, Any]]:
    """The same for programs; times are UTC, ISO 8601."""
    return [
        {
            "at": one.at.isoformat(timespec="milliseconds"),
            "session": one.session,
            "what": one.what.value,
            **one.data,
        }
        for one in occurrences
    ]


def _start(one: Occurrence) -> list[str]:
    machine = one.data["machine"]
    cpu, cpus, openvino = (machine.get(key) for key in _LISTED)
    used = budget_in_words(machine) or f"{cpus} CPUs"
    said = f"session {one.session} begins: {cpu}, {used}, OpenVINO {openvino}"
    return [said, *(f"changed: {change}" for change in one.data["changes"])]


def _end(one: Occurrence) -> list[str]:
    reason = one.data["reason"]
    why = _ENDS.get(reason, str(reason))
    return [f"session {one.session} ends after {seconds(one.data['elapsed_s'])}: {why}"]


def _gain(one: Occurrence) -> list[str]:
    data = one.data
    figures = (
        f"{per_second(data['throughput_per_s'])} at {percentile(data['percentile'])} "
        f"{milliseconds(data['latency_ms'])}"
    )
    return [f"trial {data['trial']} leads: {figures}; {data['configuration']}"]


def _failure(one: Occurrence) -> list[str]:
    data = one.data
    code = "" if data["exit_code"] is None else f" (exit code {data['exit_code']})"
    again = "; it is tried again" if data["is_tried_again"] else ""
    kind = data["kind"].replace("_", " ")
    said = (
        f"trial {data['trial']} failed, phase {data['phase']}: {kind}: {data['message']}{code}; "
        f"{data['configuration']}{again}"
    )
    return [said, *_indented(data["stderr_tail"].splitlines())]


def _race(one: Occurrence) -> list[str]:
    data = one.data
    end, lasted = data["end"], data["duration_s"]
    after = "" if lasted is None else f" after {seconds(lasted)}"
    state = f"ended{after} ({end})" if end else "cut off, or goes on"
    waiting = data["without_a_turn"]
    more = f", {waiting} more had no turn" if waiting else ""
    return [f"race of {', '.join(data['contenders'])}{more}: {state}"]


def _event(one: Occurrence) -> list[str]:
    data = dict(one.data)
    kind = data.pop("kind")
    if kind == "repaired":
        told, lost = len(data.get("told", [])), len(data.get("lost", []))
        return [
            f"repaired after a cut: {told} trial(s) told to Optuna, {lost} lost and tried again"
        ]
    if "text" in data:
        return [f"{kind.replace('_', ' ')}: {data['text']}"]
    listed = ", ".join(f"{key} {value}" for key, value in data.items())
    return [f"{kind.replace('_', ' ')}{': ' if listed else ''}{listed}"]


def _indented(lines: Sequence[str]) -> list[str]:
    cut = lines[-_TAIL_LINES:]
    left_out = len(lines) - len(cut)
    return [*([f"| ({left_out} lines before)"] if left_out else []), *(f"| {line}" for line in cut)]


_TEXTS = {
    What.START: _start,
    What.END: _end,
    What.GAIN: _gain,
    What.FAILURE: _failure,
    What.RACE: _race,
    What.EVENT: _event,
}
