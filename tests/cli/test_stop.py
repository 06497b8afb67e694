"""What signals do to work that takes its time."""

import signal
from collections.abc import Iterator
from functools import partial

import pytest
from rich.console import Console

from autotune.cli.output import announce
from autotune.cli.stop import Signals
from autotune.machines.locks import Patience

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ASKING = (signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Whatever a test does to signals is undone."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    """To this thread: its handler has run when this returns, whatever other threads there are."""
    signal.raise_signal(number)


def test_ctrl_c_once_asks_and_twice_interrupts(capsys: pytest.CaptureFixture[str]) -> None:
    """And afterwards Ctrl-C is what it was before."""
    before = signal.getsignal(signal.SIGINT)
    with Signals(partial(announce, Console())) as stop:
        assert not stop()
        send(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "press Ctrl-C again to stop now" in capsys.readouterr().out


def test_a_terminal_that_goes_away_asks_however_often_it_says_so() -> None:
    """The kernel and the shell both say it; the piece at hand is finished."""
    told: list[str] = []
    with Signals(told.append) as stop:
        send(signal.SIGHUP)
        send(signal.SIGHUP)
        assert stop()
    assert len(told) == 1


def test_sigterm_stops_at_once() -> None:
    """Whoever sends it does not wait for long, nor for what would come next."""
    with Signals(lambda _: None) as stop:
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
        assert stop()


@pytest.mark.parametrize("number", SIGNALS)
def test_an_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    """That is what nohup and background jobs of a shell begin with."""
    signal.signal(number, signal.SIG_IGN)
    with Signals(lambda _: None) as stop:
        send(number)
        assert not stop()
        assert signal.getsignal(number) is signal.SIG_IGN
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", SIGNALS)
def test_whoever_only_waits_is_stopped_at_once(number: signal.Signals) -> None:
    """Nothing has begun that would have to be ended with care."""
    waiting = Patience(is_waiting=True)
    with Signals(lambda _: None, patience=waiting), pytest.raises(KeyboardInterrupt):
        send(number)


@pytest.mark.parametrize("number", ASKING)
def test_whoever_is_stopped_before_a_wait_does_not_wait(number: signal.Signals) -> None:
    """The wait asks for it."""
    patience = Patience()
    with Signals(lambda _: None, patience=patience):
        send(number)
        assert patience.is_stopped()


@pytest.mark.parametrize("number", SIGNALS)
def test_nothing_cuts_off_what_is_left_at_the_end(number: signal.Signals) -> None:
    """Writing files takes a moment."""
    with Signals(lambda _: None) as stop:
        stop.settle()
        for _ in range(3):
            send(number)
        assert not stop()


def test_afterwards_signals_do_what_they_did() -> None:
    """But for those that were ignored, which stay so; and not only where the work is done."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop = Signals(lambda _: None)
    stop.install()
    assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    stop.settle()
    stop.release()
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", ASKING)
def test_who_asked_for_it_is_told(number: signal.Signals) -> None:
    """The work looks at an object of its own."""

    class Asked:
        requested = False

    asked = Asked()
    with Signals(lambda _: None, "this trial", asked=asked):
        send(number)
    assert asked.requested
