"""The house: a class name has one meaning in all of it."""

import ast
from collections import defaultdict
from pathlib import Path

import autotune

HOUSE = Path(autotune.__file__).parent


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


def test_nothing_lies_beside_the_folders_but_four_modules() -> None:
    """The specification, the errors, the public names, and `python -m autotune`."""
    beside = {path for path in modules() if "/" not in path}
    assert beside == {"spec.py", "errors.py", "__init__.py", "__main__.py"}
