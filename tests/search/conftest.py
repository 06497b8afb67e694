"""Optuna studies in memory and in a file, and searches over them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from autotune.domain.goal import Goal, Objective
from autotune.domain.sampler import Sampler
from autotune.search.choose import search_of
from autotune.search.search import Search
from autotune.space.space import SearchSpace
from autotune.storage.optuna_study import DIRECTIONS, open_study

CAPPED = Goal(Objective.THROUGHPUT, 99, 10)
NewSearch = Callable[..., Search]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Optuna says only what matters."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def storage() -> BaseStorage:
    """Optuna's storage in memory."""
    return InMemoryStorage()


@pytest.fixture
def new_search(storage: BaseStorage) -> NewSearch:
    """Makes a search; made again it continues the same study, as another process would."""

    def make(
        space: SearchSpace, goal: Goal = CAPPED, seed: int = 0, sampler: Sampler = Sampler.TPE
    ) -> Search:
        study = optuna.create_study(
            storage=storage,
            study_name="study",
            directions=DIRECTIONS[goal.objective],
            load_if_exists=True,
        )
        return search_of(sampler, study, space, goal, seed=seed, name="study.db")

    return make


@pytest.fixture
def new_stored_search(tmp_path: Path) -> Iterator[NewSearch]:
    """As `new_search`, over a database file; each search has its own connections."""
    engines = []

    def make(
        space: SearchSpace, goal: Goal = CAPPED, seed: int = 0, sampler: Sampler = Sampler.TPE
    ) -> Search:
        study, engine = open_study(tmp_path, "study", goal)
        engines.append(engine)
        return search_of(sampler, study, space, goal, seed=seed, name=tmp_path / "study.db")

    yield make
    for engine in engines:
        engine.dispose()
