"""What the subprocess runner makes of a worker's answers, phase by phase."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.errors import DeviceError, ModelError
from autotune.machines.deadlines import Deadlines
from autotune.machines.ports import OpenModel
from autotune.machines.workers import SubprocessRunner
from autotune.space.rows.variant import VARIANT
from autotune.workload.workload import ModelSource, Variant
from tests.machines.fakes import KEY, LOAD, fake_worker, is_gone, runner_of


def open_failure(folder: Path, body: str) -> Failure:
    """How opening fails."""
    with pytest.raises(TrialFault) as caught:
        runner_of(folder, body).open(KEY)
    return caught.value.failure


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


TELLS_ITS_FILE = "say('ready'); say('failed', kind='lost', message=hear()['path'])"


@pytest.mark.parametrize(
    ("model", "file"),
    [((), "m.xml"), (((VARIANT.name, "int8"),), "int8.xml")],
    ids=["given", "variant"],
)
def test_a_compile_key_names_the_file_that_is_opened(
    tmp_path: Path, model: tuple[tuple[str, str], ...], file: str
) -> None:
    """The model that was given, or another of the same contract."""
    runner = SubprocessRunner(
        ModelSource(path=tmp_path / "m.xml", shapes={}),
        tmp_path / "logs",
        Deadlines(),
        fake_worker(tmp_path, TELLS_ITS_FILE),
        variants=[Variant(name="int8", source=ModelSource(path=tmp_path / "int8.xml", shapes={}))],
    )
    with pytest.raises(TrialFault) as caught:
        runner.open(replace(KEY, model=model))
    assert caught.value.failure.message == str(tmp_path / file)


@pytest.mark.parametrize("model", [((VARIANT.name, "pruned"),), (("shape plan", "padded"),)])
def test_what_is_asked_of_the_model_must_be_known(
    tmp_path: Path, model: tuple[tuple[str, str], ...]
) -> None:
    """Else something that was not asked for would be measured in its place."""
    with pytest.raises(TrialFault, match="no such model is known here") as caught:
        runner_of(tmp_path, TELLS_ITS_FILE).open(replace(KEY, model=model))
    assert caught.value.failure.kind is FailureKind.INVALID_CONFIGURATION
