"""A study as the tuner opens it, for tests of whatever lies in it."""

from pathlib import Path

from autotune.storage.identity import Identity
from autotune.storage.optuna_study import open_study
from autotune.storage.writer import StudyWriter
from tests.builders import GOAL

IDENTITY = Identity(
    name="demo",
    spec="[goal]\n",
    model_sha256="ab" * 32,
    inputs={"shapes": {}, "data_sha256": None},
    goal=GOAL,
    space={"cpus": 2, "batch": [1]},
)


def opened(folder: Path, identity: Identity = IDENTITY) -> StudyWriter:
    """The store as the tuner opens it."""
    _, engine = open_study(folder, identity.name, identity.goal)
    store = StudyWriter(engine, folder / "study.db")
    try:
        store.begin(identity)
    except Exception:
        store.close()
        raise
    return store
