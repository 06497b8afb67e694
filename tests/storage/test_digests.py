"""Digests of large files are remembered, and never when the file may be another one."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from autotune.storage import digests
from autotune.storage.digests import digest_of, remembered_sha256
from tests.onnx_models import write_external

OLD_S = 1_000_000_000


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is worth remembering, and long unchanged."""
    monkeypatch.setattr(digests, "_LEAST_BYTES", 1000)
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    file = tmp_path / "large.bin"
    file.write_bytes(b"\x01" * 1000)
    probe = tmp_path / "probe"
    probe.touch()
    while probe.stat().st_ctime_ns == file.stat().st_ctime_ns:  # the clock of the disk is coarse
        probe.touch()
    return file


def remembered(state_folder: Path) -> dict[str, list[object]]:
    """What was written down."""
    file = state_folder / "autotune" / "digests.json"
    found: dict[str, list[object]] = json.loads(file.read_text()) if file.exists() else {}
    return found


def forge(state_folder: Path) -> None:
    """Make what is remembered wrong, so that it shows when it is used."""
    file = state_folder / "autotune" / "digests.json"
    known = {name: [*signs, "00" * 32] for name, (*signs, _) in remembered(state_folder).items()}
    file.write_text(json.dumps(known))


def test_a_large_file_is_read_once(large: Path, state_folder: Path) -> None:
    """The second time it is only looked at, under any name."""
    assert remembered_sha256(large) == hashlib.sha256(large.read_bytes()).digest()
    forge(state_folder)
    link = large.with_name("link")
    link.symlink_to(large)

    assert remembered_sha256(large) == remembered_sha256(link) == bytes(32)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b"\x02" * 1000),
        lambda file: file.write_bytes(b"\x01" * 1001),
        lambda file: os.utime(file, (OLD_S, OLD_S)),
        lambda file: file.chmod(0o600),
    ],
    ids=["content", "length", "time", "mode"],
)
def test_a_file_that_was_touched_is_read_again(
    large: Path, state_folder: Path, change: object
) -> None:
    """Also where its time of writing is set back: nobody can set back the time of change."""
    remembered_sha256(large)
    written = large.stat()
    forge(state_folder)
    assert callable(change)
    change(large)
    os.utime(large, ns=(written.st_atime_ns, written.st_mtime_ns))

    assert remembered_sha256(large) == hashlib.sha256(large.read_bytes()).digest()


def test_another_file_of_the_same_name_is_read(large: Path, state_folder: Path) -> None:
    """As a download that replaces it."""
    remembered_sha256(large)
    forge(state_folder)
    other = large.with_name("other")
    other.write_bytes(b"\x03" * 1000)
    other.replace(large)

    assert remembered_sha256(large) == hashlib.sha256(b"\x03" * 1000).digest()


def test_what_changed_just_now_is_not_remembered(
    large: Path, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next change may carry the same time stamp."""
    monkeypatch.setattr(digests, "_SETTLED_S", 3600.0)
    remembered_sha256(large)

    assert remembered(state_folder) == {}


def test_small_files_are_not_remembered(tmp_path: Path, state_folder: Path) -> None:
    """They are read each time, and leave nothing in the user's folder."""
    (tmp_path / "small").write_bytes(b"x" * 1000)
    remembered_sha256(tmp_path / "small")

    assert not (state_folder / "autotune").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff", "[" * 100_000, '{"a": 1}'])
def test_whatever_is_remembered_is_no_error(large: Path, state_folder: Path, text: str) -> None:
    """A file that somebody spoiled is written anew."""
    (state_folder / "autotune").mkdir()
    (state_folder / "autotune" / "digests.json").write_text(text, encoding="latin-1")

    assert remembered_sha256(large) == hashlib.sha256(large.read_bytes()).digest()
    assert [
        entry[-1] for entry in remembered(state_folder).values() if isinstance(entry, list)
    ] == [hashlib.sha256(large.read_bytes()).hexdigest()]


@pytest.mark.parametrize("entry", [[], [None] * 4, ["zz"], "abc", {"a": 1}])
def test_a_spoiled_entry_is_no_error(large: Path, state_folder: Path, entry: object) -> None:
    """The file is read again."""
    remembered_sha256(large)
    (signs,) = [known[:-1] for known in remembered(state_folder).values()]
    for spoiled in (entry, [*signs, entry]):
        file = state_folder / "autotune" / "digests.json"
        file.write_text(json.dumps(dict.fromkeys(remembered(state_folder), spoiled)))
        assert remembered_sha256(large) == hashlib.sha256(large.read_bytes()).digest()


@pytest.mark.parametrize("spoil", ["file", "link", "unset"])
def test_no_state_folder_costs_the_memory_only(
    large: Path, state_folder: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    """Where nothing can be written, files are read each time."""
    if spoil == "file":
        (state_folder / "autotune").touch()
    elif spoil == "link":
        (state_folder / "autotune").symlink_to("autotune")
    else:
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setattr(Path, "home", _nobodys)
    for _ in range(2):
        assert remembered_sha256(large) == hashlib.sha256(large.read_bytes()).digest()


def _nobodys() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_the_last_hundred_are_remembered(large: Path, state_folder: Path) -> None:
    """The file that remembers does not grow without end."""
    for number in range(105):
        file = large.with_name(str(number))
        file.write_bytes(number.to_bytes(2) * 500)
        remembered_sha256(file)

    assert len(remembered(state_folder)) == 100


def test_every_file_of_a_model_is_remembered(
    tmp_path: Path, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a change in its external data is seen."""
    monkeypatch.setattr(digests, "_LEAST_BYTES", 1000)
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    model = write_external(tmp_path / "m.onnx")
    first = digest_of(model)
    assert len(remembered(state_folder)) == 1
    assert digest_of(model) == first
    (tmp_path / "m.onnx.data").write_bytes(bytes(1024))

    assert digest_of(model) != first
