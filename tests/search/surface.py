"""A machine made of a formula, and the loop that a tuner drives a search with."""

import math
from dataclasses import replace
from typing import Any

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Verdict
from autotune.domain.trial import Trial
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration
from autotune.space.space import Point, SearchSpace
from tests.domain.builders import make_trial
from tests.space.builders import make_space as small_space


def make_space(cpus: int = 4, **choices: tuple[Any, ...]) -> SearchSpace:
    """Twenty-four points on four CPUs; named dimensions get other choices."""
    return small_space(cpus, **{"batch": (1, 4), **choices})


LARGE = make_space(
    cpus=16,
    threads_per_stream=(1, 2, 3, 4, 6, 8, 12, 16),
    streams=(1, 2, 3, 4, 6, 8, 12, 16),
    requests_per_stream=(1, 2, 3, 4),
    batch=(1, 2, 4, 8, 16, 32),
    pinning=(True, False),
)


def measured(proposal: Proposal) -> Trial:
    """The trial of a proposal: batches of 16 on all threads are best, and latency is in its way."""
    configuration = proposal.configuration
    streams = configuration.streams or 1
    threads = configuration.threads_per_stream or 1
    batch_gain = math.exp(-(math.log2(configuration.batch_size / 16) ** 2) / 8)
    throughput = 100 * (streams * threads) ** 0.9 * batch_gain
    requests = configuration.num_requests or streams
    return make_trial(
        proposal.number,
        configuration,
        throughput_per_s=throughput,
        latency_ms=1000 * requests * configuration.batch_size / throughput,
    )


def failed(proposal: Proposal, kind: FailureKind = FailureKind.COMPILE_ERROR) -> Trial:
    """The trial of a proposal that failed."""
    return make_trial(proposal.number, proposal.configuration, failure=kind)


def missed(proposal: Proposal) -> Trial:
    """The trial of a proposal that misses the cap by far."""
    trial = measured(proposal)
    assert trial.measurement is not None
    latency = replace(trial.measurement.latency, goal_ms=1e5)
    measurement = replace(trial.measurement, latency=latency, verdict=Verdict.MISSED)
    return replace(trial, measurement=measurement)


def advance(search: Search, trials: int) -> list[Configuration]:
    """Ask and tell so many trials, and return what was proposed."""
    found = []
    for _ in range(trials):
        proposal = search.ask()
        assert proposal is not None
        found.append(proposal.configuration)
        search.tell(measured(proposal))
    return found


def points_of(space: SearchSpace, configurations: list[Configuration]) -> list[Point]:
    """Where configurations lie."""
    points = [space.locate(configuration) for configuration in configurations]
    return [point for point in points if point is not None]
