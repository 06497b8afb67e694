"""What a study is: begun once, kept, and compared with what is to go on with it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective
from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.optuna_study import open_study
from autotune.storage.reader import StudyReader
from tests.builders import (
    GOAL,
)
from tests.storage.studies import IDENTITY, opened


@pytest.mark.parametrize(("stored", "now"), [(1, 8), (8, 1)])
def test_other_items_in_a_request_are_another_study(tmp_path: Path, stored: int, now: int) -> None:
    """Throughputs would count other things."""
    opened(tmp_path, replace(IDENTITY, items_per_request=stored)).close()
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(StudyMismatchError, match=f"items in a request .*{stored} then, {now} now"):
        opened(tmp_path, replace(IDENTITY, items_per_request=now))
    assert (tmp_path / "study.db").read_bytes() == before


def test_what_was_fed_may_change_and_is_brought_up_to_date(tmp_path: Path) -> None:
    """An older study learns it when it goes on; who does not know it forgets nothing."""
    fed = Fed(data="random", warnings=("NonZero",))
    for given, kept in (
        (None, None),
        (fed, fed),
        (None, fed),
        (Fed(data="real"), Fed(data="real")),
    ):
        store = opened(tmp_path, replace(IDENTITY, fed=given))
        assert store.identity().fed == kept
        store.close()


@pytest.mark.parametrize(
    "change",
    ["items_per_request = -1", "items_per_request = 'x'", "fed = '{\"data\": 1}'", "fed = '['"],
)
def test_what_a_study_cannot_be_is_named(tmp_path: Path, change: str) -> None:
    """Anybody may have written the file."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection, connection:
        connection.execute(f"UPDATE autotune_study SET {change}")  # noqa: S608 - of this list
    with (
        closing(StudyReader.read_only(tmp_path)) as store,
        pytest.raises(StorageError, match="read"),
    ):
        store.identity()


def test_a_study_is_begun_once(tmp_path: Path) -> None:
    """Opening it again changes nothing."""
    opened(tmp_path).close()
    again = opened(tmp_path, replace(IDENTITY, spec="another text, the same study"))
    assert again.identity() == IDENTITY
    again.close()


def test_another_study_is_refused_with_every_difference(tmp_path: Path) -> None:
    """Model, goal and each dimension, and the way out."""
    opened(tmp_path).close()
    other = replace(
        IDENTITY,
        model_sha256="cd" * 32,
        goal=Goal(Objective.THROUGHPUT, 95.0, 5.0),
        space={"cpus": 4, "batch": [1, 2]},
    )
    with pytest.raises(StudyMismatchError) as caught:
        opened(tmp_path, other)
    message = str(caught.value)
    for words in (
        "the model file has changed",
        "throughput, p99, cap 10 ms then, throughput, p95, cap 5 ms now",
        "cpus 2 then, 4 now",
        "batch [1] then, [1, 2] now",
        "--name",
    ):
        assert words in message


def test_a_digest_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """The same model, of which 0.1 did not see every file: from now on, its digest is of all."""
    opened(tmp_path).close()
    now = replace(IDENTITY, model_sha256="cd" * 32, earlier_sha256=("ab" * 32,))
    opened(tmp_path, now).close()
    again = opened(tmp_path, replace(now, earlier_sha256=()))
    assert again.identity().model_sha256 == "cd" * 32
    again.close()
    with pytest.raises(StudyMismatchError, match="the model file has changed"):
        opened(tmp_path, replace(IDENTITY, model_sha256="ef" * 32, earlier_sha256=("ab" * 32,)))


def test_a_crash_before_the_studys_row_is_mended(tmp_path: Path) -> None:
    """Optuna's tables alone, or ours without a row, are the beginning of a study."""
    study, engine = open_study(tmp_path, "demo", GOAL)
    assert study.trials == []
    engine.dispose()
    store = opened(tmp_path)
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM autotune_study"))
    store.close()
    again = opened(tmp_path)
    assert again.identity() == IDENTITY
    again.close()
