"""Studies on a simulated machine, and what is left of them."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.domain.events import (
    Event,
    Noted,
    TrialFinished,
)
from autotune.domain.trial import Origin, Trial
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, build_spec
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner

LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
LONE = Configuration(
    device="CPU",
    hint=PerformanceHint.THROUGHPUT,
    streams=1,
    threads_per_stream=4,
    pinning=True,
    precision="f32",
    num_requests=1,
)
"""The three seeds of a CPU with four cores."""
ALONE = {"reference": False}
"""[measure] without a reference: every opening is a trial's."""
FEW = {"batch": 1, "pinning": True, "requests_per_stream": [1, 2]}
"""[space] that is soon exhausted."""


def make_spec(cap: str = "20ms", trials: int | None = 8, **sections: dict[str, Any]) -> StudySpec:
    """A small space: streams, threads, requests and two batches."""
    space = {"batch": [1, 4], "pinning": True, "requests_per_stream": [1, 2]}
    values: dict[str, dict[str, Any]] = {
        "model": {"path": "model.onnx"},
        "goal": {"max_latency": cap},
        "budget": {} if trials is None else {"trials": trials},
        "space": space,
        "race": {"share": 0.0},
        **sections,
    }
    return build_spec(values, "study.toml")


@dataclass
class Told:
    """Keeps every event."""

    events: list[Event] = field(default_factory=list)
    on_trial: Callable[[TrialFinished], None] = lambda _: None

    def __call__(self, event: Event) -> None:
        """Hear one."""
        self.events.append(event)
        if isinstance(event, TrialFinished):
            self.on_trial(event)


def stored(folder: Path) -> list[Trial]:
    """What the database has."""
    store = StudyReader.read_only(folder)
    with closing(store):
        return store.trials()


def optuna_trials(folder: Path) -> list[FrozenTrial]:
    """What Optuna has."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    try:
        return optuna.load_study(study_name=folder.name, storage=storage).trials
    finally:
        storage.engine.dispose()


def states(folder: Path) -> list[TrialState]:
    """Optuna's states by number."""
    return [trial.state for trial in optuna_trials(folder)]


def all_configurations(folder: Path) -> list[Configuration]:
    """Every point of the study's space."""
    store = StudyReader.read_only(folder)
    with closing(store):
        choices = {name: tuple(c) for name, c in store.identity().space.items() if name != "cpus"}
    space = SearchSpace(choices, cpus=4)
    return [space.configuration(point) for point in space.points()]


def effective_keys(runner: SimulatedRunner, configurations: Sequence[Configuration]) -> set[str]:
    """Distinct deployments among them."""
    return {runner.cpu.effective(c.compile_key).key(c) for c in configurations}


def kinds(trials: Sequence[Trial]) -> list[str]:
    """Failure kind or verdict of each."""
    return [
        str(t.failure.kind if t.failure else t.measurement and t.measurement.verdict)
        for t in trials
    ]


class CrashError(BaseException):
    """Stands for the end of the process: nothing after it is carried out."""


def notes(told: Told) -> list[str]:
    """What was noted."""
    return [event.text for event in told.events if isinstance(event, Noted)]


def origins(trials: Sequence[Trial]) -> list[Origin]:
    """Who proposed each."""
    return [trial.origin for trial in trials]
