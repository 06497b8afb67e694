"""What follows from a contender's standing alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.race import headroom


@pytest.mark.parametrize(
    ("cap_ms", "upper_ms", "room"),
    [
        (10.0, 8.0, 0.25),
        (10.0, 10.0, 0.0),
        (10.0, 10.1, None),
        (None, 8.0, None),
        (10.0, None, None),
        (10.0, 0.0, None),
    ],
)
def test_headroom_is_what_is_left_below_the_cap(
    cap_ms: float | None, upper_ms: float | None, room: float | None
) -> None:
    """None where there is no cap, no bound, or a bound beyond the cap."""
    assert headroom(cap_ms, upper_ms) == (None if room is None else pytest.approx(room))


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_requests_that_take_so_much_longer_are_at_the_cap(cap_ms: float, upper_ms: float) -> None:
    """That is what it means."""
    room = headroom(cap_ms, upper_ms)
    assert (room is None) == (upper_ms > cap_ms)
    if room is not None:
        assert upper_ms * (1 + room) == pytest.approx(cap_ms)
