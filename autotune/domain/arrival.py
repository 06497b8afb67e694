"""How requests come, and all that is concluded from it: other arrivals change this module first.

In a closed loop every answer is followed by the next request at once, so a fixed number is always
in flight. Then Little's law holds over any stretch, whatever the distributions: requests in flight
= rate x mean latency (Little 1961). And where the machine is saturated more requests only wait
longer.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

Number = TypeVar("Number", float, Any)
"""A number, or an array of them."""

LEAST_OCCUPANCY = 0.97
"""Below it the loop itself was a bottleneck: slots stood empty (decision 0002)."""
MOST_OCCUPANCY = 1.001
"""Above it a clock or the bookkeeping is wrong: no slot can be busy for longer than its time."""


@dataclass(frozen=True, slots=True)
class Closed:
    """So many requests always in flight."""

    num_requests: int
    is_blocking: bool = False
    """Whether the only one is waited for by whoever issued it."""


Arrival = Closed
"""There is no other yet."""


def occupancy(latencies_s: float, cycles_s: float) -> float:
    """The share of its time that a request slot was busy.

    Args:
        latencies_s: sum over all completed requests.
        cycles_s: sum of the times from each one's start to the start of its successor.
    """
    return latencies_s / cycles_s


def slot_time_s(occupied: float, in_flight: int, duration_s: float) -> float:
    """How long all slots together were busy."""
    return occupied * in_flight * duration_s


def mean_latency_ms(in_flight: Number, per_s: Number, occupied: float = 1.0) -> Number:
    """By Little's law, of so many in flight at this rate; both of requests, or both of items."""
    return 1000 * occupied * in_flight / per_s


def log_tail(log_latency: Number, log_in_flight: Number, log_per_s: Number) -> Number:
    """Log of a latency percentile over the mean latency that Little's law gives."""
    return log_latency - log_in_flight + log_per_s


def log_rate_needed(log_in_flight: Number, log_tail_: Number) -> Number:
    """Log of the rate at which the percentile is at the cap that the logarithms are relative to."""
    return log_in_flight + log_tail_


def saturated(latency: float, requests: float, others: float) -> float:
    """The latency with another number of requests: in proportion, as the rate is the same."""
    return latency * others / requests


def most_requests(latency: float, requests: float) -> float:
    """How many requests just keep a latency of 1 where so many have this one, if saturated."""
    return requests / latency
