"""Several studies side by side: machines, versions or models, under one goal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from autotune.analysis.answer import answer, trials_under
from autotune.domain.goal import Goal
from autotune.domain.place import LAYOUT
from autotune.domain.race import RaceResult
from autotune.domain.ranking import better_hint
from autotune.domain.trial import Trial
from autotune.space.configuration import Configuration
from autotune.spec import parse_spec
from autotune.spec.fed_words import fed_in_words
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.storage.sessions import last_machine

_MACHINE = (
    *("cpu_model", "usable_cpus", "core_budget", "quota_cpus", "memory_bytes", "system"),
    *("devices", "environment"),
)
_DATA = {"inputs", "tokenizer", "states"}
"""Of a workload, what the words for its inputs say."""
_MOST_LISTED = 4
_VERSIONS = ("openvino", "autotune", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the studies."""

    name: str
    """As the user named it."""
    identity: Identity
    trials: tuple[Trial, ...]
    """Judged by the common goal."""
    best: Trial | None
    race: RaceResult | None
    """Where it has a say under the common goal."""
    hint: Trial | None
    machine: dict[str, Any]
    """Of its last session; empty before the first."""
    versions: dict[str, str]

    @classmethod
    def of(cls, store: StudyReader, name: str, goal: Goal) -> Self:
        """Read a study.

        Raises:
            StorageError: it cannot be read.
        """
        identity, sessions = store.identity(), store.sessions()
        trials = trials_under(store, identity.goal, goal)
        found = answer(store, goal)
        return cls(
            name=name,
            identity=identity,
            trials=trials,
            best=found.best,
            race=found.race,
            hint=better_hint(trials, goal, found.race),
            machine=last_machine(sessions),
            versions=sessions[-1].versions if sessions else {},
        )

    @property
    def rates(self) -> dict[Configuration, float]:
        """Items per second of every configuration that has a measurement of its own."""
        return {
            trial.configuration: trial.measurement.throughput_per_s
            for trial in self.trials
            if trial.measurement is not None and trial.reused_from is None
        }


@dataclass(frozen=True, slots=True)
class Shared:
    """A configuration that two studies measured, in items per second."""

    configuration: Configuration
    first: float
    other: float

    @property
    def ratio(self) -> float:
        """Of the other to the first."""
        return self.other / self.first


def differences(sides: Sequence[Side]) -> list[tuple[str, tuple[object, ...]]]:
    """What is not the same in all studies: a term, and its value in each."""
    rows: list[tuple[str, Sequence[object]]] = [
        ("model", [side.identity.model_sha256[:12] for side in sides]),
        *_workload(sides),
        ("items per request", [side.identity.items_per_request for side in sides]),
        ("goal", [str(side.identity.goal) for side in sides]),
        *((name, [side.machine.get(name) for side in sides]) for name in _MACHINE),
        *((name, values) for name, values in _layout(sides) if None not in values),
        *((name, [side.versions.get(name) for side in sides]) for name in _VERSIONS),
    ]
    return [
        (name.replace("_", " "), tuple(values))
        for name, values in rows
        if any(one != values[0] for one in values)
    ]


def _workload(sides: Sequence[Side]) -> list[tuple[str, Sequence[object]]]:
    """What they were asked, in words: shapes, data, and what is said of a workload."""
    asked = [side.identity.inputs for side in sides]
    said = [one.get("workload") or {} for one in asked]
    keys = dict.fromkeys(key for one in said for key in one if key not in _DATA)
    fed = [fed_in_words(parse_spec(one.identity.spec), one.identity.fed) for one in sides]
    return [
        ("shapes", [_words(one.get("shapes")) for one in asked]),
        ("inputs", fed),
        ("input data", [_digest(one) for one in asked]),
        *((f"workload {key}", [_words(one.get(key)) for one in said]) for key in keys),
    ]


def _digest(asked: Mapping[str, Any]) -> str | None:
    """The begin of that of the user's data; None without any."""
    found = asked.get("inputs_sha256") or asked.get("data_sha256")
    return None if found is None else str(found)[:12]


def _words(value: object) -> str | None:
    """A value of study.toml without its brackets, such as ``value 0, axis 3``; None for nothing."""
    if value is None or value == {}:
        return None
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(one)}".strip() for key, one in value.items())
    if isinstance(value, list | tuple):
        if all(isinstance(one, int) for one in value) and len(value) > 1:
            return "x".join(map(str, value))
        listed = [str(_words(one)) for one in value]
        more = len(listed) - _MOST_LISTED
        return "; ".join([*listed[:_MOST_LISTED], *([f"and {more} more"] if more > 0 else [])])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _layout(sides: Sequence[Side]) -> list[tuple[str, Sequence[object]]]:
    """Cores and the like; what one of them does not say is no difference."""
    return [(name, [side.machine.get(name) for side in sides]) for name in LAYOUT]


def shared(first: Side, other: Side) -> list[Shared]:
    """Configurations that both measured, by rising ratio."""
    rates = other.rates
    both = [
        Shared(configuration, rate, rates[configuration])
        for configuration, rate in first.rates.items()
        if configuration in rates and rate > 0
    ]
    return sorted(both, key=lambda one: one.ratio)


def median_ratio(found: Sequence[Shared]) -> float | None:
    """Of the other study to the first, over what both measured; None without any."""
    return median(one.ratio for one in found) if found else None


def carried_over(source: Side, target: Side) -> float | None:
    """What the best of one study reaches in another, as a share of that one's own best.

    None where either has no best, or the target did not measure it.
    """
    if source.best is None or target.best is None or target.best.measurement is None:
        return None
    rate = target.rates.get(source.best.configuration)
    best = target.best.measurement.throughput_per_s
    return None if rate is None or best <= 0 else rate / best
