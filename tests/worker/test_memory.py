"""What memory the process takes: by phase where the system lets the mark begin anew."""

from pathlib import Path

import numpy as np
import pytest

from autotune.worker import memory
from autotune.worker.memory import HighWater, give_back, peak_rss_bytes, rss_bytes

MIB = 2**20


def fake(folder: Path, peak_kib: int, rss_bytes: int) -> Path:
    """A process that has these figures."""
    (folder / "status").write_text(f"Name:\tpython\nVmHWM:\t  {peak_kib} kB\nVmRSS:\t 1 kB\n")
    pages = rss_bytes // memory._PAGE_BYTES
    (folder / "statm").write_text(f"99999 {pages} 1 1 0 1 0\n")
    return folder


def test_of_this_process() -> None:
    """It is resident with more than a megabyte, and was never less than at its peak."""
    assert MIB < (rss_bytes() or 0) <= 1.05 * (peak_rss_bytes() or 0)


def test_a_phase_has_a_mark_of_its_own() -> None:
    """That of the whole life stays what it was."""
    mark = HighWater()
    big = np.ones(64 * MIB, np.uint8)
    before = mark.whole_bytes
    del big
    give_back()
    mark.begin()
    if mark.phase_bytes is None:
        pytest.skip("this system does not let the mark begin anew")
    assert before is not None
    assert mark.phase_bytes < before - 32 * MIB
    # The kernel's own count is not exact.
    assert mark.whole_bytes == pytest.approx(before, rel=0.01)


def test_where_the_mark_cannot_begin_anew_a_phase_has_none(tmp_path: Path) -> None:
    """A sandbox without clear_refs; nothing is made up, and no file either."""
    mark = HighWater(fake(tmp_path, 2048, MIB))
    mark.begin()
    assert (mark.whole_bytes, mark.phase_bytes) == (2 * MIB, None)
    assert not (tmp_path / "clear_refs").exists()
    assert mark.why_no_phase == f"{tmp_path / 'clear_refs'} cannot be written, as in some sandboxes"


def test_where_nobody_counts_nothing_is_known(tmp_path: Path) -> None:
    """As on other systems than Linux."""
    mark = HighWater(tmp_path)
    mark.begin()
    assert (mark.whole_bytes, mark.phase_bytes, rss_bytes(tmp_path)) == (None, None, None)
    assert mark.why_no_phase is not None


def test_what_was_given_back_counts_as_held(tmp_path: Path) -> None:
    """A deployment would not have given it back; what is above it is no credit."""
    (tmp_path / "clear_refs").write_text("0")
    mark = HighWater(fake(tmp_path, 10 * 1024, 8 * MIB))
    mark.begin(held_bytes=9 * MIB)
    assert (tmp_path / "clear_refs").read_text() == "5"
    fake(tmp_path, 12 * 1024, 8 * MIB)
    assert (mark.phase_bytes, mark.why_no_phase) == (13 * MIB, None)
    mark.begin(held_bytes=7 * MIB)
    assert mark.phase_bytes == 12 * MIB
