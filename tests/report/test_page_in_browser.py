"""The report in a real browser: what it answers, who can use it, and what it does not do."""

import csv
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from autotune.analysis.among import Among
from autotune.analysis.answer import answer
from autotune.cli.questions import asked_goal
from autotune.cli.report import show_comparison, show_report
from autotune.domain.measurement import Readings
from autotune.report import format as formats
from autotune.report.page import render
from autotune.report.page.view import view_of
from autotune.storage.reader import StudyReader
from tests.report.guarded import make_guarded
from tests.report.mixes import FACTS, of_a_mix
from tests.report.studies import BrokenRunner, make_study, page

HOSTILE = "</script><img src=x onerror=hacked=1><script>hacked=1</script>'\"\n&lt;b&gt; 🎈 =1+1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the system's, or else playwright's own."""
    with sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox"],  # containers have no user namespaces to make a sandbox of
        )
        yield launched
        launched.close()


class Shown:
    """A page that was opened, and what it did."""

    def __init__(self, opened: Page) -> None:
        self.page = opened
        self.said: list[str] = []
        self.requests: list[str] = []
        opened.on("console", lambda message: self.said.append(message.text))
        opened.on("pageerror", lambda error: self.said.append(str(error)))
        opened.on("request", lambda request: self.requests.append(request.url))

    def visit(self, file: Path) -> "Shown":
        """Wait until all is drawn; nothing may have been said or fetched."""
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn=yes]")
        self.page.wait_for_timeout(50)
        self.check(file)
        return self

    def check(self, file: Path) -> None:
        """Nothing in the console, nothing from elsewhere."""
        assert self.said == []
        assert self.requests == [file.as_uri()]

    def set_cap(self, position: int) -> float:
        """Move the slider; the cap that it stands for."""
        self.page.evaluate(
            "(at) => { const cap = document.getElementById('cap'); cap.value = at; "
            "cap.dispatchEvent(new Event('input')); }",
            position,
        )
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done()))")
        return float(self.page.inner_text("#cap-text").split()[0])

    def comes_to(self, condition: str, arg: object = None) -> bool:
        """Whether a function of the page soon says so; its policy does not let playwright wait."""
        for _ in range(200):
            if self.page.evaluate(condition, arg):
                return True
            self.page.wait_for_timeout(25)
        return False

    @property
    def answered(self) -> int | None:
        """Number of the trial in the answer."""
        number = self.page.get_attribute("#live", "data-trial")
        return int(number) if number else None


@pytest.fixture
def shown(browser: Browser) -> Iterator[Shown]:
    """A page on a desk."""
    with closing(browser.new_context(viewport={"width": 1440, "height": 900})) as context:
        yield Shown(context.new_page())


def test_the_slider_answers_as_best_does(study: Path, shown: Shown) -> None:
    """For any cap and percentile, the trial and its figures are those of `autotune best`."""
    shown.visit(page(study))
    for percentile in (50.0, 95.0, 99.0, 99.9):
        shown.page.select_option("#percentile", f"{percentile:g}")
        check_the_slider(study, shown, percentile)


def check_the_slider(study: Path, shown: Shown, percentile: float) -> None:
    """At nine caps."""
    answers = set()
    with closing(StudyReader.read_only(study)) as store:
        stored = store.identity().goal
        for position in range(0, 1001, 125):
            cap_ms = shown.set_cap(position)
            goal = asked_goal(stored, f"{cap_ms}ms", percentile)
            leader = answer(store, goal).best
            assert shown.answered == (None if leader is None else leader.number)
            answers.add(shown.answered)
            if leader is not None and leader.measurement is not None:
                measured = leader.measurement
                text = shown.page.inner_text("#live")
                for figure in (
                    formats.per_second(measured.throughput_per_s),
                    formats.per_second(measured.throughput.low),
                    formats.milliseconds(measured.latency.goal_ms),
                    str(leader.configuration),
                ):
                    assert figure in text
    assert len(answers) >= 3 or percentile > 99


def test_the_studys_own_cap_answers_with_the_race(raced: Path, shown: Shown) -> None:
    """And comes back after a look at others."""
    shown.visit(page(raced))
    chosen = shown.page.evaluate("JSON.parse(document.getElementById('data').textContent).chosen")
    assert shown.answered == chosen
    assert "Chosen by the race" in shown.page.inner_text("#live")
    shown.set_cap(0)
    assert "Chosen by the race" not in shown.page.inner_text("#live")
    shown.page.click("#reset")
    assert shown.comes_to(
        "() => document.getElementById('live').textContent.includes('Chosen by the race')"
    )
    assert shown.answered == chosen


