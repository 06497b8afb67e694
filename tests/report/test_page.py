"""The report's page, without a browser: what it says, and that nothing in it is a program."""

import base64
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autotune.report.page.charts import all_figures
from autotune.report.page.view import view_of
from tests.report.studies import BrokenRunner, evidence, make_study, page, view


class Scripts(HTMLParser):
    """Collects programs, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.programs: list[str] = []
        self.data = ""
        self.fetched: list[str] = []
        self._in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what it is in."""
        given = dict(attrs)
        self.fetched += [v or "" for k, v in attrs if k in {"src", "srcset", "action"}]
        if tag == "script":
            self._in = given.get("type") or "program"
            if self._in == "program":
                self.programs.append("")

    def handle_endtag(self, tag: str) -> None:
        """Out again."""
        if tag == "script":
            self._in = None

    def handle_data(self, data: str) -> None:
        """Text of a script."""
        if self._in == "program":
            self.programs[-1] += data
        elif self._in is not None:
            self.data += data


def parsed(file: Path) -> Scripts:
    """A page as a browser splits it."""
    found = Scripts()
    found.feed(file.read_text(encoding="utf-8"))
    return found


def test_the_policy_allows_the_pages_programs_and_nothing_else(study: Path) -> None:
    """By their hashes, so that whatever else gets into the page is not run."""
    file = page(study)
    scripts = parsed(file)
    (policy,) = re.findall(
        r'http-equiv="Content-Security-Policy" content="([^"]*)"', file.read_text()
    )
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in scripts.programs
    ]
    assert len(digests) == 3
    allowed = re.findall("sha256-([^&]*)&#39;", policy)
    assert allowed == digests
    assert policy.startswith("default-src &#39;none&#39;")
    assert scripts.fetched == []


def test_the_data_is_json_without_nan(study: Path) -> None:
    """One column for each setting and figure, of one length, in the order of trials."""
    data = json.loads(parsed(page(study)).data)
    columns = data["trials"]
    assert len({len(column) for column in columns.values()}) == 1
    assert columns["number"] == list(range(len(columns["number"])))
    assert set(data["caps"]) == {"50", "90", "95", "99", "99.9"}
    for caps in data["caps"].values():
        assert len(caps["met"]) == len(columns["number"])


def test_the_page_is_the_same_each_time(study: Path) -> None:
    """Byte for byte."""
    assert page(study).read_bytes() == page(study).read_bytes()


def test_a_page_is_small(study: Path) -> None:
    """Plotly is most of it."""
    assert page(study).stat().st_size < 6 * 2**20


def test_the_answer_of_a_race_is_its_claim(raced: Path) -> None:
    """A lower bound, an upper bound, a gain with its interval, and what it is worth."""
    shown = view(raced)
    assert shown.status in {"certified", "provisional"}
    assert re.fullmatch(
        r"At least [\d.]+/s with p99 at most [\d.]+ ms, "
        r"[\d.]+x \([\d.]+-[\d.]+\) the better hint\.",
        shown.answer,
    )
    assert "race" in shown.figures


def test_a_race_for_efficiency_is_drawn_by_it(tmp_path: Path) -> None:
    """Its figure shows what was compared, not throughput, and orders by it."""
    goal = {"max_latency": "20ms", "objective": "efficiency"}
    folder = make_study(tmp_path / "frugal", trials=12, goal=goal, race={"share": 0.3})
    figure = all_figures(evidence(folder))["race"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "items per<br>CPU-second"
    race = evidence(folder).race
    assert race is not None
    measured = sorted(s.efficiency.mean for s in race.standings if s.efficiency)
    assert figure["data"][0]["x"] == pytest.approx(measured, rel=1e-3)


def test_the_answer_without_a_race_says_so(study: Path) -> None:
    """It is the search's own."""
    shown = view(study)
    assert shown.status == "unconfirmed"
    assert shown.answer.endswith("from the search alone, in one process.")


def test_the_answer_that_could_not_be_proven_says_so(tmp_path: Path) -> None:
    """In its badge, and why in its sentence."""
    folder = make_study(tmp_path / "unproven", trials=3)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute("UPDATE autotune_measurement SET unproven = 'outputs are all zero'")
    shown = view(folder)
    assert (shown.status, shown.badge) == ("unproven", "poor")
    assert shown.answer.endswith("its answers could not be proven: outputs are all zero.")
    assert ("unproven answers", 3) in shown.flags
    assert all("unproven" in remark for remark in shown.data["trials"]["flags"])


def test_nothing_feasible_leads_with_the_nearest_miss(tmp_path: Path) -> None:
    """And how far off it is."""
    shown = view(make_study(tmp_path / "tight", cap="10us", trials=8))
    assert (shown.status, shown.configuration) == ("nothing found", None)
    assert "the nearest is trial" in shown.answer
    assert "times the cap" in shown.answer


def test_a_study_of_failures(tmp_path: Path) -> None:
    """Their kinds, an example, and what was ruled out."""
    shown = view(make_study(tmp_path / "broken", runner=BrokenRunner))
    assert shown.status == "nothing found"
    ((kind, count, example),) = shown.failures
    assert (kind, "it broke" in example) == ("compile error", True)
    assert count >= 3
    assert shown.ruled_out
    assert "mattered" not in shown.figures


def test_one_trial(tmp_path: Path) -> None:
    """A page all the same."""
    assert page(make_study(tmp_path / "one", trials=1)).stat().st_size > 10**6


def test_a_limit_that_is_asked_for_is_judged_without_any_reading(study: Path) -> None:
    """Else the page would say that it is met: nobody can say so."""
    found = evidence(study)
    asked = found.goal.within({"max_energy_per_item": 0.02})
    names = {one["name"]: one for one in view_of(found, asked).data["limits"]}
    assert set(names["max_energy_per_item"]["value"]) == {None}
    assert "max_energy_per_item" not in {one["name"] for one in view_of(found).data["limits"]}


def test_the_memory_of_the_page_is_what_a_limit_is_on(study: Path) -> None:
    """That of a process that only runs it; the file has that of ours as well."""
    data = view(study).data
    (limit,) = (one for one in data["limits"] if one["name"] == "max_memory")
    assert data["trials"]["memory"] == pytest.approx(limit["value"], rel=1e-6)
    assert any(data["trials"]["peak"])
