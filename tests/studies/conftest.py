"""Data of the example studies, each made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.studies.scripts import STUDIES, load


@pytest.fixture(scope="session")
def data_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data folder of a study, made elsewhere; its sources are obtained by make test."""
    home = tmp_path_factory.mktemp("studies")

    @cache
    def made(name: str) -> Path:
        assert (STUDIES / "sources").is_dir(), "run make models first"
        load("make_data.py").make(name, home / name)
        return home / name

    return made
