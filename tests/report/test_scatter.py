from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Verdict
from autotune.report.chart import pareto_chart
from autotune.report.scatter import Mark, scatter
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.builders import GOAL, make_measurement, make_trial

MARKS = st.lists(
    st.builds(Mark, st.floats(1e-4, 1e6), st.floats(0, 1e9), st.sampled_from("+x?")), min_size=1
)


@given(MARKS, st.integers(10, 120), st.integers(3, 40), st.floats(1e-3, 1e5) | st.none())
def test_a_chart_is_as_large_as_it_was_asked_to_be(
    marks: list[Mark], width: int, height: int, limit: float | None
) -> None:
    """Any points, any terminal; too small a one is given the smallest chart."""
    lines = scatter(marks, width=width, height=height, title="t", limit=limit).plain.split("\n")

    assert len(lines) == max(height, 9)
    assert len({line.index("|") for line in lines[1:-2]}) == 1
    assert max(map(len, lines)) <= max(width, 24 + 12)
    assert any(mark.sign in "".join(lines[1:-2]) for mark in marks)


def test_marks_are_where_they_belong() -> None:
    """Fast is up, slow is right; the limit lies between what meets it and what does not."""
    marks = [Mark(1.0, 10.0, "a"), Mark(100.0, 20.0, "b")]
    lines = scatter(marks, width=40, height=12, title="t", limit=10.0).plain.split("\n")[1:-2]

    assert lines[0].endswith("b")
    assert lines[-1].index("a") < lines[-1].index(":")
    assert lines[0].startswith("20 |")
    assert lines[-1].startswith("10 |")


def test_one_point_and_none() -> None:
    """An axis of one value has a place for it."""
    assert "a" in scatter([Mark(1.0, 1.0, "a")], width=40, height=9, title="t").plain
    assert scatter([], width=40, height=9, title="t").plain == "nothing to draw"


def test_the_front_covers_the_rest_and_the_hints_are_marked() -> None:
    """With a legend of what there is."""
    hint = make_trial(0, configuration=Configuration(device="CPU", hint=PerformanceHint.LATENCY))
    missed = make_trial(1, measurement=make_measurement(verdict=Verdict.MISSED))
    front = make_trial(2)
    shown = pareto_chart([hint, missed], [], GOAL).plain
    covered = pareto_chart([missed, front], [front], GOAL).plain

    assert "H OpenVINO's hints" in shown
    assert "x misses it" in shown
    assert "meets the cap" in shown
    assert "o" in covered.split("\n+")[0].split("\n", 1)[1]
    assert "p99 latency" in shown
