"""`autotune record` and `autotune replay` as a user meets them; one of a real model."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

from autotune.domain.failure import FailureKind
from autotune.space.configuration import CompileKey
from autotune.surfaces.file import load_surface
from autotune.testing import SimulatedModel, SimulatedRunner
from tests import models
from tests.builders import make_failure
from tests.command import Autotune
from tests.surfaces.test_replay import make_spec, recorded

pytestmark = pytest.mark.usefixtures("home")
STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "15ms"
percentile = 95.0
[space]
threads_per_stream = [1, 2, 4]
streams = [1, 2, 4]
requests_per_stream = [1, 2]
batch = [1, 4]
pinning = true
precision = "f32"
"""
SHORT = ("--trials", "6", "--seeds", "2", "--sampler", "random")


class Here:
    """A pool of processes that is this one: each start of a process takes a second."""

    def __init__(self, **_: object) -> None:
        """However its processes would be started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was begun."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """One after the other."""
        return map(function, jobs)


@dataclass(kw_only=True)
class Interrupted(SimulatedRunner):
    """A simulated machine whose user presses Ctrl-C at some openings."""

    presses: tuple[int, ...] = ()
    openings: list[CompileKey] = field(default_factory=list)

    def open(self, key: CompileKey) -> SimulatedModel:
        """Numbered from 0; Ctrl-C before it."""
        self.openings.append(key)
        for _ in range(self.presses.count(len(self.openings) - 1)):
            signal.raise_signal(signal.SIGINT)
        return super().open(key)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A surface file of the study, recorded on a simulated machine."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path_factory.mktemp("locks")))
        recorded(folder)
    return (folder / "surface.db").read_bytes()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with a study in it; the user stands there."""
    folder = tmp_path / "studies" / "demo"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    (folder / "model.onnx").write_bytes(b"simulated")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("autotune.cli.surface.ProcessPoolExecutor", Here)
    return tmp_path


@pytest.fixture
def demo(home: Path, surface: bytes) -> Path:
    """The study's surface, recorded before."""
    file = home / "studies" / "demo" / "surface.db"
    file.write_bytes(surface)
    return file.relative_to(home)


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Callable[[SimulatedRunner], None]:
    """From now on, recordings are on this machine."""

    def use(runner: SimulatedRunner) -> None:
        monkeypatch.setattr("autotune.tuning.prepare.SubprocessRunner", lambda *_, **__: runner)

    return use


Simulate = Callable[[SimulatedRunner], None]


