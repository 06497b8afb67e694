"""Which code of other people's studies may run."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.trust import is_trusted, refuse_code, trust
from autotune.workload.inputs import Inputs
from autotune.workload.locate import inputs_of


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Somebody's, with code."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "samples.py").write_text("import beside\ndef f(): ...\n")
    (folder / "beside.py").write_text("")
    (folder / "lines.txt").write_text("a\n")
    (folder / "a.npz").touch()
    return folder


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is remembered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "autotune" / "trusted"


def code(study: Path) -> Inputs:
    """Its inputs."""
    return inputs_of("samples:f", study)


def test_only_what_was_trusted_runs(study: Path, state: Path) -> None:
    """What runs no code needs no trust."""
    assert is_trusted(inputs_of("a.npz", study), study)
    assert not state.exists()
    assert not is_trusted(code(study), study)
    path = trust(code(study), study)
    assert is_trusted(code(study), study)
    assert not is_trusted(inputs_of("samples:g", study), study)
    assert not is_trusted(inputs_of("lines.txt", study, tokenizer="beside:f"), study)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert [path] == list(state.iterdir())
    path.unlink()
    assert not is_trusted(code(study), study)


@pytest.mark.parametrize("name", ["samples.py", "beside.py"])
def test_code_that_was_edited_is_trusted_no_more(name: str, study: Path, state: Path) -> None:
    """Neither is what it imports of the study's; undone, it is again, and it can be said anew."""
    trust(code(study), study)
    before = (study / name).read_text()
    (study / name).write_text(before + "# edited\n")
    assert not is_trusted(code(study), study)
    (study / name).write_text(before)
    assert is_trusted(code(study), study)
    (study / name).write_text(before + "# edited\n")
    trust(code(study), study)
    assert is_trusted(code(study), study)
    assert len(list(state.iterdir())) == 1


def test_another_folder_is_another_study(study: Path, state: Path, tmp_path: Path) -> None:
    """A copy was not looked at; a link to the study is the study."""
    trust(code(study), study)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("samples.py", "beside.py"):
        (copy / name).write_bytes((study / name).read_bytes())
    assert not is_trusted(code(copy), copy)
    (tmp_path / "link").symlink_to(study)
    assert is_trusted(code(tmp_path / "link"), tmp_path / "link")


def _link(path: Path) -> None:
    path.rename(path.parent / "x").chmod(0o600)
    path.symlink_to("x")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


SPOILED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "no JSON": lambda path: path.write_bytes(b"\xff\0{"),
    "deep": lambda path: path.write_text("[" * 60000),
    "list": lambda path: path.write_text("[]"),
    "other digest": lambda path: path.write_text(
        json.dumps({**json.loads(path.read_text()), "digest": "0"})
    ),
    "more keys": lambda path: path.write_text(
        json.dumps({**json.loads(path.read_text()), "more": 1})
    ),
    "long": lambda path: path.write_text(path.read_text() + " " * 10**6 + "x"),
    "writable by all": lambda path: path.chmod(0o666),
    "writable by the group": lambda path: path.chmod(0o620),
    "folder writable by all": lambda path: path.parent.chmod(0o777),
    "a link": _link,
    "a pipe": _pipe,
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_others_could_have_written_is_not_believed(
    name: str, study: Path, state: Path
) -> None:
    """Nor what is broken; nothing crashes, and nothing is waited for."""
    path = trust(code(study), study)
    SPOILED[name](path)
    assert not is_trusted(code(study), study)


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_another_owns_is_not_believed(
    which: str, study: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given away where that is allowed; otherwise said to be another's."""
    path = trust(code(study), study)
    theirs = path if which == "file" else path.parent
    if os.geteuid() == 0:
        os.chown(theirs, 12345, 12345)
    else:
        _say_of_another(theirs, monkeypatch)
    assert not is_trusted(code(study), study)


def _say_of_another(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inode, fstat, stat_path = theirs.stat().st_ino, os.fstat, Path.stat

    def told(found: os.stat_result) -> os.stat_result:
        is_theirs = found.st_ino == inode
        return os.stat_result([*found[:4], 12345, *found[5:10]]) if is_theirs else found

    monkeypatch.setattr(os, "fstat", lambda descriptor: told(fstat(descriptor)))
    monkeypatch.setattr(Path, "stat", lambda self, **chosen: told(stat_path(self, **chosen)))


def test_what_would_not_be_believed_is_refused(
    study: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the way out."""
    state.mkdir(parents=True)
    state.chmod(0o777)
    with pytest.raises(StorageError, match="chmod go-w"):
        trust(code(study), study)
    monkeypatch.setenv("XDG_STATE_HOME", str(study / "a.npz"))
    with pytest.raises(StorageError, match="cannot be written"):
        trust(code(study), study)
    assert not is_trusted(code(study), study)


OTHERS = stat.S_IWGRP, stat.S_IWOTH


def test_what_this_user_owns_runs_without_a_word(study: Path, state: Path) -> None:
    """A study that nobody has begun yet."""
    refuse_code(code(study), study, trusted=False)
    assert not state.exists()
    with pytest.raises(StudyMismatchError, match=r"nobody began here.*--trust"):
        refuse_code(code(study), study, trusted=False, begun_here=True)


@pytest.mark.parametrize("bit", OTHERS)
@pytest.mark.parametrize("path", [".", "samples.py", "beside.py", "pack", "pack/deep.py"])
def test_what_others_may_write_is_looked_at_first(
    path: str, bit: int, study: Path, state: Path
) -> None:
    """Also what the code imports of the study's, and the folders that it is looked for in."""
    (study / "pack").mkdir()
    (study / "pack" / "deep.py").write_text("")
    (study / "beside.py").write_text("import pack.deep\n")
    (study / path).chmod((study / path).stat().st_mode | bit)
    with pytest.raises(StudyMismatchError, match=r"look at .*samples.py, and go on with --trust"):
        refuse_code(code(study), study, trusted=False)
    refuse_code(code(study), study, trusted=True)
    refuse_code(code(study), study, trusted=False)


def test_files_that_are_not_imported_do_not_matter(study: Path, state: Path) -> None:
    """Data among them."""
    for name in ("lines.txt", "a.npz"):
        (study / name).chmod(0o666)
    refuse_code(code(study), study, trusted=False)
    refuse_code(inputs_of("a.npz", study), study, trusted=False, begun_here=True)
    assert not state.exists()  # nobody had to be trusted
