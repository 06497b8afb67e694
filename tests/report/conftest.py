"""Studies that several tests look at, and none changes."""

from pathlib import Path

import pytest

from tests.report.studies import make_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty trials, no race."""
    return make_study(tmp_path_factory.mktemp("studies") / "demo")


@pytest.fixture(scope="session")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a race."""
    folder = tmp_path_factory.mktemp("studies") / "raced"
    return make_study(folder, trials=12, race={"share": 0.3})
