"""What the system refuses: one line with the file and the real cause, from every command."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.domain.model_file import model_sha256
from autotune.export.best_file import write_best
from tests.builders import make_trial
from tests.export.test_best_file import make_best
from tests.storage.studies import IDENTITY, opened
from tests.surfaces.test_file import SPACE, whole

Result = tuple[int, str, str]
_CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_PR_CAPBSET_DROP = 24
LATIN = os.fsdecode(b"mod\xe8le")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

STUDY: dict[str, tuple[str, ...]] = {
    "tune": ("tune", "studies/s"),
    "status": ("status", "studies/s"),
    "log": ("log", "studies/s"),
    "report": ("report", "studies/s"),
    "report, two": ("report", "copy", "studies/s"),
    "dashboard": ("dashboard", "studies/s", "--port", "0"),
    "pareto": ("pareto", "studies/s"),
    "frame": ("frame", "studies/s"),
    "best": ("best", "studies/s"),
    "record": ("record", "studies/s"),
    "from": ("tune", "m.onnx", "--max-latency", "9ms", "--from", "studies/s"),
    "verify": ("verify", "studies/s/best.json"),
    "export": ("export", "studies/s/best.json", "--to", "python"),
    "export, folder": ("export", "studies/s", "--to", "python"),
    "compare": ("compare", "studies/s/best.json", "THROUGHPUT"),
    "compare, trial": ("compare", "studies/s:0", "THROUGHPUT"),
}
MODEL: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "m.xml"),
    "tune": ("tune", "m.xml", "--max-latency", "9ms"),
    "study": ("tune", "studies/s"),
    "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", "m.xml"),
    "calibrate": ("doctor", "--calibrate", "--model", "m.xml"),
    "verify": ("verify", "studies/s/best.json"),
    "export": ("export", "studies/s/best.json", "--to", "python"),
}
WRITING: dict[str, tuple[str, ...]] = {
    "tune": ("tune", "studies/s"),
    "report": ("report", "studies/s"),
    "report, two": ("report", "studies/s", "copy"),
    "picture": ("report", "studies/s", "--png", "studies/s/a.png"),
    "pareto": ("pareto", "studies/s", "--csv", "studies/s/a.csv"),
    "frame": ("frame", "studies/s", "--csv", "studies/s/a.csv"),
    "best": ("best", "studies/s", "--out", "studies/s/b.json"),
}
FOLDERS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "studies"),
    "tune": ("tune", "studies"),
    "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", "studies"),
    "calibrate": ("doctor", "--calibrate", "--model", "studies"),
    "verify": ("verify", "studies"),
    "verify, model": ("verify", "studies/s/best.json", "--model", "studies"),
    "export": ("export", "studies", "--to", "python"),
    "replay": ("replay", "studies"),
    "status": ("status", "studies"),
    "record": ("record", "studies"),
}
NAMES: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", f"{LATIN}.xml"),
    "tune": ("tune", f"{LATIN}.xml", "--max-latency", "9ms"),
    "name": ("tune", "m.xml", "--max-latency", "9ms", "--name", LATIN),
    "status": ("status", LATIN),
    "compare": ("compare", "LATENCY", f"{LATIN}/best.json"),
    "calibrate": ("doctor", "--calibrate", f"--model={LATIN}.xml"),
    "verify": ("verify", "studies/s/best.json", "--model", f"{LATIN}.xml"),
    "export": ("export", "studies/s", "--to", "python", "--out", LATIN),
    "best": ("best", "studies/s", "--out", f"{LATIN}.json"),
    "replay": ("replay", f"{LATIN}.db"),
    "frame": ("frame", "studies/s", "--csv", f"{LATIN}.csv"),
    "report": ("report", "studies/s", "--out", f"{LATIN}.html"),
    "record": ("record", "studies/s", "--out", f"{LATIN}.db"),
}
TEMPORARY: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "m.xml"),
    "devices": ("devices",),
    "export": ("export", "studies/s", "--to", "python"),
    "verify": ("verify", "studies/s/best.json"),
    "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", "m.xml"),
    "calibrate": ("doctor", "--calibrate"),
    "dashboard": ("dashboard", "studies/s", "--port", "0"),
}
SHOWING: dict[str, tuple[str, ...]] = {
    name: STUDY[name] for name in ("status", "log", "report", "pareto", "frame", "best")
}


def _powerless() -> None:
    """The superuser has no power over files any more, so that a test may run as anybody."""
    for capability in _CAPABILITIES:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(
    home: Path,
    commands: Sequence[Sequence[str]],
    *arguments: str,
    environment: dict[str, str] | None = None,
    before: Callable[[], None] = _powerless,
) -> list[Result]:
    """All commands, in one process of a user who owns the files and no more."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.commands", *arguments],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(root), **(environment or {})},
        input=json.dumps([[list(os.fsencode(word)) for word in words] for words in commands]),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        preexec_fn=before,
    )
    assert done.returncode == 0, done.stderr
    return [(code, out, errors) for code, out, errors in json.loads(done.stdout)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder: a model, a study with results, a copy of it, a surface."""
    (tmp_path / "m.xml").write_text("<net/>")
    (tmp_path / "m.bin").write_bytes(b"weights")
    (tmp_path / "m.onnx").write_bytes(b"")
    folder = tmp_path / "studies" / "s"
    folder.mkdir(parents=True)
    text = '[model]\npath = "../../m.xml"\n[goal]\nmax_latency = "10ms"\n'
    (folder / "study.toml").write_text(text)
    store = opened(folder, replace(IDENTITY, spec=text, space=SPACE.to_dict()))
    with closing(store):
        store.start_session({"cpu_model": "Ü"}, {})
        store.record(make_trial(0), elapsed_s=1.0)
    best = make_best()
    told = {"path": "../../m.xml", "sha256": model_sha256(tmp_path / "m.xml"), "shapes": {}}
    model = best.model.model_copy(update=told)
    write_best(best.model_copy(update={"model": model}), folder / "best.json")
    shutil.copytree(folder, tmp_path / "copy")
    whole(tmp_path)
    return tmp_path


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """As another account's files are to us; as it was afterwards, so that it can be removed."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def check(results: Sequence[Result], commands: Iterable[str], *says: str) -> None:
    """Each ended with an error in one line that says all of it."""
    faults = {}
    for name, (code, _, errors) in zip(commands, results, strict=True):
        lines = errors.splitlines()
        first = lines[0] if lines else ""
        # A second line may say that what was measured is kept.
        is_short = len(lines) == 1 or (len(lines) == 2 and "is kept" in lines[1])
        if code not in {1, 2} or not is_short or not all(word in first for word in says):
            faults[name] = (code, errors)
        assert first.startswith("autotune: ") or name in faults
    assert not faults


@pytest.mark.parametrize("folder", ["studies/s", "studies"])
def test_a_study_of_another_account(home: Path, folder: str) -> None:
    """It cannot be looked into: every command that is given it names it, and says that."""
    with mode(home / folder, 0):
        results = run(home, list(STUDY.values()))

    check(results, STUDY, "studies/s", "Permission denied")


@pytest.mark.parametrize(
    ("file", "commands"),
    [
        (
            "studies/s/study.db",
            ["status", "log", "report", "report, two", "dashboard", "pareto", "frame", "best"],
        ),
        ("studies/s/study.toml", ["tune", "record"]),
        ("studies/s/best.json", ["verify", "export", "export, folder", "compare"]),
    ],
)
def test_a_file_of_another_account(home: Path, file: str, commands: list[str]) -> None:
    """The folder may be looked into; the file that is needed may not."""
    asked = {name: STUDY[name] for name in commands}
    with mode(home / file, 0):
        results = run(home, list(asked.values()))

    check(results, asked, file, "Permission denied")


@pytest.mark.parametrize("file", ["m.xml", "m.bin"])
def test_a_model_of_another_account(home: Path, file: str) -> None:
    """By each file that it consists of, before a worker is started."""
    with mode(home / file, 0):
        results = run(home, list(MODEL.values()))

    check(results, MODEL, str(home / file), "Permission denied")
    assert not (home / "studies" / "m").exists()


def test_a_surface_of_another_account(home: Path) -> None:
    """As any other file."""
    with mode(home / "surface.db", 0):
        results = run(home, [("replay", "surface.db")])

    check(results, ["replay"], "surface.db", "Permission denied")


def test_a_study_that_may_only_be_looked_at(home: Path) -> None:
    """Viewers show it; what would be written is named, and nothing of it is there."""
    before = sorted((home / "studies" / "s").iterdir())
    with mode(home / "studies" / "s", 0o555):
        shown = run(home, [words for name, words in SHOWING.items() if name != "report"])
        results = run(home, list(WRITING.values()))

    assert [code for code, _, _ in shown] == [0] * len(shown)
    check(results, WRITING, "studies/s", "Permission denied")
    assert sorted((home / "studies" / "s").iterdir()) == before


def test_a_folder_is_no_file(home: Path) -> None:
    """Given as a model, a best.json, a study or a surface."""
    check(run(home, list(FOLDERS.values())), FOLDERS, "studies")


@pytest.mark.parametrize("environment", [{}, ASCII], ids=["UTF-8", "ASCII"])
def test_a_name_that_is_no_text(home: Path, environment: dict[str, str]) -> None:
    """No command begins with it; the message has its bytes and the locale's encoding."""
    shutil.copy(home / "m.xml", home / f"{LATIN}.xml")
    before = sorted(home.rglob("*"))
    results = run(home, list(NAMES.values()), environment=environment)

    encoding = "ascii" if environment else "utf-8"
    check(results, NAMES, r"mod\xe8le", f"the locale's encoding, {encoding}", "rename it")
    assert sorted(home.rglob("*")) == before


def test_a_name_that_the_locale_has_not(home: Path) -> None:
    """It is text in a study file, and cannot be looked up: the way out is another locale."""
    for key, name in (("path", "modèle.xml"), ("inputs", "données.npz")):
        folder = home / "studies" / key
        folder.mkdir()
        (home / name).write_text("<net/>")
        path = "" if key == "path" else 'path = "../../m.xml"\n'
        (folder / "study.toml").write_text(
            f'[model]\n{path}{key} = "../../{name}"\n[goal]\nmax_latency = "9ms"\n'
        )
    asked = {key: ("tune", f"studies/{key}") for key in ("path", "inputs")}
    results = run(home, list(asked.values()), environment=ASCII)

    check(results, asked, str(home), "encoding, ascii", "set LC_ALL=C.UTF-8")


def test_output_is_shown_as_far_as_the_terminal_can(home: Path) -> None:
    """What it cannot show is escaped, and ends nothing."""
    results = run(home, list(SHOWING.values()), environment=ASCII)

    assert {name: r[2] for name, r in zip(SHOWING, results, strict=True) if r[0] != 0} == {}
    assert all(out.isascii() for _, out, _ in results)


def test_a_current_folder_that_is_no_text(home: Path) -> None:
    """Nothing in it can be named."""
    (home / LATIN).mkdir()
    asked = {"inspect": ("inspect", "../m.xml"), "status": ("status", "../studies/s")}
    results = run(home / LATIN, [*asked.values(), ("--version",), ("tune", "--help")])

    check(results[:2], asked, r"mod\xe8le", "rename it")
    assert [code for code, _, _ in results[2:]] == [0, 0]


def test_a_current_folder_that_is_gone(home: Path) -> None:
    """Removed while a terminal was in it."""
    (home / "gone").mkdir()

    def before() -> None:
        (home / "gone").rmdir()

    asked = {"inspect": ("inspect", "m.xml"), "status": ("status", "studies/s")}
    results = run(home / "gone", list(asked.values()), before=before)
    check(results, asked, "the current folder", "No such file")


def test_no_folder_for_temporary_files(home: Path) -> None:
    """No file may grow, as on a full disk: what needs one says so, and how to name another."""
    results = run(home, list(TEMPORARY.values()), "0")

    check(results, TEMPORARY, "temporary", "TMPDIR")
    shown = run(home, [SHOWING["status"], SHOWING["best"]], "0")
    assert [code for code, _, _ in shown] == [0, 0]
