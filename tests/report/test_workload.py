"""What terminal and page say of a workload: what was fed, padding, buckets, preparation."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autotune.analysis.preparation import PreparationTime
from autotune.domain.measurement import Interval, Readings
from autotune.domain.race import State
from autotune.domain.trial import Trial
from autotune.domain.workload_facts import WorkloadFacts
from autotune.report.page import render
from autotune.report.page.view import view_of
from autotune.report.page.workload import workload_view
from autotune.report.tables import trials_table
from autotune.report.workload import plan_in_words, preparation_in_words, workload_lines
from autotune.space.dimensions import Api
from autotune.space.shape_plan import parse_plan
from autotune.workload.mix import Mix
from tests.builders import GOAL
from tests.report.mixes import BUCKETS, FACTS, MIX, of_a_mix, served
from tests.report.races import make_result, make_standing
from tests.report.studies import evidence


def said(trial: Trial | None, *others: Trial, mix: Mix | None = None, **race: Any) -> list[str]:
    """The lines of a study that has chosen a trial."""
    trials = [] if trial is None else [trial, *others]
    return workload_lines(trial, trials, race.get("race"), GOAL, items=1, mix=mix)


# --- in a terminal


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("dynamic", "dynamic, nothing is padded"),
        ("bounded", "bounded, nothing is padded"),
        ("padded", "padded (320), padding 100 %"),
        (BUCKETS, "2 buckets (160, 320), padding 25 %"),
        ("buckets:80|160|320", "3 buckets (80, 160, 320), nothing is padded"),
        ("buckets:80|160", "2 buckets (80, 160), padding not known"),
    ],
)
def test_a_plan_is_said_with_its_sizes_and_what_it_pads(plan: str, says: str) -> None:
    """What is computed for nobody stands beside what counts."""
    assert plan_in_words(parse_plan(plan), MIX) == says
    assert said(served(plan), mix=MIX) == [f"shape plan: {says}"]


@pytest.mark.parametrize(
    ("share", "busy", "says"),
    [
        (0.25, 0.5, "1.5 ms for each request, 25 % of its mean latency; the feeding thread prep"),
        (0.25, None, "1.5 ms for each request, 25 % of its mean latency"),
        (None, None, "1.5 ms for each request"),
    ],
)
def test_preparation_is_said_with_what_is_known(
    share: float | None, busy: float | None, says: str
) -> None:
    """Its share of the latency, and how busy the thread is."""
    words = preparation_in_words(PreparationTime(prepare_ms=1.5, share=share, busy=busy))
    assert words.startswith(says)
    assert words.endswith("prepares 50 % of the time") is (busy is not None)


def test_a_study_of_one_bound_shape_has_no_line() -> None:
    """Nor one that chose nothing."""
    assert said(served("dynamic")) == []
    assert said(None, mix=MIX) == []


def test_overlap_is_said_of_race_and_search() -> None:
    """First what was raced, with its interval; what was searched is optimistic."""
    prepared = Readings(prepare_ms=0.5)
    best = served("dynamic", 1, 300, readings=prepared)
    waits = served("dynamic", 2, 200, readings=prepared, api=Api.SYNC)
    preparation, overlap = said(best, waits)
    assert preparation == (
        "preparation: 0.5 ms for each request, 50 % of its mean latency; the feeding thread "
        "prepares 15 % of the time"
    )
    assert overlap == (
        "overlap: 1.50x the rate of waiting for each request, by the search (trial 1 against "
        "trial 2)"
    )
    race = make_result(
        make_standing(
            "trial 2",
            State.SLOWER,
            configuration=waits.configuration,
            readings=prepared,
            to_chosen=Interval(0.8, 0.75, 0.9),
        ),
        winner=make_standing("trial 1", readings=prepared),
    )
    raced = said(best, waits, race=race)
    assert raced[0].startswith("preparation: 0.5 ms for each request, 25 % of its mean latency")
    assert raced[1] == (
        "overlap: 1.25x (1.11-1.33) the rate of waiting for each request, in the race (trial 1 "
        "against trial 2); 1.50x by the search (trial 1 against trial 2)"
    )


def test_why_overlap_is_not_known_is_said() -> None:
    """Whichever of the two is missing."""
    readings = Readings(prepare_ms=0.5)
    for one in (
        served("dynamic", readings=readings),
        served("dynamic", readings=readings, api="sync"),
    ):
        assert said(one)[1] == (
            "overlap: not known: one that waits for each request and one that does not must be "
            "shown to meet the goal"
        )


@pytest.mark.parametrize("mix", [None, MIX])
def test_the_table_has_padding_where_shapes_are_mixed(mix: Mix | None) -> None:
    """And its figures are whole within 80 characters, whatever a configuration is called."""
    trials = [
        served(BUCKETS, 10, preprocessing="graph", pinning=False, batch_size=8),
        served("padded", 11),
        served("dynamic", 12),
    ]
    output = io.StringIO()
    console = Console(file=output, width=80)
    console.print(trials_table(trials, GOAL, trials[2], mix=mix))
    shown = output.getvalue()
    assert ("pad-" in shown) is (mix is not None)
    for figure in ("200/s", "1 ms", "+ met", "1.00x"):
        assert shown.count(figure) == 3
    assert "…" not in shown
    if mix is not None:
        assert all(share in shown for share in (" 25 % ", " 100 % ", " 0 % "))


# --- on the page


def test_the_page_shows_mix_plans_and_buckets(study: Path) -> None:
    """Shapes with shares and costs, what each plan pads, and the sizes that were chosen."""
    found = replace(
        of_a_mix(study, FACTS), findings=[("plans", "padding is <b>bad</b>"), ("items", "no")]
    )
    seen = workload_view(found)
    assert seen is not None
    assert seen.fed == "64 samples of 2 files, 3 shapes (80 to 320), copied before each request."
    assert seen.notes == ("Padding is <b>bad</b>",)
    assert seen.mix == "One size varies: axis 3 of x."
    assert seen.shapes == (
        ("80", "50 %", "3 ms"),
        ("160", "25 %", "not measured"),
        ("320", "25 %", "12 ms"),
    )
    plans = {row[0]: row[1:] for row in seen.plans}
    assert plans["padded"] == ("100 %", "1", "101/s at p99 1 ms (trial 1)")
    assert [plans[name][0] for name in ("dynamic", "2 buckets", "3 buckets")] == [
        "none",
        "25 %",
        "none",
    ]
    assert dict(seen.buckets) == {
        "padded": (("320", "100 %", "100 %"),),
        "2 buckets": (("160", "75 %", "50 %"), ("320", "25 %", "none")),
    }
    view = view_of(found)
    assert ("shape plan", "2 buckets (160, 320), padding 25 %") in view.facts
    lines = view.data["figures"]["mix"]["layout"]["shapes"]
    assert [line["x0"] for line in lines] == [160, 320]
    assert view.data["trials"]["padding"][:4] == pytest.approx([0, 1, 0.25, 0])
    assert "padding" in [column["key"] for column in view.data["columns"]]
    html = render(view)
    assert "Padding is &lt;b&gt;bad&lt;/b&gt;" in html
    assert 'id="workload-title"' in html


def test_of_a_large_mix_the_page_shows_the_first_shapes(study: Path) -> None:
    """And says how many more there are; several sizes that vary are named."""
    shapes = tuple({"x": (1, 3, 32 + n % 7, 32 + n)} for n in range(300))
    facts = replace(FACTS, shapes=shapes, weights=(1 / 300,) * 300, costs_ms=())
    seen = workload_view(of_a_mix(study, facts))
    assert seen is not None
    assert (len(seen.shapes), seen.more) == (200, "and 100 larger ones")
    assert seen.mix == "2 sizes vary: axis 2 of x; axis 3 of x."
    assert seen.buckets == (("padded", (("38x331", "100 %", seen.plans[1][1]),)),)
    assert "mix" not in view_of(of_a_mix(study, facts)).figures


def test_the_page_shows_preparation_where_it_is_measured(study: Path) -> None:
    """In the answer, and of each trial."""
    facts = WorkloadFacts(
        samples=24, is_random=False, is_prepared=True, images_vary=True, image_sizes=4
    )
    found = of_a_mix(study, facts, "end-to-end", readings=Readings(prepare_ms=0.5))
    view = view_of(found)
    assert view.workload is not None
    assert "24 pictures of 2 files, 4 sizes, prepared before each request" in view.workload.fed
    assert (view.workload.mix, view.workload.plans) == ("", ())
    labels = [label for label, _ in view.facts]
    assert labels.index("preparation") + 1 == labels.index("overlap")
    assert view.data["trials"]["preparation"][:5] == [0.5, 0.5, 0.5, 0.5, None]
    assert "padding" not in view.data["trials"]


def test_a_page_without_a_workload_is_as_it_was(study: Path) -> None:
    """No section, and no column."""
    view = view_of(evidence(study))
    assert view.workload is None
    assert 'id="workload-title"' not in render(view)
    assert not {"padding", "preparation"} & set(view.data["trials"])
    assert not {"padding", "preparation"} & {one["key"] for one in view.data["columns"]}
