"""The race: contenders take turns in short slices over several launches; what that proves."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from autotune.domain.failure import Failure
from autotune.domain.goal import Verdict, together
from autotune.domain.limits import Limit
from autotune.domain.measurement import Block, Feed, Flag, Interval, Latency, Opening, Readings
from autotune.space.configuration import Configuration, Effective

LEAST_LAUNCHES = 3
"""Launches that a certificate needs: two say next to nothing about how much launches differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A configuration that competes, and what the search said of it."""

    name: str
    """What tables call it: a trial, a hint, a file."""
    configuration: Configuration
    trial: int | None = None
    """Number of the trial that found it; None for one that comes from a file or an option."""
    search_per_s: float | None = None
    """The search's own throughput, items per second; optimistic, as the best of many."""
    search_latency_ms: float | None = None
    search_efficiency: float | None = None
    """Items for each CPU-second or joule in the search; None where the goal asks for neither."""
    open_s: float = 1.0
    """What opening it is expected to take, warm-up apart."""
    peak_rss_bytes: int | None = None
    items_per_request: int = 1
    """At batch 1: a model may have a batch of its own."""

    @property
    def items(self) -> int:
        """Items in each of its requests."""
        return self.items_per_request * self.configuration.batch_size

    @property
    def is_default(self) -> bool:
        """Whether it is one of the runtime's own hints."""
        return self.configuration.is_hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """What is known of a contender beside its slices."""

    opening: Opening | None = None
    """Of its last launch, its times beside those of others; None before the first."""
    failure: Failure | None = None
    """Why it is out, if it failed."""
    dropped: "Dropped | None" = None
    """Why it gets no more turns, although it runs."""
    peak_rss_bytes: int | None = None


class Dropped(StrEnum):
    """Why a contender that runs has left the race."""

    SLOWER = "slower"  # than one that should keep the SLA
    MISSED = "missed"  # it clearly misses the SLA, over all or in one launch, or another limit


@dataclass(frozen=True, slots=True)
class Slice:
    """One turn of one contender: an uninterrupted stretch of load, half a second or a few."""

    launch: int
    """Which set of fresh processes, from 0."""
    round: int
    """Which round of its launch, from 0; slices of one round are compared with each other."""
    contender: int
    """Position among the race's contenders."""
    at_s: float
    """When it ended, seconds since the race began."""
    block: Block

    @property
    def is_void(self) -> bool:
        """Whether a clock was stepped or the machine slept meanwhile: kept, never counted."""
        return Flag.CLOCK in self.block.flags


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchReadings:
    """What a fresh process of one contender took beside its slices, in one launch.

    None where it was not measured. CPU-seconds for each item are those of the launch's slices.
    """

    launch: int
    """Which set of fresh processes, from 0."""
    contender: int
    """Position among the race's contenders."""
    read_s: float
    compile_s: float
    first_inference_ms: float
    open_peak_rss_bytes: int | None = None
    """High-water mark until the first answer: reading and compiling."""
    load_peak_rss_bytes: int | None = None
    """High-water mark under load."""
    steady_rss_bytes: int | None = None
    """Resident memory under load, the median over the slices."""


class State(StrEnum):
    """How a contender ended."""

    CHOSEN = "chosen"  # what is exported
    TIED = "tied"  # not shown to be slower than the chosen one, by over the tie margin
    FASTER = "faster"  # faster than the chosen one, but its SLA was not shown to hold
    SLOWER = "slower"
    MISSED = "missed"  # the SLA or another limit is clearly missed
    FAILED = "failed"  # its worker crashed, hung or was refused
    WAITING = "waiting"  # had no turn: no time, or no memory for one more resident model


class Status(StrEnum):
    """What may be claimed of the chosen configuration."""

    # The SLA and all limits hold at 1 % over at least three launches, none against it.
    CERTIFIED = "certified"
    PROVISIONAL = "provisional"  # it passes, but on less evidence or on a noisy machine
    UNCONFIRMED = "unconfirmed"  # never measured in fresh processes, or nothing was shown
    # Raced or not, its answers could not be shown to be those of single requests.
    UNPROVEN = "unproven"


class End(StrEnum):
    """Why a race ended."""

    DECIDED = "decided"  # every comparison is settled
    BUDGET = "budget"
    LAUNCHES = "launches"  # the most launches were held
    STOPPED = "stopped"  # by the user
    EMPTY = "empty"  # nobody is left


class Choice(StrEnum):
    """Why the chosen configuration was chosen among those that may be exported."""

    FASTEST = "fastest"  # most likely the fastest
    DEFAULT = "default"  # the runtime's own hint: see `Advantage`
    PORTABLE = "portable"  # of the equals, the one with fewer settings that hold here only
    MARGIN = "margin"  # of the equals, the one with more room below the cap
    THREADS = "threads"  # of the equals, the one with fewer threads
    MEMORY = "memory"  # of the equals, the one with less memory
    TIED = "tied"  # equal to others in everything; the fastest by its mean