@pytest.mark.parametrize(
    ("name", "unit", "scale", "numbers"),
    [
        ("max_memory", "MiB", 2.0**20, (100, 130, 140, 500)),
        ("max_cpu_per_item", "ms", 1e-3, (1, 4.8, 5.5, 20)),
        ("min_throughput", None, 1.0, (100, 600, 5000)),
    ],
)
def test_a_limit_answers_as_best_does(
    study: Path,
    shown: Shown,
    name: str,
    unit: str | None,
    scale: float,
    numbers: tuple[float, ...],
) -> None:
    """A number in the field of a limit: the trial is that of `autotune best`, or there is none."""
    shown.visit(page(study))
    shown.page.click("#more summary")
    if unit is not None:
        shown.page.select_option(f"#unit-{name}", label=unit)
    answers = set()
    with closing(StudyReader.read_only(study)) as store:
        goal = store.identity().goal
        for number in numbers:
            shown.page.fill(f"#limit-{name}", str(number))
            leader = answer(store, goal.within({name: number * scale})).best
            wanted = "" if leader is None else str(leader.number)
            assert shown.comes_to(
                "(wanted) => document.getElementById('live').dataset.trial === wanted", wanted
            ), number
            answers.add(wanted)
            text = shown.page.inner_text("#live")
            assert ("to meet all of it" in text) is (leader is None)
    assert len(answers) >= 2
    shown.page.click("#reset")
    assert shown.page.input_value(f"#limit-{name}") == ""


def test_a_loss_of_accuracy_answers_as_best_does(tmp_path: Path, shown: Shown) -> None:
    """The fastest of what was shown to lose no more, as `autotune best --max-drop` has it."""
    folder = make_guarded(tmp_path / "guarded")
    shown.visit(page(folder))
    assert shown.page.is_visible("#accuracy .main-svg")
    shown.page.click("#more summary")
    answers = set()
    with closing(StudyReader.read_only(folder)) as store:
        goal = store.identity().goal
        for lost in (0.015, 0.006, 0.001):
            shown.page.fill("#limit-max_drop", str(lost))
            leader = answer(store, goal, Among(max_drop=lost)).best
            assert leader is not None
            assert shown.comes_to(
                "(wanted) => document.getElementById('live').dataset.trial === wanted",
                str(leader.number),
            ), lost
            assert "accuracy loss <=" in shown.page.inner_text("#live")
            answers.add(leader.number)
    assert len(answers) == 3
    file = folder / "less.html"
    show_report(folder, file, None, open_it=False, max_drop="0.006")
    shown.requests.clear()
    shown.visit(file)
    assert shown.page.input_value("#limit-max_drop") == "0.006"


def test_the_page_begins_with_limits_that_are_asked_for(study: Path, shown: Shown) -> None:
    """As `report --max-memory` has it; the field is open and holds the number."""
    file = study / "limited.html"
    show_report(study, file, None, open_it=False, limits={"max_memory": "130MiB"})
    shown.visit(file)
    assert shown.page.input_value("#limit-max_memory") == "130"
    assert shown.page.is_visible("#limit-max_memory")
    assert "memory <= 130 MiB" in shown.page.inner_text("#live")


def test_a_limit_without_readings_is_met_by_nothing(study: Path, shown: Shown) -> None:
    """As `autotune best` has it."""
    file = study / "unread.html"
    show_report(study, file, None, open_it=False, limits={"max_energy_per_item": "20mJ"})
    shown.visit(file)
    assert shown.answered is None
    assert "energy per item <= 20 mJ" in shown.page.inner_text("#live")


def test_too_few_requests_are_said(tmp_path: Path, shown: Shown) -> None:
    """A percentile that a hundred requests cannot show is not shown by them."""
    folder = make_study(tmp_path / "short", trials=6, measure={"limit": "1s"})
    shown.visit(page(folder))
    shown.page.select_option("#percentile", "99.9")
    assert shown.comes_to(
        "() => document.getElementById('live').textContent.includes('needs at least 4187 requests')"
    )


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def check_that_it_can_be_read(browser: Browser, file: Path, width: int) -> None:
    """No violation that axe-core calls serious or critical; nothing is wider than the window.

    Drawn for a window of this width, in light and then, as when evening comes, in dark.
    """
    view: ViewportSize = {"width": width, "height": 900}
    with closing(browser.new_context(viewport=view, color_scheme="light")) as context:
        opened = Shown(context.new_page()).visit(file)
        for scheme in SCHEMES:
            opened.page.emulate_media(color_scheme=scheme)
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            found = Axe().run(opened.page).response["violations"]
            serious = [one for one in found if one["impact"] in {"serious", "critical"}]
            where = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]
            assert (scheme, where) == (scheme, [])
        opened.check(file)
        assert opened.page.evaluate("typeof window.hacked") == "undefined"


