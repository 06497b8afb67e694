"""The house: names with one meaning, rooms that can be seen over, and a picture that is true."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import autotune

HOUSE = Path(autotune.__file__).parent
ROOT = Path(__file__).parent.parent


def modules() -> dict[str, ast.Module]:
    """Every module, by its path in the package."""
    return {
        str(path.relative_to(HOUSE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(HOUSE.rglob("*.py"))
    }


def test_a_class_name_has_one_meaning() -> None:
    """Private ones as well: a reader does not read the underscore aloud."""
    homes = defaultdict(list)
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(path)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_nothing_lies_beside_the_folders_but_three_modules() -> None:
    """The errors, the public names, and `python -m autotune`."""
    beside = {path for path in modules() if "/" not in path}
    assert beside == {"errors.py", "__init__.py", "__main__.py"}


LONGEST_OPENING = 60


def opening() -> list[str]:
    """What docs/how-it-works.md opens with: the picture of the house, and the way through it."""
    lines = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8").splitlines()
    return lines[: next(at for at, line in enumerate(lines) if line.startswith("**"))]


def layers() -> list[list[str]]:
    """Of pyproject.toml, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (found,) = (
        one["layers"]
        for one in contracts["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers"
    )
    return [[name.strip(" ()") for name in re.split(r"[|:]", layer)] for layer in found]


def test_the_picture_of_the_house_is_the_house() -> None:
    """Every folder once, none that is not there, in the order of the import layers."""
    lines = opening()
    assert len(lines) <= LONGEST_OPENING
    fences = [at for at, line in enumerate(lines) if line.startswith("```")]
    drawn = lines[fences[0] + 1 : fences[1]]
    named = [re.match(r"[┌├└ ] (\w+)(/|\.py) +\w", line) for line in drawn]
    assert all(named), drawn
    order = [one[1] for one in named if one]
    folders = {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()}
    assert sorted(one[1] for one in named if one and one[2] == "/") == sorted(folders)
    assert order == [name for layer in layers() for name in sorted(layer, key=order.index)]
    marks = [" " if len(one) == 1 else f"┌{'├' * (len(one) - 2)}└" for one in layers()]
    assert "".join(line[0] for line in drawn) == "".join(marks)


LONGEST_MODULE, LONGEST_FUNCTION, MOST_METHODS = 350, 50, 14
SHARE_OF_MODULES, SHARE_OF_FUNCTIONS = 0.97, 0.99
LARGE_CLASSES: dict[str, str] = {}
"""Classes with more methods, by module and name, and why each is one class all the same."""


def test_nearly_every_module_can_be_seen_over() -> None:
    """By its lines, all of them."""
    lengths = {path: len((HOUSE / path).read_text("utf-8").splitlines()) for path in modules()}
    long = {path for path, length in lengths.items() if length > LONGEST_MODULE}
    assert len(long) <= (1 - SHARE_OF_MODULES) * len(lengths), long


def test_nearly_every_function_fits_on_a_screen() -> None:
    """By its lines, docstring and options included."""
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    long = {name for name, length in lengths.items() if length > LONGEST_FUNCTION}
    assert len(long) <= (1 - SHARE_OF_FUNCTIONS) * len(lengths), long


def test_a_class_has_few_methods_or_a_reason() -> None:
    """A reason that is not needed any more is none."""
    counts = {
        f"{path} {node.name}": sum(
            isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body
        )
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    large = {name for name, count in counts.items() if count > MOST_METHODS}
    assert large == LARGE_CLASSES.keys()
