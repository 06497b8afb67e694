"""What a model in a worker makes of its answers under load, and whose turn it is."""

from pathlib import Path

import pytest

from autotune.domain.failure import Failure, FailureKind, TrialFault
from tests.machines.fakes import KEY, LOAD, runner_of


def load_failure(folder: Path, body: str, block_s: float = 60.0) -> tuple[int, Failure]:
    """Blocks that came before the load failed, and how it failed."""
    blocks = 0
    model = runner_of(folder, f"opened()\n{body}", block_s).open(KEY)
    try:
        for _ in model.load(LOAD):
            blocks += 1
    except TrialFault as fault:
        return blocks, fault.failure
    finally:
        model.close()
    pytest.fail("the load did not fail")


@pytest.mark.parametrize(
    ("body", "blocks", "kind"),
    [
        pytest.param("block(); block(); os.abort()", 2, "crash", id="crashes"),
        pytest.param("block(); os._exit(0)", 1, "lost", id="leaves"),
        pytest.param("block(); say('ready')", 1, "protocol", id="says what fits nowhere"),
        pytest.param("block(); block(ticks='ECcA')", 1, "protocol", id="three quarters of a tick"),
        pytest.param("block(); block(ticks='&')", 1, "protocol", id="no base64"),
        pytest.param(
            "say('failed', kind='runtime_error', message='oh'); hear()",
            0,
            "runtime_error",
            id="says that inference failed",
        ),
    ],
)
def test_a_failed_load_ends_after_the_blocks_before_it(
    tmp_path: Path, body: str, blocks: int, kind: str
) -> None:
    """What was measured before has been handed on."""
    found, failure = load_failure(tmp_path, body)
    assert (found, failure.kind, failure.phase) == (blocks, kind, "load")


def test_a_block_that_does_not_come_is_a_hang(tmp_path: Path) -> None:
    """The deadline of a block."""
    blocks, failure = load_failure(tmp_path, "time.sleep(1000)", block_s=0.1)
    assert (blocks, failure.kind) == (0, FailureKind.HANG)
    assert '[deadline] block is "100ms"' in failure.message


def test_closing_the_load_says_stop_and_waits_for_the_end(tmp_path: Path) -> None:
    """Blocks that were under way are passed over, and the same worker takes another load."""
    body = """
opened()
for peak in (5, 7):
    block()
    assert hear() == {"do": "stop"}
    block()
    say("stopped", peak_rss_bytes=peak)
    hear()
"""
    model = runner_of(tmp_path, body).open(KEY)
    for peak in (5, 7):
        blocks = model.load(LOAD)
        next(blocks)
        blocks.close()
        assert model.peak_rss_bytes == peak
    model.close()


def test_a_load_that_ends_by_itself_leaves_the_worker_alone(tmp_path: Path) -> None:
    """`stopped` without being asked is the load's limit."""
    body = """
opened()
while True:
    block()
    say("stopped", peak_rss_bytes=None)
    assert [hear()["do"], hear()["do"]] == ["go", "load"]
"""
    model = runner_of(tmp_path, body).open(KEY)
    for _ in range(2):
        assert len(list(model.load(LOAD))) == 1
    model.close()


_ENDLESS = """
opened()
while True:
    block()
    while hear()["do"] != "stop":
        block()
    say("stopped", peak_rss_bytes=1)
    if hear()["do"] != "load":
        break
"""


def test_two_under_load_at_once_are_refused(tmp_path: Path) -> None:
    """Both would be wrong; the one that is refused stays open and has its turn after the other."""
    runner = runner_of(tmp_path, _ENDLESS)
    one, other = runner.open(KEY), runner.open(KEY)
    blocks = one.load(LOAD)
    next(blocks)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="another worker is under load"):
            next(other.load(LOAD))
    assert other.is_open
    assert next(blocks).completions
    blocks.close()
    for model in (other, one, other):
        turn = model.load(LOAD)
        assert next(turn).completions
        turn.close()
    one.close()
    other.close()


def test_a_load_that_has_not_begun_takes_no_turn(tmp_path: Path) -> None:
    """Only the first block does."""
    runner = runner_of(tmp_path, _ENDLESS)
    one, other = runner.open(KEY), runner.open(KEY)
    waiting, blocks = one.load(LOAD), other.load(LOAD)
    assert next(blocks).completions
    blocks.close()
    assert next(waiting).completions
    waiting.close()
    one.close()
    other.close()


@pytest.mark.parametrize("end", ["os.abort()", "os._exit(0)", "say('ready'); hear()"])
def test_the_turn_is_free_again_after_a_fault(tmp_path: Path, end: str) -> None:
    """However the other one ended."""
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    for folder in (broken, sound):
        folder.mkdir()
    one = runner_of(broken, f"opened(); block(); hear(); {end}").open(KEY)
    other = runner_of(sound, _ENDLESS).open(KEY)
    with pytest.raises(TrialFault):
        list(one.load(LOAD))
    assert not one.is_open
    blocks = other.load(LOAD)
    assert next(blocks).completions
    blocks.close()
    one.close()
    other.close()


def test_the_turn_is_free_again_after_a_load_that_ended_by_itself(tmp_path: Path) -> None:
    """At its limit."""
    runner = runner_of(tmp_path, "opened()\nblock(); say('stopped', peak_rss_bytes=1); hear()")
    one, other = runner.open(KEY), runner.open(KEY)
    assert [len(list(model.load(LOAD))) for model in (one, other)] == [1, 1]
    one.close()
    other.close()
