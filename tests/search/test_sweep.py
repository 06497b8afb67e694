"""Another request count on an open model: when, and which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective
from autotune.search.sweep import is_worthwhile, next_point
from autotune.space.dimensions import DIMENSIONS, Api
from autotune.space.space import Point
from tests.domain.builders import make_measurement
from tests.search.surface import make_space
from tests.space.builders import at

SPACE = make_space(requests_per_stream=(1, 2, 3, 4), api=(Api.ASYNC, Api.SYNC))
AXIS = DIMENSIONS.index("requests_per_stream")
CAPPED = Goal(Objective.THROUGHPUT, 99, 10)


def with_requests(per_stream: int) -> Point:
    """One stream with so many requests."""
    return at(0, 0, 0, per_stream - 1)


def swept(
    per_stream: int,
    latency_ms: float,
    *,
    goal: Goal = CAPPED,
    throughput_per_s: float = 100,
    best_per_s: float = 100,
) -> int | None:
    """The requests per stream that the sweep goes on to."""
    measurement = make_measurement(latency_ms=latency_ms, throughput_per_s=throughput_per_s)
    point = next_point(SPACE, with_requests(per_stream), measurement, goal, best_per_s)
    return None if point is None else int(SPACE.choices["requests_per_stream"][point[AXIS]])


@pytest.mark.parametrize(
    ("open_s", "measure_s", "worthwhile"), [(1.0, 3.0, True), (1.0, 4.0, False), (0.0, 1.0, False)]
)
def test_a_sweep_pays_where_opening_is_dear(
    open_s: float, measure_s: float, *, worthwhile: bool
) -> None:
    """Opening must cost at least three tenths of measuring."""
    assert is_worthwhile(make_measurement(open_s=open_s, measure_s=measure_s)) is worthwhile


@pytest.mark.parametrize(
    ("per_stream", "latency_ms", "expected"),
    [
        (1, 4.0, 2),  # two requests should take 8 ms
        (1, 5.0, 2),  # two requests should just meet the cap
        (1, 6.0, None),  # two requests should take 12 ms
        (2, 6.0, 3),
        (4, 5.0, None),  # there is no larger choice
        (4, 20.0, 2),  # half of the requests should just meet the cap
        (4, 15.0, 2),
        (4, 12.0, 3),
        (3, 40.0, None),  # even one request should be too slow
        (1, 20.0, None),  # there is no smaller choice
    ],
)
def test_latency_grows_with_the_requests(
    per_stream: int, latency_ms: float, expected: int | None
) -> None:
    """By Little's law the next count is the one that should just meet the cap of 10 ms."""
    assert swept(per_stream, latency_ms) == expected


def test_more_requests_need_a_promise() -> None:
    """Far below the best throughput, a higher request count is not worth a measurement."""
    assert swept(1, 2.0, throughput_per_s=49) is None
    assert swept(1, 2.0, throughput_per_s=50) == 2


def test_fewer_requests_need_none() -> None:
    """A miss may become the best once it meets the cap."""
    assert swept(4, 20.0, throughput_per_s=10) == 2


def test_without_a_cap_the_next_count_is_tried() -> None:
    """Nothing limits the latency."""
    goal = Goal(Objective.PARETO, 99, None)
    assert swept(3, 1e6, goal=goal) == 4
    assert swept(4, 1e6, goal=goal) is None


def test_a_blocking_request_cannot_be_swept() -> None:
    """With the synchronous API there is only one request."""
    synchronous = (*with_requests(1)[:-1], 1)
    found = next_point(SPACE, synchronous, make_measurement(latency_ms=1), CAPPED, 1.0)
    assert found is None


@given(
    st.sampled_from(list(SPACE.points())),
    st.floats(0.01, 1e4),
    st.floats(0, 1e3),
    st.floats(0, 1e3),
)
def test_a_sweep_moves_along_one_dimension(
    point: Point, latency_ms: float, throughput_per_s: float, best_per_s: float
) -> None:
    """The next point is another canonical one, with the same compile key, nearer to the cap."""
    measurement = make_measurement(latency_ms=latency_ms, throughput_per_s=throughput_per_s)
    found = next_point(SPACE, point, measurement, CAPPED, best_per_s)
    if found is not None:
        here, there = SPACE.configuration(point), SPACE.configuration(found)
        assert found == SPACE.canonical(found) != point
        assert there.compile_key == here.compile_key
        assert (found[AXIS] < point[AXIS]) == (latency_ms > 10)
