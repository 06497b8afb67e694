"""One log for each worker, in a folder that stays small."""

from pathlib import Path

import pytest

from autotune.machines import logs
from autotune.machines.logs import WorkerLogs


def ended(found: WorkerLogs, text: str, *, failed: bool) -> Path:
    """A worker that printed this and is gone."""
    path = found.begin()
    path.write_text(text)
    found.end(path, failed=failed)
    return path


def texts(folder: Path, kind: str = "*") -> set[str]:
    """What the logs of a kind hold."""
    return {path.read_text() for path in folder.glob(f"{kind}-*.log")}


def test_every_worker_has_a_log_of_its_own(tmp_path: Path) -> None:
    """Also when those before it are gone, and those of an earlier session are still there."""
    found = WorkerLogs(tmp_path / "logs")
    paths = [ended(found, "", failed=False), ended(found, "x", failed=True), found.begin()]
    later = WorkerLogs(tmp_path / "logs")
    paths += [later.begin(), later.begin()]
    assert len(set(paths)) == len(paths)


def test_a_night_of_workers_leaves_few_logs(tmp_path: Path) -> None:
    """The last few of those that ended well, more of those that failed, nothing of the silent."""
    found = WorkerLogs(tmp_path)
    for number in range(300):
        ended(found, "", failed=False)
        ended(found, f"well {number}", failed=False)
        ended(found, f"ill {number}", failed=True)
    assert texts(tmp_path, "worker") == {f"well {number}" for number in range(295, 300)}
    assert texts(tmp_path, "failed") == {f"ill {number}" for number in range(250, 300)}


def test_failures_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the newest is kept however large it is."""
    monkeypatch.setattr(logs, "_MOST_BYTES", 100)
    found = WorkerLogs(tmp_path)
    for number in range(9):
        ended(found, f"{number}" * 40, failed=True)
    assert texts(tmp_path) == {"7" * 40, "8" * 40}
    ended(found, "9" * 1000, failed=True)
    assert texts(tmp_path) == {"9" * 1000}


def test_the_log_of_a_living_worker_stays(tmp_path: Path) -> None:
    """A resident lives all night, and many others come and go beside it."""
    found = WorkerLogs(tmp_path)
    resident = found.begin()
    resident.write_text("resident")
    for number in range(20):
        ended(found, f"well {number}", failed=False)
    assert resident.read_text() == "resident"


def test_logs_of_a_session_that_was_killed_are_put_away(tmp_path: Path) -> None:
    """Nobody ended its workers."""
    cut_off = WorkerLogs(tmp_path)
    for number in range(20):
        cut_off.begin().write_text(f"{number}")
    WorkerLogs(tmp_path).begin()
    assert texts(tmp_path) == {*(str(number) for number in range(15, 20)), ""}


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """The reference outputs lie beside the logs, and so does what a user puts there."""
    others = [
        tmp_path / name for name in ("reference.npz", "worker.log", "my-notes.log", "a-1.log")
    ]
    for path in others:
        path.write_text("kept")
    found = WorkerLogs(tmp_path)
    for _ in range(20):
        ended(found, "x", failed=False)
    assert all(path.read_text() == "kept" for path in others)


def test_a_log_that_somebody_took_away_is_no_error(tmp_path: Path) -> None:
    """Nor is a folder that is gone."""
    found = WorkerLogs(tmp_path / "logs")
    path = found.begin()
    path.unlink()
    found.end(path, failed=True)
    path = found.begin()
    path.unlink()
    path.parent.rmdir()
    found.end(path, failed=False)
