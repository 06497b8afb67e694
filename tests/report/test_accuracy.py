"""What terminal and page say of a guard: each way to answer, what it loses, its best."""

import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from autotune.analysis.among import Among, is_near
from autotune.analysis.answer import answer
from autotune.analysis.guarded import answers_in_words, guarded_rows, loss_of, losses_of
from autotune.domain.failure import FailureKind
from autotune.errors import EXIT_NO_FEASIBLE, EXIT_OK, EXIT_USAGE
from autotune.report.page.accuracy import accuracy_figure, accuracy_view
from autotune.report.tables import trials_table
from autotune.stats.accuracy import no_number
from autotune.storage.reader import StudyReader
from tests.builders import GOAL, make_configuration, make_failure, make_trial
from tests.command import Autotune
from tests.report.guarded import FAR, NEAR, SAME, make_guarded
from tests.report.studies import evidence, page


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not changed by any test."""
    return make_guarded(tmp_path_factory.mktemp("studies") / "guarded")


def test_the_page_has_each_way_to_answer(guarded: Path) -> None:
    """With its loss, its verdict and its best; what is not tried stands above."""
    study = evidence(guarded)
    view = accuracy_view(study)
    assert view is not None
    assert "by top1, on 4,000 samples that were held out; 0.02 may be lost" in view.held
    (note,) = view.notes
    assert note == (
        "Variant off is not tried: its answers are too far off: top1 loses 0.25 on 4000 held-out "
        "samples, at most 0.264 at 95 %, and 0.02 may be lost"
    )
    rows = {row[0].split(",")[0]: row for row in view.rows}
    assert rows["the model as it was given"][1:4] == ("1", "nothing", "identical")
    assert rows["near"][1:4] == ("0.9975", "0.0025 (0.0012 to 0.00459)", "met")
    assert len(view.rows) == 3
    assert all("/s at p99" in row[5] and "(trial " in row[5] for row in view.rows)
    figure = accuracy_figure(study)
    assert figure is not None
    (trace,) = figure["data"]
    assert sorted(trace["x"]) == [0, 0.0025, 0.01]
    text = page(guarded).read_text(encoding="utf-8")
    assert 'id="accuracy-title"' in text
    assert 'id="accuracy"' in text


def test_a_study_without_a_guard_has_no_section(study: Path) -> None:
    """And no column."""
    assert accuracy_view(evidence(study)) is None
    assert accuracy_figure(evidence(study)) is None
    assert 'id="accuracy-title"' not in page(study).read_text(encoding="utf-8")


def test_what_was_refused_in_a_trial_is_a_row(guarded: Path) -> None:
    """With what it lost, and without a best."""
    failure = make_failure(FailureKind.INACCURATE, message="top1 loses 0.25")
    one = make_trial(0, configuration=make_configuration(variant="near"), failure=failure)
    other = make_trial(1, configuration=make_configuration(), failure=make_failure())
    (row,) = guarded_rows([one, other], GOAL)
    assert (row.refused, row.trials, row.best, row.accuracy) == ("top1 loses 0.25", 1, None, None)


@pytest.mark.parametrize(
    ("fields", "arithmetic", "says"),
    [
        ({"precision": None}, "", "the model as it was given"),
        ({"precision": None}, "bf16", "the model as it was given, bf16"),
        ({"variant": "int8", "precision": "f32"}, "bf16", "int8, f32"),
        ({"variant": "int8", "batch_size": 8, "streams": 4}, "", "int8, f32"),
        ({"shape_plan": "padded"}, "", "the model as it was given, f32, padded"),
        (
            {"preprocessing": "graph"},
            "",
            "the model as it was given, f32, preprocessing in the graph",
        ),
    ],
)
def test_what_decides_answers_is_named(
    fields: dict[str, object], arithmetic: str, says: str
) -> None:
    """And nothing else."""
    assert answers_in_words(make_configuration(**fields), arithmetic) == says


def test_terminals_have_a_column_where_a_guard_looks(guarded: Path, study: Path) -> None:
    """What each loses as seen."""
    for folder, has in ((guarded, True), (study, False)):
        found = evidence(folder)
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(trials_table(found.trials, found.goal, found.hint))
        assert (" loss " in console.export_text()) is has


def test_losses_are_an_axis_where_there_are_several(guarded: Path, study: Path) -> None:
    """Of what nobody looked at the loss is the worst."""
    trials = [trial for trial in evidence(guarded).trials if trial.measurement is not None]
    assert set(losses_of(trials) or []) == {0.0, 0.0025, 0.01}
    assert losses_of(evidence(study).trials) is None
    assert losses_of([one for one in trials if loss_of(one) == 0]) is None


def test_near_is_what_was_shown_to_be() -> None:
    """By the upper end; identical answers are near by any measure, and unknown ones by none."""
    assert is_near(SAME, 0.0)
    assert is_near(NEAR, 0.005)
    assert not is_near(NEAR, 0.004)
    assert not is_near(None, 0.5)
    assert not is_near(no_number("top1", 0.5, 10, "nothing to compare"), 0.5)


def test_best_may_be_asked_to_lose_less(autotune: Autotune, guarded: Path) -> None:
    """The fastest of what was shown to lose no more; what lost more was never measured."""
    found = {}
    for lost in (None, "0.02", "0.006", "0.1%", "0"):
        words = [] if lost is None else ["--max-drop", lost]
        done = autotune("best", guarded, *words, "--json")
        assert done.code == EXIT_OK, done.err
        best = json.loads(done.out)
        found[lost] = (best["model"]["path"], best["measured"]["throughput_per_s"])
    assert found[None] == found["0.02"]
    assert [path for path, _ in found.values()] == [
        "far.onnx",
        "far.onnx",
        "near.onnx",
        "model.onnx",
        "model.onnx",
    ]
    assert found["0.02"][1] > found["0.006"][1] > found["0"][1]
    said = autotune("best", guarded, "--max-drop", "0.006")
    assert "losing at most 0.006 accuracy" in said.out
    for wrong, why in (
        ("0.5", "the study's guard let no more through than 0.02"),
        ("lots", "is no loss; write 0.01 for that much"),
        ("-1", "must be at least 0 and less than 1"),
    ):
        done = autotune("best", guarded, "--max-drop", wrong)
        assert (done.code, why in done.err) == (EXIT_USAGE, True), done.err


def test_a_loss_that_nobody_looked_at_cannot_be_asked_for(
    autotune: Autotune, study: Path, guarded: Path
) -> None:
    """Nor of several studies at once."""
    for words in (("best", study), ("pareto", study), ("report", study)):
        done = autotune(*words, "--max-drop", "0.01")
        assert (done.code, "no guard" in done.err) == (EXIT_USAGE, True), done.err
    done = autotune("report", study, guarded, "--max-drop", "0.01")
    assert (done.code, "of one study" in done.err) == (EXIT_USAGE, True)


def test_nothing_may_be_near_enough(autotune: Autotune, guarded: Path) -> None:
    """Then there is no best, and the answer says so."""
    with closing(StudyReader.read_only(guarded)) as store:
        goal = store.identity().goal
        assert answer(store, goal, Among(max_drop=0.005, device="GPU")).best is None
    done = autotune("best", guarded, "--max-drop", "0.005", "--max-latency", "1us")
    assert done.code == EXIT_NO_FEASIBLE


def test_the_front_has_accuracy_as_an_axis(autotune: Autotune, guarded: Path) -> None:
    """What loses less is on it, however much slower; with a limit, what loses more is not."""
    done = autotune("pareto", guarded, "--json")
    front = json.loads(done.out)["front"]
    losses = [row["accuracy_drop"] for row in front]
    assert losses == sorted(losses)
    assert set(losses) == {0.0, 0.0025, 0.01}
    rates = {
        loss: max(r["throughput_per_s"] for r in front if r["accuracy_drop"] == loss)
        for loss in losses
    }
    assert rates[0.0] < rates[0.0025] < rates[0.01]
    less = json.loads(autotune("pareto", guarded, "--max-drop", "0.006", "--json").out)["front"]
    assert {row["accuracy_drop"] for row in less} == {0.0, 0.0025}
    said = autotune("pareto", guarded)
    assert "than those above it that lose no more accuracy" in " ".join(said.out.split())
    assert FAR.drop is not None
