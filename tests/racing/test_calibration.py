"""What is kept of a machine's noise, and that no file makes it fail."""

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import StorageError
from autotune.machines.fingerprint import Machine, fingerprint
from autotune.racing.calibration import (
    LEAST_MARGIN,
    Calibration,
    calibration_file,
    load_calibration,
    save_calibration,
    tie_margin,
)

MACHINE = replace(
    fingerprint("2026.4", {"CPU": "a CPU"}), cpu_model="Some CPU", usable_cpus=4, openvino="2026.4"
)
FOUND = Calibration(
    measured_at="2026-11-25T01:00:00Z",
    model="sample",
    noise=0.017,
    ratio=1.002,
    slice_sd=0.03,
    launches=5,
    rounds=25,
    duration_s=61.4,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where it is kept, in a folder that does not exist yet."""
    return tmp_path / "state" / "autotune" / "calibration.json"


# --- kept and read


def test_what_is_saved_is_read_back(file: Path) -> None:
    """In a folder of the user's own, which is made; nothing else is left in it."""
    assert load_calibration(MACHINE, file) is None
    assert save_calibration(MACHINE, FOUND, file) == file
    assert load_calibration(MACHINE, file) == FOUND
    assert list(file.parent.iterdir()) == [file]
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize(
    "other",
    [
        replace(MACHINE, cpu_model="Another CPU"),
        replace(MACHINE, usable_cpus=8),
        replace(MACHINE, openvino="2027.0"),
        replace(MACHINE, affinity_cpus=4, quota_cpus=3.5),
        replace(MACHINE, environment={"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"}),
    ],
    ids=["CPU", "number of CPUs", "runtime", "quota", "preloaded library"],
)
def test_a_calibration_is_of_one_machine_and_runtime(file: Path, other: Machine) -> None:
    """Another has none, and keeps its own beside it."""
    save_calibration(MACHINE, FOUND, file)
    assert load_calibration(other, file) is None
    save_calibration(other, replace(FOUND, noise=0.05), file)
    assert load_calibration(MACHINE, file) == FOUND
    assert load_calibration(other, file) == replace(FOUND, noise=0.05)


def test_what_does_not_change_the_noise_is_no_other_machine(file: Path) -> None:
    """A new kernel, another amount of memory."""
    save_calibration(MACHINE, FOUND, file)
    updated = replace(MACHINE, system="a newer kernel", memory_bytes=1)
    assert load_calibration(updated, file) == FOUND


def test_a_newer_one_takes_the_place_of_an_older_one(file: Path) -> None:
    """Of the same machine."""
    save_calibration(MACHINE, FOUND, file)
    newer = replace(FOUND, measured_at="2026-12-01T00:00:00Z", noise=0.03)
    save_calibration(MACHINE, newer, file)
    assert load_calibration(MACHINE, file) == newer
    assert len(json.loads(file.read_text())) == 1


@pytest.mark.parametrize("variable", [True, False])
def test_it_is_kept_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, variable: bool
) -> None:
    """XDG_STATE_HOME, or .local/state at home; read from there where no file is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if variable:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    else:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    state = tmp_path / ("elsewhere" if variable else ".local/state")
    assert calibration_file() == state / "autotune" / "calibration.json"
    assert save_calibration(MACHINE, FOUND) == calibration_file()
    assert load_calibration(MACHINE) == FOUND


# --- files that are none


def test_a_user_without_a_home_has_no_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container under a number that nobody has; to keep one, the message names a folder."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", _nobodys)

    assert calibration_file() is None
    assert load_calibration(MACHINE) is None
    with pytest.raises(StorageError, match="XDG_STATE_HOME=FOLDER"):
        save_calibration(MACHINE, FOUND)


def _nobodys() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"Some CPU / 4 CPUs / 2026.4": 3}',
        b'{"Some CPU / 4 CPUs / 2026.4": null}',
        b'{"Some CPU / 4 CPUs / 2026.4": {}}',
        b'{"Some CPU / 4 CPUs / 2026.4": {"noise": 0.02, "sparkle": 1}}',
    ],
    ids=[
        "empty",
        "cut off",
        "no text",
        "a list",
        "null",
        "too deep",
        "a number",
        "nothing",
        "no fields",
        "fields of another version",
    ],
)
def test_a_damaged_file_is_no_calibration(file: Path, content: bytes) -> None:
    """Never an error; the next one that is saved mends it."""
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert load_calibration(MACHINE, file) is None
    save_calibration(MACHINE, FOUND, file)
    assert load_calibration(MACHINE, file) == FOUND


def test_what_others_keep_in_the_file_stays(file: Path) -> None:
    """Entries that are not understood are carried along."""
    file.parent.mkdir(parents=True)
    file.write_text('{"a machine of tomorrow": {"sparkle": 1}}')
    save_calibration(MACHINE, FOUND, file)
    assert json.loads(file.read_text())["a machine of tomorrow"] == {"sparkle": 1}


def test_a_file_of_more_than_a_megabyte_is_not_read(file: Path) -> None:
    """It is not ours, whatever is in it."""
    file.parent.mkdir(parents=True)
    kept = {"Some CPU / 4 CPUs / 2026.4": asdict(FOUND)}
    file.write_text(json.dumps(kept) + " " * 2**20)
    assert load_calibration(MACHINE, file) is None
    file.write_text(json.dumps(kept))
    assert load_calibration(MACHINE, file) == FOUND


@pytest.mark.parametrize("blocked", ["file", "folder"])
def test_what_cannot_be_read_is_no_calibration(file: Path, blocked: str) -> None:
    """A folder in the file's place, a file in the folder's."""
    (file if blocked == "file" else file.parent.parent).mkdir(parents=True)
    if blocked == "folder":
        file.parent.write_text("in the way")
    assert load_calibration(MACHINE, file) is None


def test_a_file_that_may_not_be_read_is_no_calibration(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is root could read it all the same, so the refusal is made up."""
    save_calibration(MACHINE, FOUND, file)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert load_calibration(MACHINE, file) is None


