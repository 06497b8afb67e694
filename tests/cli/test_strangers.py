"""A folder of strangers: whatever it has in it, nothing of it is imported."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import autotune
from tests import models

pytestmark = pytest.mark.openvino

THIRD_PARTIES = (
    *("openvino", "numpy", "scipy", "pandas", "optuna", "sqlalchemy", "pydantic", "typer"),
    *("rich", "click", "plotly", "jinja2", "psutil", "filelock", "sitecustomize", "usercustomize"),
)
RUN_BY_NAME = (sys.executable, "-m", "autotune")
RUN_AS_COMMAND = (str(Path(sys.executable).with_name("autotune")),)


@pytest.fixture(scope="module")
def needed_by_m() -> set[str]:
    """What `python -m` itself imports before any module of ours can run."""
    code = "import runpy, importlib.util, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(found.stdout.decode().split())


@pytest.fixture
def folder(tmp_path: Path, needed_by_m: set[str]) -> Path:
    """A file for every module of the standard library and for those of others."""
    found = tmp_path / "strange"
    found.mkdir()
    for name in {*sys.stdlib_module_names, *THIRD_PARTIES} - needed_by_m:
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + chr(10))\n"
        (found / f"{name}.py").write_text(f"{text}raise ImportError('a stranger')\n")
    return found


def run(folder: Path, command: Sequence[str], *words: str, **variables: str) -> str:
    """What a command prints in a folder; none of the strangers there has run."""
    # A setting that would look past this folder anyhow.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [*command, *words],
        cwd=folder,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    ran = folder.parent / "ran"
    assert not ran.exists(), ran.read_text()
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [RUN_BY_NAME, RUN_AS_COMMAND], ids=["-m", "command"])
def test_a_model_is_looked_at(folder: Path, model_folder: Path, command: Sequence[str]) -> None:
    """By a worker of its own; other folders of PYTHONPATH are looked through."""
    words = ("inspect", str(model_folder / models.TINY), "--json")
    said = run(folder, command, *words, PYTHONPATH="/nowhere")
    assert [port["name"] for port in json.loads(said)["inputs"]] == ["x"]


def test_a_study_is_tuned(folder: Path, model_folder: Path) -> None:
    """The hints and a race: many workers, and everything that the tuner imports."""
    study = folder / "study"
    study.mkdir()
    for file in model_folder.glob(f"{Path(models.TINY).stem}.*"):
        shutil.copy(file, study)
    (study / "study.toml").write_text(
        f'[model]\npath = "{models.TINY}"\n[goal]\nmax_latency = "1s"\n[budget]\ntrials = 2\n'
        '[space]\nbatch = 1\n[measure]\nlimit = "300ms"\nwarmup = "100ms"\n[race]\nshare = 0.0\n'
    )
    said = run(folder, RUN_BY_NAME, "tune", "study")
    assert "best.json" in said


def test_samplers_are_replayed(folder: Path) -> None:
    """In processes of their own, which are no workers."""
    surface = next(Path(autotune.__file__).parents[1].glob("studies/surfaces/*/surface.db"))
    words = ("--sampler", "random", "--trials", "4", "--seeds", "1", "--max-latency", "1s")
    said = run(folder, RUN_BY_NAME, "replay", str(surface), *words, "--json")
    assert json.loads(said)


def test_a_checkout_that_is_not_installed_runs_its_own_worker(
    folder: Path, model_folder: Path
) -> None:
    """Its package is found where it is run, and no other file there."""
    shutil.copytree(Path(autotune.__file__).parent, folder / "autotune")
    mark = folder.parent / "worker-of-the-checkout"
    with (folder / "autotune" / "worker" / "__init__.py").open("a") as package:
        package.write(f"\nopen({str(mark)!r}, 'w').close()\n")
    run(folder, RUN_BY_NAME, "inspect", str(model_folder / models.TINY))
    assert mark.exists()
