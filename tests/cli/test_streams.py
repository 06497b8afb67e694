"""Output that goes away: viewers end, quietly or with one line, and no traceback is ever seen."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from rich.console import Console

from autotune.cli.output import announce
from tests.report.studies import make_study
from tests.surfaces.test_replay import recorded

AUTOTUNE = (sys.executable, "-m", "autotune")
VIEWERS = {
    "status": ("status", "STUDY"),
    "log": ("log", "STUDY"),
    "best --json": ("best", "STUDY", "--json"),
    "pareto": ("pareto", "STUDY"),
    "frame": ("frame", "STUDY"),
    "--help": ("--help",),
    "--version": ("--version",),
}
Open = Callable[[ExitStack], int]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight trials, to be looked at."""
    return make_study(tmp_path_factory.mktemp("night") / "study", trials=8)


def _descriptor(stack: ExitStack, number: int) -> int:
    stack.callback(os.close, number)
    return number


def _full(stack: ExitStack) -> int:
    return _descriptor(stack, os.open("/dev/full", os.O_WRONLY))


def _no_reader(stack: ExitStack) -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return _descriptor(stack, writer)


def _no_terminal(stack: ExitStack) -> int:
    terminal, here = os.openpty()
    os.close(terminal)
    return _descriptor(stack, here)


def _read_only(stack: ExitStack) -> int:
    return _descriptor(stack, os.open(os.devnull, os.O_RDONLY))


LOST: dict[str, tuple[Open, str]] = {
    "full": (_full, "No space left on device"),
    "no reader": (_no_reader, ""),
    "no terminal": (_no_terminal, "Input/output error"),
    "not for writing": (_read_only, "Bad file descriptor"),
}
CASES = [
    ("status", "full"),
    ("status", "no reader"),
    ("log", "no terminal"),
    ("best --json", "full"),
    ("best --json", "no reader"),
    ("pareto", "full"),
    ("frame", "full"),
    ("frame", "no reader"),
    ("--help", "full"),
    ("--help", "no reader"),
    ("--version", "not for writing"),
]


@pytest.mark.parametrize(("viewer", "loss"), CASES)
def test_a_viewer_without_output_ends_with_a_line_or_less(
    study: Path, viewer: str, loss: str
) -> None:
    """Exit code 1; the line says what is wrong, and there is none where the reader just left."""
    words = [str(study) if word == "STUDY" else word for word in VIEWERS[viewer]]
    lose, says = LOST[loss]
    with ExitStack() as stack:
        ended = subprocess.run(
            [*AUTOTUNE, *words],
            stdout=lose(stack),
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=100,
        )
    line = f"autotune: the output cannot be written: {says}\n" if says else ""
    assert (ended.returncode, ended.stderr) == (1, line)


SIMULATED = (
    "from autotune.racing import contest; from autotune.testing import SimulatedRunner; "
    "contest._subprocess_runner = lambda model, folder, budget: SimulatedRunner(); "
    "from autotune.cli.main import main; main()"
)


@pytest.mark.parametrize(
    ("words", "loss", "code"),
    [
        (("verify", "best.json"), "full", 0),
        (("verify", "best.json"), "no reader", 0),
        (("verify", "best.json", "--json"), "full", 1),
        (("compare", "LATENCY", "THROUGHPUT", "--model", "model.onnx"), "no reader", 1),
        (("doctor", "--calibrate", "--model", "model.onnx"), "full", 0),
    ],
)
def test_what_is_answered_in_another_way_needs_no_output(
    study: Path, words: tuple[str, ...], loss: str, code: int
) -> None:
    """A verdict is an exit code, too, and a calibration is kept in a file; JSON is output."""
    best = [*AUTOTUNE, "best", str(study), "--out", str(study / "best.json")]
    subprocess.run(best, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        ended = subprocess.run(
            [sys.executable, "-c", SIMULATED, *words, "--budget", "60s"],
            cwd=study,
            stdout=LOST[loss][0](stack),
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=100,
        )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ("the output cannot be written" in ended.stderr) is ("--json" in words)


def test_a_plot_needs_no_output(tmp_path: Path) -> None:
    """It is written whatever becomes of the tables before it."""
    recorded(tmp_path)
    words = ("replay", "surface.db", "--trials", "4", "--seeds", "1", "--sampler", "random")
    with ExitStack() as stack:
        ended = subprocess.run(
            [*AUTOTUNE, *words, "--plot", "plot.html"],
            cwd=tmp_path,
            stdout=_no_reader(stack),
            check=False,
            timeout=100,
        )
    assert ended.returncode == 0
    assert (tmp_path / "plot.html").exists()


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_places_for_files(study: Path, closed: str) -> None:
    """What a viewer opens does not become its output."""
    before = (study / "study.db").read_bytes()
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *AUTOTUNE, "status", str(study)]
    ended = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=100)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ("Bad file descriptor" in ended.stderr) is ("2>" not in closed)
    assert "Traceback" not in ended.stderr
    assert (study / "study.db").read_bytes() == before


