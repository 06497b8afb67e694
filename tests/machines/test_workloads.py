"""What is said where a study's inputs cannot be read."""

from pathlib import Path

from autotune.machines.workloads import with_log
from autotune.workload.words import IN_LOG


def test_the_log_is_named_whatever_was_said() -> None:
    """In place of "the log" where the text ends with it, and after it elsewhere."""
    log = Path("logs/failed-1.log")
    assert with_log(f"f raised: no camera; {IN_LOG}", log) == (
        "f raised: no camera; its traceback is in logs/failed-1.log"
    )
    assert with_log("f took more than 3 s; see the log book", log) == (
        "f took more than 3 s; see the log book (its log: logs/failed-1.log)"
    )
    for said in ("f took more than 3 s", f"f raised: no camera; {IN_LOG}"):
        assert with_log(said, None) == said
