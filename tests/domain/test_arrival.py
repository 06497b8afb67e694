"""A closed loop: what follows from a fixed number of requests in flight."""

import math

from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.arrival import (
    log_rate_needed,
    log_tail,
    mean_latency_ms,
    most_requests,
    occupancy,
    saturated,
    slot_time_s,
)

positive = st.floats(1e-3, 1e6)
counts = st.integers(1, 1000)


@given(counts, positive, st.floats(0.5, 1.0))
def test_littles_law_and_the_time_of_slots_are_one(k: int, per_s: float, busy: float) -> None:
    """Requests in flight = rate x mean latency, of the time that slots were busy."""
    latency_s = mean_latency_ms(k, per_s, busy) / 1000
    assert math.isclose(slot_time_s(busy, k, 10.0), per_s * 10.0 * latency_s)
    assert math.isclose(occupancy(per_s * 10.0 * latency_s, k * 10.0), busy)


@given(positive, counts, counts)
def test_the_most_requests_are_those_that_just_fit(ratio: float, here: int, there: int) -> None:
    """A saturated loop with so many has a latency of 1, and there and back is where it was."""
    assert math.isclose(saturated(ratio, here, most_requests(ratio, here)), 1.0)
    assert math.isclose(saturated(saturated(ratio, here, there), there, here), ratio)


@given(positive, counts, positive)
def test_at_the_rate_that_is_needed_the_percentile_is_at_the_cap(
    per_s: float, k: int, tail: float
) -> None:
    """As long as the tail stays as it is: its latency over the cap is then 1."""
    over_cap = math.log(mean_latency_ms(k, per_s) / 1000 * tail)
    found = log_tail(over_cap, math.log(k), math.log(per_s))
    assert math.isclose(found, math.log(tail), abs_tol=1e-9)
    needed = math.exp(log_rate_needed(math.log(k), found))
    assert math.isclose(mean_latency_ms(k, needed) / 1000 * tail, 1.0)
