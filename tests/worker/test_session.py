"""A session answers every command, whatever goes wrong in it."""

from pathlib import Path
from typing import Any

import pytest

from autotune.worker.batches import WrongOutputError
from autotune.worker.faults import classify
from autotune.worker.load import AsyncLoad, SyncLoad
from autotune.worker.model import ShapeError
from autotune.worker.session import Session
from tests import models

pytestmark = pytest.mark.openvino


class Answers:
    """Keeps what was said, and wants two blocks."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self._looks = 0

    def begin(self) -> None:
        """Two blocks more."""
        self._looks = 0

    def say(self, word: str, **fields: Any) -> None:
        """Keep it, but for what only says that it goes on."""
        if word != "progress":
            self.said.append({"say": word, **fields})

    def is_told_to_go_on(self) -> bool:
        """Once."""
        self._looks += 1
        return self._looks < 2


def answers_to(*commands: dict[str, Any]) -> list[dict[str, Any]]:
    """What one session says to these commands."""
    answers = Answers()
    session = Session(answers)
    for command in commands:
        session.obey(dict(command))
    return answers.said


def obeyed(session: Session, answers: Answers, command: dict[str, Any]) -> list[str]:
    """What a session that goes on says to one more command."""
    before = len(answers.said)
    answers.begin()
    session.obey(dict(command))
    return [answer["say"] for answer in answers.said[before:]]


def inspect(path: Path, folder: Path, **fields: Any) -> dict[str, Any]:
    """A command."""
    return {
        "do": "inspect",
        "path": str(path),
        "shapes": {},
        "inputs": None,
        "devices": ["CPU"],
        "reference": str(folder / "reference.npz"),
        "try_batch": True,
        **fields,
    }


def opening(path: Path, folder: Path, **fields: Any) -> dict[str, Any]:
    """A command."""
    return {
        "do": "open",
        "path": str(path),
        "shapes": {},
        "inputs": None,
        "device": "CPU",
        "properties": {"PERFORMANCE_HINT": "LATENCY"},
        "batch_size": 1,
        "reference": str(folder / "reference.npz"),
        **fields,
    }


LOAD = {
    "do": "load",
    "num_requests": 2,
    "is_blocking": False,
    "feed": "bind",
    "block_s": 0.01,
    "block_requests": 10,
    "limit_s": 60.0,
}


def test_a_whole_life(model_folder: Path, tmp_path: Path) -> None:
    """Inspect, open a batch, load until told to stop."""
    path = model_folder / models.TINY
    said = answers_to(inspect(path, tmp_path), opening(path, tmp_path, batch_size=3), LOAD)
    assert [answer["say"] for answer in said] == [
        "inspected",
        "opened",
        "block",
        "block",
        "stopped",
    ]
    assert said[0]["why_no_batch"] is None
    assert said[0]["static_shapes"] == {"x": [1, 3, 32, 32]}
    assert said[1]["output_error"] < 0.2
    assert said[4]["peak_rss_bytes"] > 2**20


def test_memory_is_said_by_phase(model_folder: Path, tmp_path: Path) -> None:
    """What was open at most, and under load; the whole life has the most."""
    path = model_folder / models.TINY
    said = answers_to(inspect(path, tmp_path), opening(path, tmp_path), LOAD)
    opened, block, stopped = said[1], said[2], said[-1]
    most = 1.01 * stopped["peak_rss_bytes"]  # the kernel's own count is not exact
    assert 2**20 < opened["open_peak_rss_bytes"] <= most
    assert 2**20 < block["rss_bytes"] <= most
    assert stopped["load_peak_rss_bytes"] is None or stopped["load_peak_rss_bytes"] > 2**20
    assert (said[0]["why_no_memory"] is None) is (stopped["load_peak_rss_bytes"] is not None)
    assert (said[0]["why_no_energy"] is None) is (block["energy_j"] is not None)


def test_a_cache_is_filled_by_one_and_used_by_another(model_folder: Path, tmp_path: Path) -> None:
    """The first says why it did not come from there; a batch as well, and a device in words."""
    path, folder = model_folder / models.TINY, tmp_path / "cache"
    folder.mkdir()
    question = {**opening(path, tmp_path, batch_size=2), "do": "cached", "cache": str(folder)}
    first, second = (answers_to(question)[0] for _ in range(2))
    assert first["why_not"] == "CPU did not take the model from its cache"
    assert (second["say"], second["why_not"]) == ("cached", None)
    assert second["compile_s"] > 0
    assert second["first_inference_ms"] > 0


def test_a_load_goes_on_with_the_requests_of_the_last_one(
    model_folder: Path, tmp_path: Path
) -> None:
    """A turn in a race costs no set-up; other requests, another API or feed need new ones."""
    path = model_folder / models.TINY
    answers = Answers()
    session = Session(answers)
    assert obeyed(session, answers, inspect(path, tmp_path)) == ["inspected"]
    assert obeyed(session, answers, opening(path, tmp_path)) == ["opened"]
    sources = []
    for change in (
        {},
        {"block_s": 0.02, "block_requests": 20, "limit_s": 5.0},
        {"num_requests": 3},
        {"num_requests": 3, "feed": "copy"},
        {"is_blocking": True},
        {},
    ):
        assert obeyed(session, answers, {**LOAD, **change}) == ["block", "block", "stopped"]
        sources.append(session._source)
    assert sources[0] is sources[1]
    assert len({id(source) for source in sources}) == 5
    assert obeyed(session, answers, opening(path, tmp_path, batch_size=2)) == ["opened"]
    assert obeyed(session, answers, LOAD) == ["block", "block", "stopped"]
    assert session._source is not sources[-1]


@pytest.mark.parametrize("api", ["async", "sync"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("feed", ["bind", "copy"])
def test_inputs_may_be_copied_for_every_request(
    model_folder: Path, tmp_path: Path, api: str, batch_size: int, feed: str
) -> None:
    """As an application does; every block has its completions, and bound ones are not copied."""
    path = model_folder / models.TINY
    answers = Answers()
    session = Session(answers)
    for command in (inspect(path, tmp_path), opening(path, tmp_path, batch_size=batch_size)):
        session.obey(command)
    load = {**LOAD, "is_blocking": api == "sync", "feed": feed}
    assert obeyed(session, answers, load) == ["block", "block", "stopped"]
    assert all(len(block["latency_ticks"]) >= 4 * 10 for block in answers.said[2:4])
    assert isinstance(session._source, AsyncLoad | SyncLoad)
    assert (session._source._copy is not None) == (feed == "copy")


def test_a_sample_model_is_written_and_runs(tmp_path: Path) -> None:
    """Where the user has none: it can be looked at, batched, and put under load."""
    path = tmp_path / "sample.xml"
    said = answers_to(
        {"do": "write_sample", "path": str(path)},
        {"do": "look", "path": str(path)},
        inspect(path, tmp_path),
        opening(path, tmp_path, batch_size=2),
        LOAD,
    )
    assert [answer["say"] for answer in said] == [
        "written",
        "looked",
        "inspected",
        "opened",
        "block",
        "block",
        "stopped",
    ]
    assert [port["name"] for port in said[1]["inputs"]] == ["x"]
    assert said[2]["why_no_batch"] is None


def test_a_sample_model_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """In one line; the session lives on."""
    (tmp_path / "file").write_text("in the way")
    command = {"do": "write_sample", "path": str(tmp_path / "file" / "sample.xml")}
    said = answers_to(command, {"do": "look", "path": None})
    assert [answer["say"] for answer in said] == ["failed", "looked"]
    assert said[0]["message"]


def test_inspection_sees_that_a_model_cannot_be_batched(model_folder: Path, tmp_path: Path) -> None:
    """By comparing outputs: the runtime raises nothing."""
    said = answers_to(inspect(model_folder / models.BATCH_TRAP, tmp_path))
    assert "shape (1, 36), expected (3, 12)" in said[0]["why_no_batch"]


def test_a_broken_batch_is_a_wrong_output(model_folder: Path, tmp_path: Path) -> None:
    """Also when somebody asks for it all the same."""
    path = model_folder / models.BATCH_TRAP
    said = answers_to(inspect(path, tmp_path), opening(path, tmp_path, batch_size=4))
    assert (said[1]["say"], said[1]["kind"]) == ("failed", "wrong_output")


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("AUTO:CPU,NOSUCH", "NOSUCH of 'AUTO:CPU,NOSUCH' is not here: the runtime has CPU"),
        ("GPU", "'GPU' is not here: "),
        ("cpu", "'cpu' is not here: it is written CPU; "),
        ("auto:CPU", "it is written AUTO:CPU; "),
        ("MULTI:cpu", "cpu of 'MULTI:cpu' is not here: it is written CPU; "),
        ("AUTO:-CPU", "'AUTO:-CPU' leaves out every device that is here"),
        ("MULTI:", "name them, as in MULTI:CPU"),
        ("AUTO: CPU", "' CPU' is no name"),
        ("MULTI:CPU(x)", "is no name"),
        ("MULTI:CPU,CPU", "CPU stands there twice"),
        ("HETERO:CPU(2)", "HETERO takes no counts"),
        ("BATCH:CPU(0)", "a count from 1 on"),
        ("BATCH:CPU,GPU(4)", "BATCH collects requests for one device"),
    ],
)
def test_a_name_that_the_runtime_refuses_is_refused_at_once(
    model_folder: Path, tmp_path: Path, device: str, why: str
) -> None:
    """As the runtime (2026.4.1) does when it compiles, but for what would be the same as less."""
    said = answers_to(inspect(model_folder / models.TINY, tmp_path, devices=[device]))
    assert (said[0]["say"], said[0]["kind"]) == ("failed", "device")
    assert why in said[0]["message"]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (lambda m, t: inspect(m / "nosuch.xml", t), "model"),
        (lambda m, t: inspect(m / models.DYNAMIC, t), "shape"),
        (lambda m, t: inspect(m / models.TINY, t, devices=["NOSUCH"]), "device"),
        (lambda m, t: inspect(m / models.TINY, t, devices=["AUTO:CPU,NOSUCH"]), "device"),
        (lambda m, t: inspect(m / models.TINY, t, inputs=str(t / "nosuch.npz")), "data"),
        (lambda m, t: LOAD, "runtime_error"),
    ],
    ids=[
        "no model",
        "dynamic shape",
        "no device",
        "no member of a meta device",
        "no inputs",
        "nothing open",
    ],
)
def test_every_fault_is_an_answer(
    model_folder: Path, tmp_path: Path, command: Any, kind: str
) -> None:
    """One line with its kind; the session lives on."""
    said = answers_to(command(model_folder, tmp_path), {"do": "look", "path": None})
    assert (said[0]["say"], said[0]["kind"]) == ("failed", kind)
    assert said[0]["message"]
    assert "\n" not in said[0]["message"]
    assert said[1]["say"] == "looked"


@pytest.mark.parametrize(
    "fields",
    [
        {"device": "NOSUCH"},
        {"properties": {"NO_SUCH_PROPERTY": "1"}},
        {"properties": {"ENABLE_CPU_PINNING": "?"}},
    ],
    ids=["device gone", "unknown property", "bad value"],
)
def test_what_the_runtime_refuses_is_an_invalid_configuration(
    model_folder: Path, tmp_path: Path, fields: dict[str, Any]
) -> None:
    """In one line; the session lives on."""
    path = model_folder / models.TINY
    said = answers_to(
        inspect(path, tmp_path), opening(path, tmp_path, **fields), {"do": "look", "path": None}
    )
    assert [answer["say"] for answer in said] == ["inspected", "failed", "looked"]
    assert said[1]["kind"] == "invalid_configuration"
    assert "\n" not in said[1]["message"]


@pytest.mark.parametrize(
    ("error", "phase", "kind"),
    [
        (WrongOutputError("x"), "open", "wrong_output"),
        (ShapeError("x"), "inspect", "shape"),
        (MemoryError(), "load", "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "open", "out_of_memory"),
        (RuntimeError("Failed to allocate 16777216 bytes of memory"), "open", "out_of_memory"),
        (RuntimeError("[GPU] CL_OUT_OF_RESOURCES exception"), "load", "out_of_memory"),
        (
            RuntimeError("NotFound: Unsupported property X by CPU plugin."),
            "open",
            "invalid_configuration",
        ),
        (RuntimeError("Wrong value V for property key K."), "open", "invalid_configuration"),
        (RuntimeError('Device with "FOO" name is not registered'), "open", "invalid_configuration"),
        (RuntimeError("proc_type_table is empty."), "open", "compile_error"),
        (RuntimeError("anything"), "load", "runtime_error"),
        (RuntimeError("anything"), "inspect", "model"),
    ],
)
def test_an_exception_is_classified_by_type_and_words(
    error: Exception, phase: str, kind: str
) -> None:
    """OpenVINO raises RuntimeError for everything; the words tell them apart."""
    assert classify(error, phase) == kind