class Advantage(StrEnum):
    """What may be said of a race's choice against the better one of the runtime's own hints."""

    SHOWN = "shown faster"  # the 95 % interval of the ratio is beyond 1
    LIKELY = "likely faster"  # chosen, but that it is no slower is not excluded
    EQUAL = "equal"  # shown to be within the tie margin, so that the hint is chosen
    NOT_SHOWN = "not shown"  # a gain is too doubtful, so that the hint is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStanding:
    """What the race says of one contender and one limit beside latency."""

    limit: Limit
    value: float | None = None
    """Mean over launches, in the limit's unit; None where it was not measured."""
    bound: float | None = None
    """At 99 %: of the mean over load, or of what the next process takes; the upper one, or of a
    floor the lower one. None where too little was seen."""
    verdict: Verdict = Verdict.UNCLEAR
    """At 1 %."""
    search_verdict: Verdict = Verdict.UNCLEAR
    """At 5 %, as `verify` judges."""

    @property
    def excess(self) -> float:
        """Logarithm of how many times over the limit it is; infinite where that is not known."""
        return (
            math.inf if self.value is None else self.limit.row.excess(self.value, self.limit.value)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the race says of one contender. Everything is from the race's own slices."""

    contender: Contender
    state: State
    launches: int = 0
    slices: int = 0
    measured_s: float = 0.0
    requests: int = 0
    over_cap: int = 0
    verdict: Verdict | None = None
    """Of all requests together, at 1 %; None without a cap or without requests."""
    search_verdict: Verdict | None = None
    """Likewise at 5 %, as the search and `verify` judge."""
    missed_launches: int = 0
    """Launches that, taken alone, clearly miss the SLA."""
    throughput: Interval | None = None
    """Items per second, 95 % over slices and launches."""
    ratio: Interval | None = None
    """To the baseline, from paired slices, 95 %; above 1 is better."""
    to_chosen: Interval | None = None
    """To the chosen one, likewise."""
    latency: Latency | None = None
    latency_upper_ms: float | None = None
    """Upper bound of the goal's percentile at 99 %: the larger of the bound from all requests
    together and the bound from the spread between launches."""
    limits: tuple[LimitStanding, ...] = ()
    """One for each limit of the goal beside latency."""
    efficiency: Interval | None = None
    """Items for each CPU-second or joule, 95 % over slices and launches; None where the goal asks
    for neither."""
    holds: bool = False
    """Whether the SLA and all limits may be certified so far."""
    effective: Effective | None = None
    unproven: str | None = None
    """Why its answers could not be shown to be those of single requests; None if they were."""
    peak_rss_bytes: int | None = None
    readings: Readings = field(default_factory=Readings)
    """What it took beside time, 95 % over slices and launches, and the most memory of any."""
    flags: frozenset[Flag] = frozenset()
    failure: Failure | None = None

    @property
    def overall_in_search(self) -> Verdict | None:
        """Of the SLA and all limits at 5 %; None where the goal asks for nothing."""
        return together([self.search_verdict, *(one.search_verdict for one in self.limits)])

    def headroom(self, cap_ms: float | None) -> float | None:
        """How much slower requests may become before the bound of the percentile is at the cap.

        0.12 for 12 %; None without a cap, without a bound, or where it is beyond the cap already.
        """
        return headroom(cap_ms, self.latency_upper_ms)


def headroom(cap_ms: float | None, upper_ms: float | None) -> float | None:
    """The same of a cap and a bound; see `Standing.headroom`."""
    if cap_ms is None or not upper_ms or upper_ms > cap_ms:
        return None
    return cap_ms / upper_ms - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the machine did meanwhile, over all counted slices."""

    steal_share: float | None
    """Share of the CPUs' time that the hypervisor took; None where unknown."""
    most_steal_share: float | None
    """The same in the worst slice."""
    throttled: int | None
    """Periods in which the CPU quota ran out; None where unknown."""
    major_faults: int
    void_slices: int
    """Slices that were not counted, for a clock step or a suspended machine."""
    dispersion: float | None
    """Variance of the over-cap count between slices against that of independent requests; above 2
    requests over the cap come in bursts, and the claim is conditional on bursts as seen."""
    noise: float | None
    """The machine's calibrated A/A noise, relative; None where it was never calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceResult:
    """How a race ended."""

    standings: tuple[Standing, ...]
    """One for each contender, in the order in which they entered."""
    chosen: int | None
    """Position of the chosen one; None when nothing may be exported."""
    baseline: int | None
    """Position of the contender that ratios are taken to: the better hint."""
    status: Status
    choice: Choice | None
    advantage: Advantage | None = None
    """None where no hint meets the SLA, or where there are only hints."""
    chance: float | None = None
    """Probability that the choice, or what comes nearest to a hint that was chosen, is faster than
    the better hint."""
    undecided_s: float | None = None
    """About how much longer such a race would take to show it or to exclude it; None where it is
    decided."""
    end: End
    launches: int
    rounds: int
    duration_s: float
    tie_margin: float
    """Relative difference below which two contenders are equal."""
    feed: Feed
    conditions: Conditions

    @property
    def winner(self) -> Standing | None:
        """The chosen contender's standing."""
        return None if self.chosen is None else self.standings[self.chosen]

    @property
    def better_hint(self) -> Standing | None:
        """The baseline's standing."""
        return None if self.baseline is None else self.standings[self.baseline]

    @property
    def ties(self) -> tuple[Standing, ...]:
        """Those that are not shown to be slower than the chosen one, by over the tie margin."""
        return tuple(s for s in self.standings if s.state is State.TIED)
