"""`make dist`: build the distributions, and use the wheel where nothing but it is installed.

For every supported Python that is found: an empty environment outside of the checkout, the wheel
and what it asks for, a model that the installed package writes, two trials on it, and what needs
the data files of the package: an export, a report, a best.json that its schema reads.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
PYTHONS = ("python3.11", "python3.12", "python3.13")
_STUDY = """
[model]
path = "sample.xml"
[goal]
max_latency = "1s"
[budget]
trials = 2
[measure]
limit = "1s"
[race]
share = 0.0
"""
_PROBE = """
import sys
from pathlib import Path

import autotune
from autotune.machines.passing import write_sample_model

assert not Path(autotune.__file__).is_relative_to(sys.argv[1]), "this is the checkout"
write_sample_model(Path("sample.xml"))
"""
_DEPLOY = """
import openvino

import autotune

compiled, queue = autotune.load_best("best.json").compile(openvino.Core())
"""


def main() -> int:
    """Build, look, install, tune; the first thing that is wrong ends it."""
    shutil.rmtree(DIST, ignore_errors=True)
    # The wheel is built from the source distribution, which so is known to be whole.
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT))
    wheel, source = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    faults = [*wrong_in(wheel, names_in_wheel(wheel)), *wrong_in(source, names_in_source(source))]
    if faults:
        print(*faults, sep="\n", file=sys.stderr)
        return 1
    print(f"built {wheel.name} and {source.name}", flush=True)
    pythons = [python for python in PYTHONS if _works(python)] or [sys.executable]
    for python in pythons:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            tune(python, wheel, Path(folder))
        print(f"{python}: tuned from the wheel ({time.monotonic() - begun:.0f} s)", flush=True)
    return 0


def names_in_wheel(wheel: Path) -> set[str]:
    """Files of a wheel."""
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def names_in_source(source: Path) -> set[str]:
    """Files of a source distribution, without the folder that it unpacks into."""
    with tarfile.open(source) as file:
        return {name.partition("/")[2] for name in file.getnames()}


def wrong_in(distribution: Path, names: set[str]) -> list[str]:
    """What is missing or too much: it holds the whole package, and nothing of the checkout."""
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "autotune").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    faults = [f"{distribution.name}: {name} is missing" for name in sorted(package - names)]
    extra = {name for name in names if name.split("/")[0] in {"tests", "studies", "docs", "build"}}
    faults += [f"{distribution.name}: {name} does not belong there" for name in sorted(extra)]
    if not any(name.endswith("LICENSE") for name in names):
        faults.append(f"{distribution.name}: the licence is missing")
    return faults


def tune(python: str, wheel: Path, folder: Path) -> None:
    """Install the wheel with a Python, and use it in a folder."""
    _run(python, "-m", "venv", str(folder / "env"))
    installed = str(folder / "env" / "bin" / "python")
    quiet = ("--quiet", "--disable-pip-version-check")
    pins = ("-c", str(ROOT / "constraints.txt"))
    _run(installed, "-m", "pip", "install", *quiet, *pins, str(wheel))
    study = folder / "study"
    study.mkdir()
    (study / "study.toml").write_text(_STUDY)
    command = str(folder / "env" / "bin" / "autotune")
    _run(installed, "-c", _PROBE, str(ROOT), folder=study)
    _run(command, "tune", ".", folder=study)
    _run(command, "export", "best.json", "--to", "all", "--out", "deploy", folder=study)
    _run(command, "report", ".", folder=study)
    _run(command, "verify", "best.json", "--budget", "5s", "--json", folder=study, codes=(0, 4))
    _run(installed, "-c", _DEPLOY, folder=study)


def _run(*command: str, folder: Path = ROOT, codes: tuple[int, ...] = (0,)) -> None:
    """Run a command that says something only where it fails, as nobody else's Python."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment["AUTOTUNE_LOCK_DIR"] = str(folder)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        said = "\n".join(done.stdout.splitlines()[-30:])
        raise SystemExit(f"{said}\n{' '.join(command)[:200]}: exit code {done.returncode}")


def _works(python: str) -> bool:
    """Whether it is there, is what it is called, and can make environments."""
    if shutil.which(python) is None:
        return False
    probe = [python, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
