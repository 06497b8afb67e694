"""What the subprocess runner makes of a worker's answers, phase by phase."""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.model_file import ModelSource
from autotune.errors import DeviceError, ModelError
from autotune.machines import workers as runners
from autotune.machines.deadlines import Deadlines
from autotune.machines.ports import Load, OpenModel
from autotune.machines.workers import SubprocessRunner, look, write_sample_model
from autotune.space.configuration import CompileKey
from tests.machines.fakes import fake_worker, is_gone

KEY = CompileKey("CPU", (("PERFORMANCE_HINT", "LATENCY"),), 1)
LOAD = Load(num_requests=1, block_s=0.01, limit_s=60.0)


def runner_of(
    folder: Path, body: str, block_s: float = 60.0, deadlines: Deadlines | None = None
) -> SubprocessRunner:
    """A runner whose workers have this body."""
    source = ModelSource(path=folder / "m.xml", shapes={}, inputs=None)
    deadlines = deadlines or Deadlines(block_s=block_s)
    return SubprocessRunner(source, folder / "logs", deadlines, fake_worker(folder, body))


def open_failure(folder: Path, body: str) -> Failure:
    """How opening fails."""
    with pytest.raises(TrialFault) as caught:
        runner_of(folder, body).open(KEY)
    return caught.value.failure


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
    ("body", "kind", "phase"),
    [
        pytest.param(
            "say('ready'); hear(); say('failed', kind='out_of_memory', message='bad_alloc')",
            "out_of_memory",
            "open",
            id="says that memory ran out",
        ),
        pytest.param(
            "say('ready'); hear(); say('failed', kind='wrong_output', message='by 0.5')",
            "wrong_output",
            "open",
            id="says that outputs are wrong",
        ),
        pytest.param(
            "say('ready'); hear(); say('failed', kind='shape', message='no')",
            "compile_error",
            "open",
            id="says something that is no kind of failure",
        ),
        pytest.param("say('ready'); hear(); os.abort()", "crash", "open", id="crashes compiling"),
        pytest.param("say('ready'); hear(); say('ready')", "protocol", "open", id="repeats itself"),
        pytest.param("say('stopped', peak_rss_bytes=1)", "protocol", "start", id="begins wrong"),
        pytest.param(
            "say('failed', kind='lost', message='no module named openvino'); os._exit(1)",
            "lost",
            "start",
            id="cannot import the runtime",
        ),
    ],
)
def test_a_failed_opening_has_kind_and_phase(
    tmp_path: Path, body: str, kind: str, phase: str
) -> None:
    """They decide whether the compile key is ruled out or tried again."""
    failure = open_failure(tmp_path, body)
    assert (failure.kind, failure.phase) == (kind, phase)


def test_an_allocation_beyond_the_limit_is_out_of_memory(tmp_path: Path) -> None:
    """A worker that survives its MemoryError says so itself."""
    body = """
say("ready")
hear()
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    bytearray(2**32)
except MemoryError:
    say("failed", kind="out_of_memory", message="MemoryError")
hear()
"""
    assert open_failure(tmp_path, body).kind is FailureKind.OUT_OF_MEMORY


def test_those_opened_side_by_side_start_and_compile_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is ready before all have started, none compiled before all compile."""
    monkeypatch.chdir(tmp_path)
    body = "together('start', 3); say('ready'); hear(); together('compile', 3); compiled()"
    runner = runner_of(tmp_path, body)
    with runner.side_by_side([KEY] * 3):
        models = [runner.open(KEY) for _ in range(3)]
    assert [len(list(tmp_path.glob(f"{step}-*"))) for step in ("start", "compile")] == [3, 3]
    assert all(model.is_open for model in models)
    for model in models:
        model.close()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("a bug")])
def test_what_nobody_waited_for_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    """However that came about, and it leaves no log."""
    monkeypatch.chdir(tmp_path)
    body = "together('start', 3); say('ready'); hear(); time.sleep(1000)"
    runner = runner_of(tmp_path, body)
    with contextlib.suppress(KeyboardInterrupt, RuntimeError), runner.side_by_side([KEY] * 3):
        if error is not None:
            raise error
    groups = [int(path.name.partition("-")[2]) for path in tmp_path.glob("start-*")]
    assert len(groups) == 3
    assert all(is_gone(group) for group in groups)
    assert list((tmp_path / "logs").iterdir()) == []


@pytest.mark.parametrize("start", ["os._exit(3)", "say('stopped', peak_rss_bytes=1)"])
def test_side_by_side_a_failed_start_is_told_where_that_one_is_opened(
    tmp_path: Path, start: str
) -> None:
    """With its phase."""
    runner = runner_of(tmp_path, start)
    with runner.side_by_side([KEY]), pytest.raises(TrialFault) as caught:
        runner.open(KEY)
    assert caught.value.failure.phase == "start"


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


@pytest.mark.parametrize(
    ("body", "limits", "kind", "words"),
    [
        (
            "time.sleep(1000)",
            {"start_s": 0.2},
            FailureKind.HANG,
            "no answer within 0 s of 'start': [deadline] start is \"200ms\"",
        ),
        (
            "say('ready'); hear(); time.sleep(1000)",
            {"open_s": 0.2},
            FailureKind.COMPILE_TIMEOUT,
            "no answer within 0 s of 'open': [deadline] compile is \"200ms\"",
        ),
        (
            "say('ready'); hear(); say('progress', what='a check'); time.sleep(1000)",
            {"open_s": 0.2},
            FailureKind.COMPILE_TIMEOUT,
            "no answer within 0 s of 'a check': [deadline] compile is \"200ms\"",
        ),
    ],
    ids=["start", "open", "a step of open"],
)
def test_a_deadline_that_passes_names_its_key(
    tmp_path: Path, body: str, limits: dict[str, float], kind: FailureKind, words: str
) -> None:
    """And the value that it had, and how to raise it."""
    with pytest.raises(TrialFault) as caught:
        runner_of(tmp_path, body, deadlines=Deadlines(**limits)).open(KEY)
    assert caught.value.failure.kind is kind
    assert caught.value.failure.message.startswith(words)


def test_each_step_of_an_inspection_has_its_own_time(tmp_path: Path) -> None:
    """Together they may take longer than one of them may; the one that hangs is named."""
    body = """
