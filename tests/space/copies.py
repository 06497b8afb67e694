"""Copies of the package with more rows in its table of dimensions, used as a user would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import autotune

HERE = Path(autotune.__file__).parent


class Product:
    """The copy, as it is used from a shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: object, code: int = 0) -> str:
        """What a command of its prints."""
        return self.python("-m", "autotune", *words, code=code)

    def error(self, *words: object) -> str:
        """What a command says that fails, in words for its user."""
        done = self._done("-m", "autotune", *words)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    def python(self, *words: object, code: int = 0) -> str:
        """What a program prints on the copy."""
        done = self._done(*words)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def _done(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "140"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )


def with_rows(folder: Path, rows: str) -> Product:
    """A copy with more rows."""
    shutil.copytree(HERE, folder / "autotune", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE.parent / "docs", folder / "docs")
    table = folder / "autotune" / "space" / "dimensions.py"
    text = table.read_text(encoding="utf-8")
    head, tail = text.split('\n)\n"""Every dimension', 1)
    table.write_text(f'{head}\n{rows})\n"""Every dimension{tail}', encoding="utf-8")
    return Product(folder)