def files(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def read_json(text: str) -> Any:
    """JSON as the standard has it: NaN and infinity are none."""

    def refuse(constant: str) -> NoReturn:
        pytest.fail(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


# --- record


def test_a_study_is_recorded_into_its_folder(
    autotune: Autotune, simulate: Simulate, home: Path
) -> None:
    """A line for every group, and at the end what there is; the study's file will do as well."""
    simulate(SimulatedRunner())
    done = autotune("record", "studies/demo", "--launches", 2, "--rounds", 1, "--slice", "100ms")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("12 of 28 launches in ")
    assert lines[0].endswith(" left")
    assert lines[-2].startswith("28 of 28 launches in ")
    assert lines[-1] == (
        "studies/demo/surface.db: 26 configurations of 14 compiled models, 52 slices"
    )
    found = load_surface(home / "studies" / "demo" / "surface.db")
    assert found.is_whole
    plan = found.identity.plan
    assert (plan.launches, plan.rounds, plan.slice_s) == (2, 1, 0.1)
    again = autotune(
        *("record", "studies/demo/study.toml"),
        *("--launches", 2, "--rounds", 1, "--slice", "100ms"),
    )
    assert (again.code, again.out.splitlines()) == (0, lines[-1:])


def test_the_file_may_be_elsewhere(autotune: Autotune, simulate: Simulate, home: Path) -> None:
    """Then the folder has none."""
    simulate(SimulatedRunner())
    assert autotune("record", "studies/demo", "--launches", 1, "--out", "mine.db").code == 0
    assert load_surface(home / "mine.db").is_whole
    assert not (home / "studies" / "demo" / "surface.db").exists()


def test_ctrl_c_once_ends_after_the_group(autotune: Autotune, simulate: Simulate) -> None:
    """Exit code 130, and how to go on; the same command then does the rest."""
    simulate(Interrupted(presses=(14,)))
    done = autotune("record", "studies/demo", "--launches", 2)
    assert done.code == 130
    assert "stopping after this group; press Ctrl-C again to stop now" in done.out
    assert "; not whole yet" in done.out
    assert "go on with: autotune record studies/demo" in done.out
    simulate(runner := Interrupted())
    again = autotune("record", "studies/demo", "--launches", 2)
    assert again.code == 0
    assert again.out.splitlines()[-1].endswith("104 slices")
    assert len(runner.openings) == 2


def test_ctrl_c_twice_ends_at_once(autotune: Autotune, simulate: Simulate, home: Path) -> None:
    """The group is lost, those before it are kept, and the locks are free."""
    simulate(Interrupted(presses=(17, 18)))
    assert autotune("record", "studies/demo", "--launches", 2).code == 130
    found = load_surface(home / "studies" / "demo" / "surface.db")
    assert (len(found.launches), found.is_whole) == (14, False)
    simulate(SimulatedRunner())
    assert autotune("record", "studies/demo", "--launches", 2).code == 0


def test_models_that_could_not_be_measured_are_counted(
    autotune: Autotune, simulate: Simulate, home: Path
) -> None:
    """The recording is whole all the same."""
    simulate(runner := SimulatedRunner())
    autotune("record", "studies/demo", "--launches", 1, "--out", "a.db")
    failure = make_failure(FailureKind.COMPILE_ERROR, phase="open")
    simulate(SimulatedRunner(faults={key: [failure] * 9 for key in runner.opened[:2]}))
    done = autotune("record", "studies/demo", "--launches", 1, "--out", "b.db")
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith("; models that could not be measured: 2")


def test_another_plan_is_refused(autotune: Autotune, simulate: Simulate) -> None:
    """A file that was begun is gone on with as it began, or another one is made."""
    simulate(SimulatedRunner())
    assert autotune("record", "studies/demo", "--launches", 1).code == 0
    done = autotune("record", "studies/demo", "--launches", 2)
    assert done.code == 1
    assert "launches=1" in done.err
    assert "--out" in done.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("studies/demo", "--launches", "0"), 2, "--launches and --rounds: give at least 1"),
        (("studies/demo", "--rounds", "-1"), 2, "--launches and --rounds: give at least 1"),
        (("studies/demo", "--launches", "many"), 2, "Invalid value for '--launches'"),
        (("studies/demo", "--slice", "300"), 2, "--slice: '300' is not a duration"),
        (("studies/demo", "--slice", "0ms"), 2, "must be more than zero"),
        (("studies/none",), 2, "cannot be read"),
        (("studies/bad",), 2, "did you mean 'path'"),
        (("studies/bare",), 1, "there is no such model file"),
        (("studies/demo", "--out", "gone/mine.db"), 1, "gone/mine.db"),
    ],
)
def test_a_wrong_argument_of_record_is_one_clear_message(
    autotune: Autotune,
    simulate: Simulate,
    home: Path,
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    """It names what is wrong; no surface is made."""
    simulate(SimulatedRunner())
    for name, text in (("bad", STUDY.replace("path", "pat")), ("bare", STUDY)):
        (home / "studies" / name).mkdir()
        (home / "studies" / name / "study.toml").write_text(text)
    done = autotune("record", *words)
    assert (done.code, says in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert not [name for name in files(home) if name.endswith(".db")]


def test_what_is_no_surface_is_not_recorded_into(
    autotune: Autotune, simulate: Simulate, home: Path
) -> None:
    """The file is named and stays as it was."""
    simulate(SimulatedRunner())
    (home / "diary.db").write_text("Dear diary, " * 100)
    done = autotune("record", "studies/demo", "--out", "diary.db")
    assert (done.code, "diary.db: " in done.err) == (1, True)
    assert (home / "diary.db").read_text().startswith("Dear diary")


# --- replay


def test_a_replay_is_a_table_for_each_surface(
    autotune: Autotune, demo: Path, surface: bytes
) -> None:
    """A row for every sampler: regret on the way, of the export, and how often it missed."""
    Path("other.db").write_bytes(surface)
    done = autotune("replay", demo, "other.db", *SHORT, "--sampler", "grid", "--sampler", "random")
    assert (done.code, done.err) == (0, "")
    lines = [line.rstrip() for line in done.out.splitlines() if line.strip()]
    assert [line for line in lines if "regret" in line] == [
        f"{name}: highest throughput with p95 <= 15ms; regret = 1 - T / T*"
        for name in ("demo", "other")
    ]
    heads = [" ".join(line.split()) for line in lines if line.startswith("sampler")]
    assert heads == ["sampler after 5 after 6 exported median p90 missed time"] * 2
    rows = [line.split()[0] for line in lines if "of 2" in line]
    assert rows == ["random", "grid", "random", "grid"]


def test_json_of_a_replay_is_all_that_is_known(autotune: Autotune, demo: Path) -> None:
    """Nothing but JSON without NaN on the output; the same again the next time."""
    done = autotune("replay", demo, *SHORT, "--sampler", "tpe", "--json")
    assert done.code == 0
    curves = read_json(done.out)
    assert [(curve["surface"], curve["sampler"]) for curve in curves] == [
        ("demo", "random"),
        ("demo", "tpe"),
    ]
    for curve in curves:
        assert curve["goal"] == {
            "objective": "throughput",
            "percentile": 95.0,
            "cap_ms": 15.0,
            "headroom": 0.0,
        }
        assert len(curve["traces"]) == 2
        for found in curve["traces"]:
            assert found["trials"] == [1, 2, 3, 4, 5, 6]
            assert len(found["at_s"]) == len(found["regrets"]) == 6
            assert all(0 <= lost <= 1 for lost in (*found["regrets"], found["exported"]))
    again = autotune("replay", demo, *SHORT, "--sampler", "tpe", "--json")
    assert read_json(again.out) == curves


def test_another_cap_and_percentile_may_be_asked_for(autotune: Autotune, demo: Path) -> None:
    """In place of the study's own."""
    done = autotune(
        "replay", demo, *SHORT, "--json", "--max-latency", "2.5ms", "--percentile", "99.9"
    )
    (curve,) = read_json(done.out)
    assert curve["goal"] == {
        "objective": "throughput",
        "percentile": 99.9,
        "cap_ms": 2.5,
        "headroom": 0.0,
    }


def test_a_cap_that_nothing_keeps_is_no_nonsense(autotune: Autotune, demo: Path) -> None:
    """Nothing can be lost there; the figures are figures, in the table and in JSON."""
    words = ("replay", demo, *SHORT, "--max-latency", "1us")
    assert autotune(*words).code == 0
    (curve,) = read_json(autotune(*words, "--json").out)
    assert {found["exported"] for found in curve["traces"]} == {0.0}


def test_the_plot_is_a_page_that_works_from_disk(
    autotune: Autotune, demo: Path, surface: bytes
) -> None:
    """Names of surfaces and samplers, the library in the page itself, and no address to fetch."""
    Path("other.db").write_bytes(surface)
    done = autotune(
        *("replay", demo, "other.db", *SHORT), "--sampler", "grid", "--plot", "regret.html"
    )
    assert (done.code, "wrote regret.html" in done.out) == (0, True)
    page = Path("regret.html").read_text()
    assert page.lstrip().lower().startswith(("<!doctype html", "<html"))
    assert "Plotly.newPlot" in page
    for words in ("demo, highest throughput", "other, highest throughput", "random", "grid"):
        assert words in page
    assert not re.search(r"<script[^>]* src=", page)
    assert "<link" not in page
    assert "NaN" not in page.split("Plotly.newPlot(")[-1]


def test_a_plot_that_cannot_be_written_is_named(autotune: Autotune, demo: Path) -> None:
    """Not a traceback."""
    done = autotune("replay", demo, *SHORT, "--plot", "gone/regret.html")
    assert (done.code, "gone/regret.html: cannot be written" in done.err) == (1, True)


def test_json_and_a_plot_do_not_mix(autotune: Autotune, demo: Path) -> None:
    """What is said for people goes to the other output."""
    done = autotune("replay", demo, *SHORT, "--json", "--plot", "regret.html")
    assert read_json(done.out)
    assert "wrote regret.html" in done.err


def test_a_surface_has_a_name_wherever_one_stands(
    autotune: Autotune, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in its own folder."""
    monkeypatch.chdir(demo.parent)
    (curve,) = read_json(autotune("replay", "surface.db", *SHORT, "--json").out)
    assert curve["surface"] == "demo"


def test_surfaces_of_one_name_are_not_mixed(autotune: Autotune, demo: Path, surface: bytes) -> None:
    """Such as those of one model on two machines: each table has its own rows only."""
    other = Path("elsewhere") / "demo" / "surface.db"
    other.parent.mkdir(parents=True)
    other.write_bytes(surface)
    done = autotune("replay", demo, other, *SHORT)
    rows = [line for line in done.out.splitlines() if line.startswith("random")]
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("gone.db",), 1, "gone.db: there is no such surface; make one with: autotune record"),
        (("studies/demo",), 1, "studies/demo: there is no such surface"),
        (("studies/demo/study.toml",), 1, "not a database"),
        (("recipes.db",), 1, "recipes.db: this file holds no surface"),
        (("partial.db",), 1, "partial.db: the surface is not whole; go on with autotune record"),
        (("DEMO", "--sampler", "luck"), 2, "--sampler 'luck': there is no such sampler; take one"),
        (("DEMO", "--percentile", "0"), 2, "--percentile 0: give a number between 0 and 100"),
        (("DEMO", "--percentile", "100"), 2, "--percentile 100"),
        (("DEMO", "--percentile", "nan"), 2, "--percentile nan"),
        (("DEMO", "--trials", "0"), 2, "--trials and --seeds: give at least 1"),
        (("DEMO", "--seeds", "-3"), 2, "--trials and --seeds: give at least 1"),
        (("DEMO", "--max-latency", "20"), 2, "--max-latency: '20' is not a duration"),
        (("DEMO", "--max-latency", "0ms"), 2, "must be more than zero"),
        (("DEMO", "--max-latency=-5ms"), 2, "is not a duration"),
    ],
)
def test_a_wrong_argument_of_replay_is_one_clear_message(
    autotune: Autotune,
    simulate: Simulate,
    demo: Path,
    home: Path,
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    """The message names what is wrong; the exit code is as documented; no file is changed."""
    with closing(sqlite3.connect("recipes.db")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()
    if "partial.db" in words:
        simulate(Interrupted(presses=(1,)))
        autotune("record", "studies/demo", "--launches", 1, "--out", "partial.db")
    before = files(home)
    done = autotune("replay", *(demo if word == "DEMO" else word for word in words))
    assert (done.code, says in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert files(home) == before


def test_every_file_is_looked_at_before_the_first_is_replayed(
    autotune: Autotune, demo: Path
) -> None:
    """A replay may take minutes: a mistake in the last file is told at once."""
    done = autotune("replay", demo, "gone.db", *SHORT)
    assert (done.code, "gone.db: there is no such surface" in done.err) == (1, True)
    assert "regret" not in done.out


def test_a_sampler_that_is_unknown_is_told_all_names(autotune: Autotune, demo: Path) -> None:
    """In the order of the documentation."""
    done = autotune("replay", demo, "--sampler", "luck")
    assert "take one of auto, gp, tpe, random, grid, exhaustive" in done.err


def test_a_surface_on_which_nothing_ran_is_refused(
    autotune: Autotune, simulate: Simulate, home: Path
) -> None:
    """Every model failed: it is whole, but there is nothing to replay."""
    runner = SimulatedRunner()
    make_spec(home / "studies" / "demo")
    simulate(runner)
    autotune("record", "studies/demo", "--launches", 1, "--out", "good.db")
    failure = make_failure(phase="open")
    simulate(SimulatedRunner(faults={key: [failure] * 9 for key in runner.opened}))
    done = autotune("record", "studies/demo", "--launches", 1, "--out", "bad.db")
    assert done.out.splitlines()[-1].endswith("models that could not be measured: 14")
    done = autotune("replay", "bad.db", *SHORT)
    assert (done.code, "bad.db: " in done.err) == (1, True)


# --- help


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("record", ("STUDY", "--out", "--launches", "--rounds", "--slice", "autotune replay")),
        (
            "replay",
            ("SURFACE", "--sampler", "exhaustive", "--trials", "--seeds", "--plot", "--json"),
        ),
    ],
)
def test_help_says_what_a_command_takes(
    autotune: Autotune, command: str, words: tuple[str, ...]
) -> None:
    """Every option; without arguments the same text."""
    shown = autotune(command, "--help")
    text = " ".join(shown.out.replace("│", " ").split())
    assert shown.code == 0
    assert [word for word in words if word not in text] == []
    bare = autotune(command)
    assert "Usage:" in bare.out + bare.err
    assert command in autotune("--help").out


def test_the_help_of_replay_does_not_promise_a_percentile(autotune: Autotune) -> None:
    """It is the study's own, like the cap: 99 is the default of a new study."""
    assert "99)" not in autotune("replay", "--help").out


# --- for real


@pytest.fixture
def tiny(home: Path, model_folder: Path) -> Path:
    """A study of a tiny real model with four configurations at most."""
    shutil.copytree(model_folder, home, dirs_exist_ok=True)
    folder = home / "studies" / "tiny"
    folder.mkdir()
    (folder / "study.toml").write_text(
        f'[model]\npath = "../../{models.TINY}"\n[goal]\nmax_latency = "50ms"\npercentile = 90.0\n'
        "[space]\nstreams = 1\nthreads_per_stream = 1\nrequests_per_stream = [1, 2]\n"
        'batch = 1\npinning = true\nprecision = "f32"\n'
    )
    return folder


@pytest.mark.openvino
def test_a_real_model_is_recorded_and_replayed(tiny: Path, home: Path) -> None:
    """From a model file to regret, by the installed command: real workers, real processes."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autotune", *words]
        return subprocess.run(
            command, cwd=home, capture_output=True, text=True, check=False, timeout=100
        )

    quick = ("--launches", "1", "--rounds", "1", "--slice", "50ms")
    done = run("record", "studies/tiny", *quick)
    assert done.returncode == 0, done.stderr
    found = load_surface(tiny / "surface.db")
    assert found.is_whole
    assert len(found.cells) == 4
    assert {launch.failure for launch in found.launches} == {None}
    assert all(piece.completions > 0 for launch in found.launches for piece in launch.slices)
    assert found.identity.machine["openvino"]

    done = run("replay", "studies/tiny/surface.db", *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    (curve,) = read_json(done.stdout)
    assert (curve["surface"], len(curve["traces"])) == ("tiny", 2)
    assert all(found["exported"] < 1 for found in curve["traces"])
