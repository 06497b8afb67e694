"""The distribution: its name, what people are told to install, and what a wheel holds."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from autotune.analysis.frames import frame, to_parquet
from autotune.errors import UsageError
from autotune.export.targets import TARGETS
from autotune.machines.fingerprint import versions
from tests.export.targets.builders import make_tuned

ROOT = Path(__file__).parent.parent
NAME = "openvino-autotune"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
OTHERS = {"numpy", "onnxruntime-openvino", "openvino"}
"""What people are told to install besides; this project's own extras bring the rest."""

_PLACES = ("autotune", "docs", "studies", "tests", ".ci")
_INSTALL = re.compile(
    r"\b(?:(?:pip3?|pipx|uv pip|uv tool)\s+install|uv add|uvx|pipx run|poetry add|conda install)\b"
    r"(?P<rest>[^`\"#;|&)]*)"
)
_WITH_VALUE = {"-c", "--constraint", "-r", "--requirement", "-i", "--index-url"}
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,-]+)\])?(?:[<>=!~].*)?")


def installed(text: str) -> Iterator[str]:
    """What each install line of a text installs, as it is written there."""
    for found in _INSTALL.finditer(text):
        words = iter(shlex.split(found["rest"].splitlines()[0], comments=True))
        for word in words:
            if word in _WITH_VALUE:
                next(words, None)
            elif not word.startswith("-"):
                yield word.rstrip(".,:") or "."


def fault(requirement: str) -> str | None:
    """What is wrong with telling people to install this; None where it is right."""
    matched = _REQUIREMENT.fullmatch(requirement)
    if matched is None:
        return "not a requirement"
    name = re.sub(r"[-_.]+", "-", matched["name"]).lower()
    if name not in {NAME, "-", *OTHERS}:  # "-" is ".", this folder
        return f"{name} is somebody else's"
    if matched["extras"] is None or name in OTHERS:
        return None
    unknown = set(matched["extras"].split(",")) - EXTRAS
    return f"no such extra: {unknown}" if unknown else None


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the project, with where it stands; of Python files each string on its own.

    What is larger than a megabyte is a model or a database.
    """
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for place in _PLACES for path in (ROOT / place).rglob("*") if path.is_file()]
    for path in files:
        if path == Path(__file__) or path.stat().st_size > 2**20:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        where = str(path.relative_to(ROOT))
        if path.suffix == ".py":
            yield from ((f"{where}:{line}", part) for line, part in strings(text))
        else:
            yield from (
                (f"{where}:{number}", line) for number, line in enumerate(text.splitlines(), 1)
            )


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Texts of a Python file: literals and comments; a value that is filled in is left as it is."""
    tree = ast.parse(source)
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            yield node.lineno, str(node.value)
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("#"):
            yield number, line


def test_every_install_line_names_what_is_meant() -> None:
    """In documents, messages, comments and scripts: this project, its extras, or a known other."""
    found = [(where, what) for where, text in texts() for what in installed(text)]

    assert [(where, what, fault(what)) for where, what in found if fault(what)] == []
    assert {where.split(":")[0] for where, _ in found} >= {
        "CONTRIBUTING.md",
        "Makefile",
        "README.md",
        "autotune/analysis/frames.py",
        "autotune/cli/dashboard.py",
        "autotune/report/picture.py",
        "docs/frame.md",
    }


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("run `pip install 'autotune[png]'` first", ["autotune[png]"]),
        ("python -m pip install --upgrade autotune", ["autotune"]),
        ("pipx install autotune && autotune --help", ["autotune"]),
        ("pip install -e '.[nosuch]' -c constraints.txt", [".[nosuch]"]),
        ('say("pip install {}")', ["{}"]),
        ("uv pip install numpy Auto_Tune", ["numpy", "Auto_Tune"]),
    ],
)
def test_a_wrong_install_line_is_found(line: str, names: list[str]) -> None:
    """Whatever the installer, the quotes and the options, and however the name is spelt."""
    assert list(installed(line)) == names
    assert any(fault(name) for name in names)


def test_the_project_refers_to_itself_by_its_name() -> None:
    """An extra that takes in others must not take in somebody else's package."""
    assert PROJECT["name"] == NAME
    wanted = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = [re.split(r"[\[<>=!~ ;]", requirement)[0] for requirement in wanted]
    pinned = [line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()]

    assert "autotune" not in names + pinned
    own = [requirement for requirement in wanted if requirement.startswith(NAME)]
    assert [fault(requirement) for requirement in own] == [None] * len(own)


@pytest.mark.usefixtures("without_pyarrow")
def test_a_missing_extra_is_asked_for_by_name() -> None:
    """As it can be typed in."""
    with pytest.raises(UsageError, match=r"pip install 'openvino-autotune\[parquet\]'"):
        to_parquet(frame([]))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_exported_requirements_name_what_is_meant(target: str) -> None:
    """What the files and the commands of an export install."""
    exported = TARGETS[target](make_tuned())
    wanted = [what for line in exported.run for what in installed(line)]
    for name, text in exported.files.items():
        wanted += installed(text)
        wanted += text.splitlines() if name == "requirements.txt" else []

    assert [what for what in wanted if fault(what)] == []


def test_the_installed_version_is_that_of_the_project() -> None:
    """Stored under the name that it was always stored under, so that old studies compare."""
    assert versions()["autotune"] == PROJECT["version"]
    told = subprocess.run(
        [sys.executable, "-m", "autotune", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"autotune {PROJECT['version']}\n"