@pytest.mark.parametrize("width", [390, 1440])
def test_everybody_can_read_it(browser: Browser, raced: Path, width: int) -> None:
    """On a phone and on a desk."""
    check_that_it_can_be_read(browser, page(raced), width)


@pytest.mark.parametrize("width", [390, 1440])
def test_everybody_can_read_how_a_mix_was_served(
    browser: Browser, study: Path, tmp_path: Path, width: int
) -> None:
    """Its shapes, plans and buckets, and the padding and preparation of every trial."""
    found = of_a_mix(study, FACTS, "end-to-end", readings=Readings(prepare_ms=0.5))
    file = tmp_path / "report.html"
    file.write_text(render(view_of(found)), encoding="utf-8")
    check_that_it_can_be_read(browser, file, width)
    with closing(browser.new_context(viewport={"width": width, "height": 900})) as context:
        opened = Shown(context.new_page()).visit(file)
        heads = opened.page.locator("#trials thead th").all_inner_texts()
        rows = opened.page.locator("#trials tbody tr").all()[:3]
        for row, padding in zip(rows, ("0 %", "100 %", "25 %"), strict=True):
            cells = row.locator("td").all_inner_texts()
            assert cells[heads.index("padding")] == padding
            assert cells[heads.index("preparation")] == "0.5 ms"
        assert opened.page.locator("#mix .bars .point").count() == 3


