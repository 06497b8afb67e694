"""What mattered: how much of the spread of throughput each setting explains by itself."""

from collections.abc import Sequence

import numpy as np

from autotune.domain.trial import Trial
from autotune.space.dimensions import BY_COLUMN, REQUESTS, TABLE

SETTINGS = {one.column: one.label for one in TABLE if one.tunable}
"""Settings of a configuration and what a reader calls them."""
_LEAST = 5


def setting(trial: Trial, name: str) -> object:
    """A setting as requested; requests as they were kept in flight."""
    one = BY_COLUMN[name]
    if one is REQUESTS and trial.measurement is not None:
        return trial.measurement.num_requests
    return one.of(trial.configuration)


def importance(trials: Sequence[Trial]) -> list[tuple[str, float]]:
    """Settings that were varied, with the share of variance that each explains, largest first.

    The share is eta squared of the logarithm of throughput: variance between the means of its
    values over all variance (Fisher 1925). Settings act together, so shares need not add up to one;
    and a search looks where it is fast, so this speaks of what was tried, not of the whole space.

    Args:
        trials: any; only explicit configurations with a measurement of their own count.
    """
    mine = [
        trial
        for trial in trials
        if trial.measurement is not None
        and trial.reused_from is None
        and not trial.configuration.is_hint
        and trial.measurement.throughput_per_s > 0
    ]
    if len(mine) < _LEAST:
        return []
    rates = np.log([trial.measurement.throughput_per_s for trial in mine if trial.measurement])
    whole = float(np.sum((rates - rates.mean()) ** 2))
    found = []
    for name in SETTINGS:
        values = [repr(setting(trial, name)) for trial in mine]
        groups = [rates[[value == one for value in values]] for one in dict.fromkeys(values)]
        if len(groups) > 1 and whole > 0:
            between = sum(g.size * (g.mean() - rates.mean()) ** 2 for g in groups)
            found.append((name, float(between) / whole))
    return sorted(found, key=lambda item: -item[1])
