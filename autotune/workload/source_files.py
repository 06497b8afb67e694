"""The files of code that decide what a function does, told without running them."""

import ast
import warnings
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def code_files(file: Path, folder: Path) -> list[Path]:
    """The function's file, and those of the study's that it imports, and they, and so on.

    Only what import statements name is seen, and only below the study's folder. What is no Python
    counts as a file that imports nothing.

    Args:
        file: the function's.
        folder: the study's.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[Path] = []
    waiting = [file, *_inits(file, folder)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.append(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            waiting += _imports(node, path, folder)
    return [file, *sorted(path for path in found if path != file)]


def _imports(node: ast.AST, path: Path, folder: Path) -> Iterator[Path]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _files(folder, alias.name.split("."), folder)
    elif isinstance(node, ast.ImportFrom):
        home = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else folder
        module = node.module.split(".") if node.module else []
        yield from _files(home, module, folder)
        for alias in node.names:  # which may be a module itself
            yield from _files(home, [*module, alias.name], folder)


def _files(home: Path, parts: list[str], folder: Path) -> Iterator[Path]:
    """Of a module and the packages around it, as far as they lie in the study's folder."""
    place = home
    for part in parts:
        if part == "*":
            return
        place /= part
        modules = [place.with_name(f"{part}{suffix}") for suffix in (".py", *EXTENSION_SUFFIXES)]
        for path in (*modules, place / "__init__.py"):
            if path.is_relative_to(folder) and path.is_file():
                yield path


def _inits(file: Path, folder: Path) -> Iterator[Path]:
    for home in file.parents:
        if home == folder or not home.is_relative_to(folder):
            return
        if (home / "__init__.py").is_file():
            yield home / "__init__.py"
