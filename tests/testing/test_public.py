"""What a stranger finds in `autotune.testing`, and that what is written about it works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import autotune
from autotune import testing

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
PACKAGE = Path(autotune.__file__).parent

_DOCTEST = """
import doctest, sys
from autotune import testing
failed, tried = doctest.testmod(testing)
assert tried and not failed
assert "openvino" not in sys.modules
"""
_PYTEST = """
import pytest, sys
code = pytest.main(["-q", "-p", "no:cacheprovider", "test_document.py"])
assert code == 0, code
assert "openvino" not in sys.modules
"""


def run(code: str, folder: Path) -> None:
    """In a process of its own, which has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_in_the_docstring_does_what_it_says(tmp_path: Path) -> None:
    """A study in a dozen lines; the runtime is never imported."""
    run(_DOCTEST, tmp_path)


def test_the_tests_in_the_document_pass(tmp_path: Path) -> None:
    """Copied as they stand, in their order, into one file."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    text = "\n".join(blocks)
    (tmp_path / "test_document.py").write_text(text)
    assert text.count("def test_") == 2
    run(_PYTEST, tmp_path)


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """By its docstring, and by a word in the document."""
    assert getattr(testing, name).__doc__
    assert f"`{name}`" in DOCUMENT.read_text()


def test_the_package_says_that_it_is_typed() -> None:
    """So that a type checker looks into it."""
    assert (PACKAGE / "py.typed").is_file()