say("ready")
hear()
for step in range(4):
    say("progress", what=f"step {step}")
    time.sleep(0.7)
time.sleep(1000)
"""
    runner = runner_of(tmp_path, body, deadlines=Deadlines(inspect_s=2.0))
    words = "of 'step 3': [deadline] inspect is \"2s\""
    with pytest.raises(ModelError, match=re.escape(words)):
        runner.inspect(["CPU"], try_batch=False)


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


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ("say('failed', kind='device', message='no GPU')", DeviceError, "no GPU"),
        ("say('failed', kind='shape', message='give --shape')", ModelError, "give --shape"),
        ("say('failed', kind='model', message='no ONNX')", ModelError, "cannot be read: no ONNX"),
        ("say('ready')", ModelError, "unexpected answer"),
        ("os.abort()", ModelError, "SIGABRT"),
    ],
    ids=["device", "shape", "model", "nonsense", "crash"],
)
def test_an_inspection_that_fails_is_an_error_for_the_user(
    tmp_path: Path, answer: str, error: type[Exception], words: str
) -> None:
    """It ends the program before anything is written, with the file's name and a way out."""
    runner = runner_of(tmp_path, f"say('ready'); hear(); {answer}; hear()")
    with pytest.raises(error, match=words):
        runner.inspect(["CPU"], try_batch=False)


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


_NOISY = """
import pathlib
name = pathlib.Path(sys.argv[0]).parent.joinpath("name").read_text()
print(f"I am {name}", flush=True)
opened()
"""


def noisy(folder: Path, runner: SubprocessRunner, name: str) -> OpenModel:
    """A resident that has printed its name."""
    (folder / "name").write_text(name)
    return runner.open(KEY)


def test_a_failure_quotes_the_output_of_its_own_worker(tmp_path: Path) -> None:
    """Other residents have begun and printed since, and have ended well or not."""
    body = "block(); print('and that is why', flush=True); os.abort()"
    runner = runner_of(tmp_path, _NOISY + body)
    first = noisy(tmp_path, runner, "the first")
    others = [noisy(tmp_path, runner, name) for name in ("the second", "the third")]
    others[0].close()
    with pytest.raises(TrialFault):
        list(others[1].load(LOAD))
    noisy(tmp_path, runner, "the fourth").close()
    with pytest.raises(TrialFault) as caught:
        list(first.load(LOAD))
    said = caught.value.failure.stderr_tail
    assert said.splitlines() == ["I am the first", "and that is why"]


def test_logs_of_failures_are_kept_and_told_apart(tmp_path: Path) -> None:
    """By their name; a worker that was silent and ended well leaves none."""
    silent = runner_of(tmp_path, "opened()")
    silent.open(KEY).close()
    assert list((tmp_path / "logs").iterdir()) == []
    failing = runner_of(tmp_path, "print('oh', flush=True); sys.exit(1)")
    with pytest.raises(TrialFault):
        failing.open(KEY)
    assert [path.read_text() for path in (tmp_path / "logs").glob("failed-*.log")] == ["oh\n"]


@pytest.mark.parametrize("refusal", ["compile_error", "wrong_output"])
def test_a_configuration_that_is_refused_leaves_its_log(tmp_path: Path, refusal: str) -> None:
    """What a plug-in printed is why it was refused."""
    body = f"""
print("cannot do it", flush=True)
say("ready")
hear()
say("failed", kind="{refusal}", message="no")
hear()
"""
    with pytest.raises(TrialFault):
        runner_of(tmp_path, body).open(KEY)
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["failed-00001.log"]


PASSING: dict[str, Callable[[Path], object]] = {
    "m.xml: cannot be read": look,
    "the runtime: cannot be read": lambda _: look(None),
    "m.xml: cannot be written": write_sample_model,
}
"""What is asked of a worker that stays for a question only, and how it says that it cannot."""


@pytest.mark.parametrize("said", PASSING)
def test_a_question_without_a_folder_for_temporary_files_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Of what was asked, and of the cause."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=f"{said}: no folder for temporary files: .*gone"):
        PASSING[said](tmp_path / "m.xml")


@pytest.mark.parametrize("said", PASSING)
@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENOSPC])
def test_a_question_on_a_machine_that_starts_no_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    """No memory, no process, no file, no space."""

    def refuse(log: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(runners, "WorkerProcess", refuse)
    with pytest.raises(
        ModelError, match=f"{said}: a worker cannot .*{os.strerror(code)}"
    ) as caught:
        PASSING[said](tmp_path / "m.xml")
    assert "\n" not in str(caught.value)