def test_it_can_be_read_where_it_was_dark_from_the_start(browser: Browser, raced: Path) -> None:
    """Charts are drawn in the colours of then."""
    with closing(browser.new_context(color_scheme="dark")) as context:
        opened = Shown(context.new_page()).visit(page(raced))
        found = Axe().run(opened.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_the_keyboard_is_enough(study: Path, shown: Shown) -> None:
    """Slider, percentile, sorting and paging without a mouse."""
    shown.visit(page(study))
    before = shown.page.inner_text("#cap-text")
    shown.page.focus("#cap")
    shown.page.keyboard.press("ArrowLeft")
    assert shown.comes_to(
        "(old) => document.getElementById('cap-text').textContent !== old", before
    )
    shown.page.focus("#trials thead th:nth-child(3) button")
    shown.page.keyboard.press("Enter")
    assert shown.page.get_attribute("#trials thead th:nth-child(3)", "aria-sort") == "descending"
    rates = shown.page.eval_on_selector_all(
        "#trials tbody td:nth-child(3)",
        "cells => cells.map((cell) => parseFloat(cell.textContent))",
    )
    assert rates == sorted(rates, reverse=True)


def test_the_table_is_filtered_and_downloaded(study: Path, shown: Shown) -> None:
    """What is seen is what is in the file; its cells are no formulas."""
    shown.visit(page(study))
    shown.page.fill("#filter", "batch 4, sampled")
    with shown.page.expect_download() as download:
        shown.page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert rows
    assert all("batch 4," in row["configuration"] and row["origin"] == "sampled" for row in rows)
    assert shown.page.inner_text("#page").startswith(f"{len(rows)} of")


def test_what_a_stranger_wrote_is_text(tmp_path: Path, browser: Browser) -> None:
    """Names, devices, messages and versions of a database run nothing and fetch nothing."""
    folder = make_study(tmp_path / "theirs", trials=8)
    hostile = json.dumps(HOSTILE)
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.execute("UPDATE autotune_study SET name = ?", (HOSTILE * 80,))
        rows = connection.execute("SELECT id, configuration FROM autotune_measurement").fetchall()
        for key, text in rows:
            changed = json.dumps({**json.loads(text), "device": HOSTILE, "precision": HOSTILE})
            connection.execute(
                "UPDATE autotune_measurement SET configuration = ? WHERE id = ?", (changed, key)
            )
        connection.execute(
            "UPDATE autotune_session SET machine = ?, versions = ?, end = ?, started_at = "
            "'2026-01-01T00:00:00+00:00'",
            (f'{{"cpu_model": {hostile}, {hostile}: {{{hostile}: {hostile}}}}}', "{}", HOSTILE),
        )
        (last,) = connection.execute("SELECT max(id) FROM autotune_measurement").fetchone()
        (number, session) = connection.execute(
            "SELECT trial_number, session_id FROM autotune_measurement WHERE id = ?", (last,)
        ).fetchone()
        connection.execute("DELETE FROM autotune_block WHERE measurement_id = ?", (last,))
        connection.execute("DELETE FROM autotune_measurement WHERE id = ?", (last,))
        connection.execute(
            "INSERT INTO autotune_failure (session_id, trial_number, origin, failed_at, "
            "configuration, configuration_key, kind, message, phase, stderr_tail) "
            "VALUES (?, ?, 'sampled', '2026-01-01T00:00:00+00:00', ?, 'x', 'crash', ?, ?, ?)",
            (session, number, changed, HOSTILE, HOSTILE, HOSTILE),
        )
        connection.commit()
    file = page(folder)
    with closing(browser.new_context()) as context:
        opened = Shown(context.new_page()).visit(file)
        opened.set_cap(500)
        opened.page.fill("#filter", "crash")
        opened.page.hover("#map")
        opened.page.mouse.move(700, 500)
        opened.check(file)
        assert opened.page.evaluate("typeof window.hacked") == "undefined"
        assert opened.page.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
        assert "<img src=x onerror=hacked=1>" in opened.page.inner_text("h1")
        assert "<img src=x onerror=hacked=1>" in opened.page.inner_text("#trials")
        # And where they are drawn, which is where plotly makes markup of text.
        assert "hacked" in opened.page.inner_text("#failures-title + div")


@pytest.mark.parametrize("kind", ["failures", "infeasible", "one"])
def test_studies_with_little_to_show(tmp_path: Path, shown: Shown, kind: str) -> None:
    """Nothing in the console, and an answer all the same."""
    folder = tmp_path / kind
    if kind == "failures":
        make_study(folder, runner=BrokenRunner)
    elif kind == "infeasible":
        make_study(folder, cap="10us", trials=8)
    else:
        make_study(folder, trials=1)
    shown.visit(page(folder))
    assert shown.page.inner_text(".sentence")
    if kind != "one":
        assert shown.answered is None


def test_nothing_feasible_leads_with_what_to_relax(tmp_path: Path, shown: Shown) -> None:
    """The nearest miss, and a cap that is met: with the slider there, it is."""
    goal = {"max_latency": "10us", "percentile": 50.0}
    folder = make_study(tmp_path / "tight", trials=8, goal=goal)
    shown.visit(page(folder))
    said = shown.page.inner_text(".sentence")
    cap, trial = re.findall(r"(?i)p50 <= ([\d.]+)ms would be met, by trial (\d+)", said)[0]
    assert "the nearest is trial" in said
    with closing(StudyReader.read_only(folder)) as store:
        found = answer(store, asked_goal(store.identity().goal, f"{cap}ms", None))
        lower = answer(store, asked_goal(store.identity().goal, f"{float(cap) * 0.98}ms", None))
    assert found.best is not None
    assert found.best.number == int(trial)
    assert lower.best is None


def test_what_a_stranger_wrote_is_text_where_it_is_drawn(tmp_path: Path, shown: Shown) -> None:
    """Plotly makes links of what looks like one; on a comparison and on a report."""
    link = "<a href='https://example.com'>x</a>"
    folder = make_study(tmp_path / link.replace("/", " "), trials=8)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        for key, text in connection.execute("SELECT id, configuration FROM autotune_measurement"):
            changed = json.dumps({**json.loads(text), "precision": link})
            connection.execute(
                "UPDATE autotune_measurement SET configuration = ? WHERE id = ?", (changed, key)
            )
    file = tmp_path / "comparison.html"
    show_comparison([folder, folder], file, None, open_it=False)
    for one in (file, page(folder)):
        shown.requests.clear()
        shown.visit(one)
        assert shown.page.evaluate("document.querySelectorAll('main a').length") == 0


def test_a_comparison_can_be_read(
    browser: Browser, study: Path, raced: Path, tmp_path: Path, shown: Shown
) -> None:
    """Of two studies and one of failures: no console, no request, nothing serious to axe-core."""
    broken = make_study(tmp_path / HOSTILE.replace("/", " "), trials=2, runner=BrokenRunner)
    file = tmp_path / "comparison.html"
    show_comparison([study, raced, broken], file, None, open_it=False)
    for width in (390, 1440):
        check_that_it_can_be_read(browser, file, width)
    shown.visit(file)
    assert "the throughput of the best of demo" in shown.page.inner_text(".sentence")


def test_figures_read_as_in_the_terminal(study: Path, shown: Shown) -> None:
    """Throughput and latency of every trial in the table, to the last digit."""
    shown.visit(page(study))
    cells = shown.page.eval_on_selector_all(
        "#trials tbody tr",
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))",
    )
    with closing(StudyReader.read_only(study)) as store:
        trials = store.trials()
    for trial, row in zip(trials, cells, strict=True):
        assert trial.measurement is not None
        assert row[0] == str(trial.number)
        assert row[2] == formats.per_second(trial.measurement.throughput_per_s)
        assert row[4] == formats.milliseconds(trial.measurement.latency.goal_ms)
