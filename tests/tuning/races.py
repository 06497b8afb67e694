"""Studies that end with a race, and what the database has of it."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.domain.events import (
    Event,
    LaunchFinished,
    Noted,
    RaceStarted,
)
from autotune.domain.race import Slice
from autotune.spec import StudySpec, build_spec
from autotune.storage.races import StoredRace, last_race
from autotune.storage.reader import StudyReader


def make_spec(cap: str = "20ms", **sections: dict[str, Any]) -> StudySpec:
    """Two minutes, a fifth of them for the race; more configurations than fit into them."""
    values: dict[str, dict[str, Any]] = {
        "model": {"path": "model.onnx"},
        "goal": {"max_latency": cap},
        "budget": {"duration": "2m"},
        "space": {"batch": [1, 2, 4, 8]},
        "measure": {"limit": "3s"},
        **sections,
    }
    return build_spec(values, "study.toml")


FEW: dict[str, Any] = {"budget": {"trials": 6}}


@dataclass
class Told:
    """Keeps every event; `on_launch` hears of launches as they end."""

    events: list[Event] = field(default_factory=list)
    on_launch: Callable[[LaunchFinished], None] = lambda _: None

    def __call__(self, event: Event) -> None:
        """Hear one."""
        self.events.append(event)
        if isinstance(event, LaunchFinished):
            self.on_launch(event)

    def notes(self) -> list[str]:
        """What was noted."""
        return [event.text for event in self.events if isinstance(event, Noted)]

    def count(self, kind: type[Event]) -> int:
        """How many of this kind."""
        return sum(isinstance(event, kind) for event in self.events)

    def one(self, kind: type[RaceStarted]) -> RaceStarted:
        """The only one of this kind."""
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


def races(folder: Path) -> int:
    """How many the database has."""
    with closing(StudyReader.read_only(folder)) as store, store.engine.connect() as connection:
        return len(connection.exec_driver_sql("SELECT id FROM autotune_race").all())


def stored_race(folder: Path) -> StoredRace:
    """The last one in the database."""
    with closing(StudyReader.read_only(folder)) as store:
        found = last_race(store)
    assert found is not None
    return found


def slices(folder: Path) -> Sequence[Slice]:
    """Those of the last race."""
    return stored_race(folder).slices


def elapsed(folder: Path) -> list[float]:
    """Seconds of every session."""
    with closing(StudyReader.read_only(folder)) as store:
        return [session.elapsed_s for session in store.sessions()]