@pytest.mark.parametrize("blocked", ["file", "folder"])
def test_what_cannot_be_written_is_said_with_its_path(file: Path, blocked: str) -> None:
    """A folder in the file's place, a file in the folder's."""
    (file if blocked == "file" else file.parent.parent).mkdir(parents=True)
    if blocked == "folder":
        file.parent.write_text("in the way")
    with pytest.raises(StorageError, match=r"calibration\.json: cannot be written: "):
        save_calibration(MACHINE, FOUND, file)


def test_a_folder_that_may_not_be_written_is_said_with_its_path(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the calibration of before is still there."""
    save_calibration(MACHINE, FOUND, file)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(StorageError, match=r"calibration\.json: .*: Permission denied"):
        save_calibration(MACHINE, replace(FOUND, noise=0.5), file)
    assert load_calibration(MACHINE, file) == FOUND


@pytest.mark.parametrize(
    "damage", [{"noise": None}, {"noise": "0.02"}, {"ratio": [1]}, {"duration_s": -1}, {"model": 3}]
)
def test_a_field_of_another_kind_is_no_calibration(tmp_path: Path, damage: dict[str, Any]) -> None:
    """Whoever edits the file loses the calibration, not the night."""
    file = tmp_path / "calibration.json"
    save_calibration(MACHINE, FOUND, file)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({name: {**entry, **damage} for name, entry in kept.items()}))
    assert load_calibration(MACHINE, file) is None


# --- the margin


def test_a_calibration_in_words() -> None:
    """How much, after how long, and when."""
    assert str(FOUND) == "1.7 % after 25 rounds in 5 launches, 61s, on 2026-11-25"


@pytest.mark.parametrize(
    ("noise", "margin"), [(0.0, 0.01), (0.004, 0.01), (0.017, 0.017), (0.1, 0.1), (3.0, 0.1)]
)
def test_the_tie_margin_is_the_noise_within_reason(noise: float, margin: float) -> None:
    """One percent at least, ten at most."""
    assert tie_margin(replace(FOUND, noise=noise)) == margin


def test_without_a_calibration_the_least_margin_counts() -> None:
    """One percent."""
    assert tie_margin(None) == LEAST_MARGIN == 0.01


@given(st.floats(allow_nan=True))
def test_the_tie_margin_is_never_out_of_bounds(noise: float) -> None:
    """Whatever the file says."""
    assert 0.01 <= tie_margin(replace(FOUND, noise=noise)) <= 0.1