@pytest.mark.parametrize("loss", LOST)
def test_error_output_is_never_missed(study: Path, loss: str) -> None:
    """An error is told by the exit code alone, and a success is one."""
    with ExitStack() as stack:
        lost = LOST[loss][0](stack)
        told = subprocess.run([*AUTOTUNE, "status", "gone"], stderr=lost, check=False, timeout=100)
        fine = subprocess.run(
            [*AUTOTUNE, "--version"], stdout=subprocess.PIPE, stderr=lost, check=False, timeout=100
        )
    assert told.returncode == 2
    assert (fine.returncode, fine.stdout[:9]) == (0, b"autotune ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict", "ascii:surrogateescape"])
def test_no_letter_is_refused(study: Path, encoding: str) -> None:
    """Whatever the terminal cannot show is spelt out."""
    ended = subprocess.run(
        [*AUTOTUNE, "status", str(study)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"best and hints" in ended.stdout


@pytest.fixture
def slow_pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writer does not wait by itself: others made it so."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    os.close(reader)


def test_a_pipe_that_does_not_block_loses_nothing(study: Path, slow_pipe: tuple[int, int]) -> None:
    """It is waited for, and all of it arrives; nobody reads before the pipe is full."""
    reader, writer = slow_pipe
    program = (
        "from autotune.cli.streams import guard, finish; guard(); print('x' * 1_000_000); finish()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer) as process:
        os.close(writer)
        count = 0
        while chunk := os.read(reader, 1 << 16):
            count += len(chunk)
    assert (process.returncode, count) == (0, 1_000_001)


def test_a_reader_that_stands_still_holds_up_nothing(slow_pipe: tuple[int, int]) -> None:
    """Lines are left out while nobody reads, and come again when somebody does."""
    reader, writer = slow_pipe
    os.set_blocking(writer, True)
    done, say_done = os.pipe()
    program = (
        "import os; from autotune.cli.streams import guard, finish, optional_output; guard()\n"
        "with optional_output(0.1):\n"
        "    for _ in range(100): print('x' * 10_000)\n"
        f"os.write({say_done}, b'done')\n"
        "print('the end'); finish()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=writer, pass_fds=[say_done]) as process:
        os.close(writer)
        os.close(say_done)
        assert os.read(done, 4) == b"done"
        os.close(done)
        found = b""
        while chunk := os.read(reader, 1 << 16):
            found += chunk
    assert process.returncode == 0
    assert 0 < found.count(b"x") < 1_000_000
    assert found.endswith(b"the end\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_one_signal_ends_a_wait_for_a_reader(number: signal.Signals, code: int) -> None:
    """What is left in the buffer then is not waited for again; no traceback."""
    reader, writer = os.pipe()
    program = (
        "from autotune.cli import main as m\n"
        "m.app = lambda: [print('x' * 99) for _ in range(9999)]\n"
        "m.main()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE) as process:
        try:
            while select.select([], [writer], [], 0.01)[1]:  # until it is full
                assert process.poll() is None
            process.send_signal(number)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)
    assert (process.returncode, said) == (code, b"")


def test_a_line_from_a_signal_handler_waits_for_nobody(slow_pipe: tuple[int, int]) -> None:
    """It is left out where nobody reads: the work that it interrupts goes on."""
    reader, writer = slow_pipe
    count = 0
    with suppress(BlockingIOError):
        while True:
            count += os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    with os.fdopen(writer, "w") as file:
        announce(Console(file=file), "left out")
        assert count == len(os.read(reader, 2 * count))
        announce(Console(file=file), "heard")
    assert os.read(reader, 100) == b"heard\n"


def test_whoever_took_over_the_output_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A test or a notebook, for instance."""
    from autotune.cli.streams import finish, guard, optional_output

    before = sys.stdout
    guard()
    assert sys.stdout is before
    with optional_output():
        print("heard")
    finish()
    assert capsys.readouterr().out == "heard\n"
