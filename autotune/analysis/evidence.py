"""Everything that a report shows of a study, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from autotune.analysis.answer import raced, space_size
from autotune.analysis.caps import CapRange, cap_ranges
from autotune.analysis.devices import DeviceSummary, by_device
from autotune.domain.goal import Goal
from autotune.domain.measurement import TICK_MS, Block
from autotune.domain.race import RaceResult
from autotune.domain.ranking import baselines, better_hint, chosen
from autotune.domain.trial import Trial
from autotune.stats.latency import ticks_of
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.storage.sessions import SessionRow, last_machine

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
"""What a reader may ask for, beside the study's own."""
_QUANTILES = np.unique(np.concatenate([np.linspace(0, 1, 101), 1 - np.logspace(-4, -2, 40)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One study, as it is stored."""

    identity: Identity
    sessions: tuple[SessionRow, ...]
    trials: tuple[Trial, ...]
    race: RaceResult | None
    """None where none was held over all of these trials."""
    leader: Trial | None
    """What is exported: chosen by the race, else by the search."""
    hint: Trial | None
    """The better hint."""
    space_size: int
    devices: tuple[DeviceSummary, ...]
    moments: dict[int, float]
    """Seconds of the study at which each trial ended."""
    caps: dict[int, dict[float, CapRange]]
    """Verdicts for every cap, by trial and percentile."""
    percentiles: tuple[float, ...]
    reference: Sequence[tuple[int, float, Block]]
    """Session, seconds, and slice of the reference."""
    findings: list[tuple[str, str]]
    """What the last inspection found that bears on every number: text by kind."""
    distributions: dict[int, list[tuple[float, float]]]
    """Share of requests and latency in milliseconds that they are within, for leader and hints."""

    @classmethod
    def of(cls, store: StudyReader) -> Self:
        """Read a study.

        Raises:
            StorageError: it cannot be read.
        """
        identity, trials = store.identity(), tuple(store.trials())
        goal: Goal = identity.goal
        race = raced(store, trials)
        leader = chosen(trials, goal, race)
        percentiles = tuple(sorted({*PERCENTILES, goal.percentile}))
        shown = {t.number: t for t in (leader, *baselines(trials).values()) if t is not None}
        return cls(
            identity=identity,
            sessions=tuple(store.sessions()),
            trials=trials,
            race=race,
            leader=leader,
            hint=better_hint(trials, goal, race),
            space_size=space_size(identity, store.name),
            devices=by_device(trials, goal),
            moments=store.moments(),
            caps=cap_ranges(trials, percentiles, store.latencies()),
            percentiles=percentiles,
            reference=store.reference(),
            findings=store.findings(),
            distributions={
                number: _quantiles(store.with_blocks(trial)) for number, trial in shown.items()
            },
        )

    @property
    def machine(self) -> dict[str, Any]:
        """Fingerprint of the machine that it last ran on; empty before that."""
        return last_machine(self.sessions)

    @property
    def goal(self) -> Goal:
        """What the study was tuned for."""
        return self.identity.goal


def _quantiles(trial: Trial) -> list[tuple[float, float]]:
    """The distribution of request latencies in some hundred points, dense in the tail."""
    assert trial.measurement is not None  # noqa: S101 - only measured trials are shown
    ticks = ticks_of(trial.measurement.counted)
    if not ticks.size:
        return []
    values = np.quantile(ticks, _QUANTILES, method="inverted_cdf") * TICK_MS
    return [(float(share), float(value)) for share, value in zip(_QUANTILES, values, strict=True)]
