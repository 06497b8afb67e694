"""How long a worker may take: by the study's keys, by variables, or by the model's size."""

from dataclasses import fields
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.machines.deadlines import VARIABLE, Deadline, Deadlines, deadlines_of
from autotune.spec import DeadlineSpec, parse_spec
from tests.onnx_models import write_external

KEYS = tuple(DeadlineSpec.model_fields)
MIB = 2**20


def of(found: Deadlines, key: str) -> Deadline:
    """The deadline of a key."""
    limit: Deadline = getattr(found, key)
    return limit


def sparse(path: Path, size: int) -> Path:
    """A file of this size, which takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_every_deadline_has_a_key() -> None:
    """And says which: it is what a message names."""
    assert len(KEYS) == len(fields(Deadlines))
    assert [of(Deadlines(), key).key for key in KEYS] == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_study_toml_sets_its_deadline(key: str) -> None:
    """And no other."""
    spec = parse_spec(
        f'[model]\npath = "m.xml"\n[goal]\nmax_latency = "1s"\n[deadline]\n{key} = "1h30m"\n'
    )
    found = deadlines_of(spec.deadline, None, {})
    assert {name for name in KEYS if of(found, name).value_s == 5400} == {key}
    assert [of(found, k) for k in KEYS if k != key] == [
        of(Deadlines(), k) for k in KEYS if k != key
    ]


@pytest.mark.parametrize("key", KEYS)
def test_a_variable_goes_before_the_key(key: str) -> None:
    """For one run, and for commands that have no study."""
    given = DeadlineSpec.model_validate({key: "7m"})
    variables = {VARIABLE + key.upper(): "20m"}
    assert of(deadlines_of(given, None, variables), key).value_s == 1200
    assert of(deadlines_of(DeadlineSpec(), None, variables), key).value_s == 1200
    assert of(deadlines_of(given, None, {VARIABLE + key.upper(): ""}), key).value_s == 420


@pytest.mark.parametrize("key", KEYS)
def test_a_variable_that_is_no_duration_is_named(key: str) -> None:
    """With its value."""
    name = VARIABLE + key.upper()
    with pytest.raises(UsageError, match=f"{name}: '5' is not a duration"):
        deadlines_of(DeadlineSpec(), None, {name: "5"})


def test_defaults_grow_with_the_model_and_its_weights(tmp_path: Path) -> None:
    """All that compile or load it; starting a process and reading inputs do not depend on it."""
    sparse(tmp_path / "other.bin", 1000 * MIB)
    (tmp_path / "m.xml").write_text("<net/>")
    small = deadlines_of(DeadlineSpec(), tmp_path / "m.xml", {})
    sparse(tmp_path / "m.bin", 4000 * MIB)
    large = deadlines_of(DeadlineSpec(), tmp_path / "m.xml", {})
    assert [of(small, key).value_s for key in KEYS] == [60, 601, 120, 301, 601, 31]
    assert [of(large, key).value_s for key in KEYS] == [60, 4601, 120, 2301, 8601, 231]


def test_weights_count_wherever_they_are(tmp_path: Path) -> None:
    """What an ONNX file names counts, and what lies behind links as a hub's cache has them."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "w").symlink_to(tmp_path / "blob")
    model = write_external(cache / "m.onnx", {"a": "w"})
    sparse(tmp_path / "blob", 600 * MIB)
    (cache / "m.xml").write_text("<net/>")
    (cache / "m.bin").symlink_to(tmp_path / "blob")
    for file in (model, cache / "m.xml"):
        assert deadlines_of(DeadlineSpec(), file, {}).open_s == 601


def test_a_model_that_is_not_there_has_the_usual_ones(tmp_path: Path) -> None:
    """What is wrong with it is said by who reads it."""
    assert deadlines_of(DeadlineSpec(), tmp_path / "none" / "m.xml", {}) == Deadlines()


def test_a_deadline_says_how_to_raise_it() -> None:
    """The key, the value it has, and a variable for where there is no study."""
    assert str(Deadline("compile", 300.0)) == (
        '[deadline] compile is "5m"; give it more in study.toml or with '
        "AUTOTUNE_DEADLINE_COMPILE=10m"
    )
