"""Exported programs of workloads: each answer is that of a single request of the plain model."""

import importlib.util
import itertools
import math
import subprocess
import sys
import wave
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import openvino as ov
import pytest

from autotune.domain.measurement import Feed
from autotune.export.to_targets import export
from autotune.space.dimensions import Api
from autotune.worker.fitting import cropped
from autotune.worker.states import in_sequence
from tests.export.targets.workload_models import (
    HOW,
    PAD,
    alone,
    lines_of,
    photographs,
    prepared_alone,
    write_models,
)
from tests.export.targets.workloads import look_here, write_workload

pytestmark = pytest.mark.openvino

SIZES = {"one size": [(30, 40)] * 3, "several": [(30, 40), (60, 20), (9, 13)]}
PLANS = ("dynamic", "bounded", "padded", "buckets:4|8|16")
DETECTOR = Path(__file__).parents[3] / "studies" / "models" / "detector.onnx"


@pytest.fixture(autouse=True)
def _looked_at_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker for each export; tests/export/targets/test_programs.py has them."""
    monkeypatch.setattr("autotune.export.to_targets.look", look_here)


@pytest.fixture(autouse=True)
def _as_in_a_process_of_its_own() -> Iterator[None]:
    """What a program imports, and puts on the path, is its own."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("numpy", "openvino", "PIL")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """One for all models."""
    return ov.Core()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind."""
    return write_models(tmp_path_factory.mktemp("models"))


def program(best: Path) -> ModuleType:
    """The exported program, imported."""
    (made,), _ = export(best, ["python"], best.parent / "out")
    spec = importlib.util.spec_from_file_location("exported", made.folder / "infer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(made: ModuleType, count: int) -> list[tuple[int, list[np.ndarray]]]:
    """Of so many requests the number of each item, and its part of each output."""
    found: list[tuple[int, list[np.ndarray]]] = []

    def answered(request: Any, numbers: Sequence[int]) -> None:
        outputs = [tensor.data for tensor in request.output_tensors]
        parts = [np.split(output.copy(), len(numbers)) for output in outputs]
        found.extend(zip(numbers, map(list, zip(*parts, strict=True)), strict=True))

    made.answered = answered  # type: ignore[attr-defined]
    models, items = made.load(), made.samples()
    if hasattr(made, "prepared") and not made_while_timed(made):
        items = [made.prepared(item) for item in items]
    if hasattr(made, "see_every_shape"):
        made.see_every_shape(models[0], items)
    latencies, _ = made.run(
        models, items, itertools.islice(itertools.cycle(made.turns(items)), count), math.inf
    )
    assert len(found) == count * made.BATCH_SIZE
    assert len(latencies) == (count if is_sync(made) else max(0, count - made.NUM_REQUESTS))
    assert all(one > 0 for one in latencies)
    return found


def made_while_timed(made: ModuleType) -> bool:
    """Whether images are prepared before each request."""
    return "fed_ms" in source_of(made)


def is_sync(made: ModuleType) -> bool:
    """Whether one request at a time is waited for."""
    return "blocking" in source_of(made)


def source_of(made: ModuleType) -> str:
    """A program's text."""
    assert made.__file__ is not None
    return Path(made.__file__).read_text()


def check(
    found: Sequence[tuple[int, list[np.ndarray]]], wanted: Sequence[Sequence[np.ndarray]]
) -> None:
    """Each answer is its item's own."""
    for number, outputs in found:
        for got, expected in zip(outputs, wanted[number], strict=True):
            own = cropped(got, expected.shape)
            assert np.abs(own - expected).max() <= 1e-5 * np.abs(expected).max(), number


# ----------------------------------------------------------------------------------------- a mix


def test_ten_thousand_requests_over_buckets(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """Each is answered as by itself, and shapes come as often as was said."""
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, asked = write_workload(tmp_path, models / "line.xml", said, shape_plan=PLANS[3])
    made = program(path)

    found = answers(made, 10_000)

    wanted = alone(core, models / "line.xml", asked.samples)
    check(found, wanted)
    counts = Counter(number for number, _ in found)
    assert set(counts) == set(range(len(asked.samples)))
    widths = {made.route(item) for item in made.samples()}
    assert widths == {0, 1, 2}


@pytest.mark.parametrize(
    ("plan", "batch_size", "feed"),
    [
        *itertools.product(PLANS[:2], [1], [Feed.BIND, Feed.COPY]),
        *itertools.product(PLANS[2:], [3], Feed),
        (PLANS[3], 1, Feed.BIND),
    ],
)
def test_every_plan(
    tmp_path: Path, models: Path, core: ov.Core, feed: Feed, plan: str, batch_size: int
) -> None:
    """However it is fed."""
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, asked = write_workload(
        tmp_path, models / "line.xml", said, shape_plan=plan, feed=feed, batch_size=batch_size
    )

    found = answers(program(path), 200)

    check(found, alone(core, models / "line.xml", asked.samples))


def test_weights_that_were_said(tmp_path: Path, models: Path) -> None:
    """Random data of three shapes, one of them three times as often as the others."""
    said = {
        "shapes": [
            {"shape": "1,2,4,8", "weight": 3},
            {"shape": "1,2,4,4"},
            {"shape": "1,2,4,16"},
        ],
        "pad": PAD,
        "random": {"x": {"low": 2, "high": 3}},
    }
    path, _ = write_workload(tmp_path, models / "line.xml", said, shape_plan="buckets:8|16")
    made = program(path)
    items = made.samples()

    counts = Counter(items[number][0].shape[3] for number in made.order(items))

    assert counts[8] == pytest.approx(3 * counts[4], abs=8)
    assert counts[16] == pytest.approx(counts[4], abs=8)
    assert all(2 <= item[0].min() <= item[0].max() <= 3 for item in items)
    assert len(answers(made, 50)) == 50


def test_one_blocking_request_of_several_models(
    tmp_path: Path, models: Path, core: ov.Core
) -> None:
    """Which of them it is changes from item to item."""
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, asked = write_workload(
        tmp_path, models / "line.xml", said, shape_plan=PLANS[3], api=Api.SYNC, num_requests=1
    )

    check(answers(program(path), 100), alone(core, models / "line.xml", asked.samples))


TOKENS = """
import numpy as np
import words

def encode(line):
    ids = [words.KNOWN[one] for one in line.split()]
    return {"ids": np.array([ids], np.int64), "mask": np.ones((1, len(ids)), np.int64)}
"""


@pytest.mark.parametrize("plan", ["dynamic", "buckets:2|6"])
def test_lines_of_text(tmp_path: Path, models: Path, core: ov.Core, plan: str) -> None:
    """By the study's own tokenizer, which needs a module and lies beside its data."""
    (tmp_path / "tokens.py").write_text(TOKENS)
    (tmp_path / "words.py").write_text("KNOWN = {'a': 3, 'b': 5, 'c': 7}\n")
    (tmp_path / "lines.txt").write_bytes("\ufeffa b\r\n\na b c a\nc\n a a b b c c \n".encode())
    said = {
        "inputs": "lines.txt",
        "tokenizer": "tokens.py:encode",
        "pad": {"ids": {"value": 9, "axis": 1}, "mask": {"value": 0, "axis": 1}},
    }
    path, asked = write_workload(
        tmp_path, models / "text.xml", said, shape_plan=plan, batch_size=1 + (plan != "dynamic")
    )

    check(answers(program(path), 60), alone(core, models / "text.xml", asked.samples))


# ----------------------------------------------------------------------------- sources of one shape


def test_a_function_within_a_package(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """Which imports its neighbours, reads a file of the study's folder, and never ends."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "values.py").write_text("HALF = 0.5\n")
    (package / "data.py").write_text(
        "from pathlib import Path\nimport numpy as np\nfrom .values import HALF\n\ndef chunks():\n"
        "    start = float(Path('start.txt').read_text())\n"
        "    while True:\n        start += HALF\n        yield np.full((1, 4), start)\n"
    )
    (tmp_path / "start.txt").write_text("2")
    said = {"inputs": "mine.data:chunks", "states": "reset", "samples": 5}
    path, asked = write_workload(tmp_path, models / "sequence.xml", said, num_requests=1)
    made = program(path)

    assert [item[0][0, 0] for item in made.samples()] == [2.5, 3, 3.5, 4, 4.5]
    check(answers(made, 20), alone(core, models / "sequence.xml", asked.samples))


@pytest.mark.parametrize("feed", [Feed.BIND, Feed.COPY])
@pytest.mark.parametrize("api", Api)
def test_a_sequence_goes_on(
    tmp_path: Path, models: Path, core: ov.Core, feed: Feed, api: Api
) -> None:
    """Each answer needs what the requests before it left; it begins anew with each run."""
    np.save(tmp_path / "steps.npy", np.random.default_rng(3).random((7, 4), np.float32))
    said = {"inputs": "steps.npy", "states": "carried"}
    path, asked = write_workload(
        tmp_path, models / "sequence.xml", said, feed=feed, api=api, num_requests=1
    )
    made = program(path)

    for _ in range(2):
        found = answers(made, 7)
        assert [number for number, _ in found] == list(range(7))
        network = core.read_model(models / "sequence.xml")
        wanted = in_sequence(core.compile_model(network, "CPU"), asked.samples)
        for (number, outputs), parts in zip(found, wanted, strict=True):
            assert np.allclose(outputs[0].ravel(), parts[0].values), number


def test_sounds(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """Of 8, 16 and 24 bits, as they were read when it was measured."""
    random = np.random.default_rng(4)
    for width in (1, 2, 3):
        with wave.open(str(tmp_path / f"{width}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(width)
            file.setframerate(8000)
            file.writeframes(random.integers(0, 256, 4 * width, np.uint8).tobytes())
    (tmp_path / "data").mkdir()
    for width in (1, 2, 3):
        (tmp_path / f"{width}.wav").rename(tmp_path / "data" / f"{width}.wav")
    said = {"inputs": "data", "states": "reset"}
    path, asked = write_workload(tmp_path, models / "sequence.xml", said, num_requests=1)
    made = program(path)

    assert all(
        np.array_equal(item[0], sample["x"])
        for item, sample in zip(made.samples(), asked.samples, strict=True)
    )
    check(answers(made, 9), alone(core, models / "sequence.xml", asked.samples))


def test_an_input_that_is_made_up_beside_those_that_are_read(tmp_path: Path, models: Path) -> None:
    """Its range was said; what is read has no array for it."""
    (tmp_path / "data.py").write_text(
        "import numpy as np\ndef ids():\n    yield {'ids': np.array([[1, 2]])}\n"
    )
    said = {"inputs": "data.py:ids", "random": {"mask": 1}}
    path, _ = write_workload(
        tmp_path, models / "text.xml", said, shapes={"ids": [1, 2], "mask": [1, 2]}
    )
    made = program(path)

    ((ids, mask),) = made.samples()
    assert (ids.tolist(), mask.tolist()) == ([[1, 2]], [[1, 1]])


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("feed", Feed)
def test_one_shape_of_several_inputs(
    tmp_path: Path, models: Path, core: ov.Core, feed: Feed, batch_size: int
) -> None:
    """With another type than the model's, and one value for all in the place of the mask."""
    np.savez(
        tmp_path / "d.npz",
        ids=np.arange(15, dtype=np.int16).reshape(5, 3),
        mask=np.tile([[1, 0, 1]], (5, 1)),
    )
    path, asked = write_workload(
        tmp_path, models / "text.xml", {"inputs": "d.npz"}, feed=feed, batch_size=batch_size
    )

    check(answers(program(path), 30), alone(core, models / "text.xml", asked.samples))


def test_end_to_end_without_a_workload(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """The copying counts, of data that `[model] inputs` names."""
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(2).random((4, 2, 4, 6), np.float32))
    path, asked = write_workload(
        tmp_path,
        models / "line.xml",
        {"samples": 9},
        inputs="d.npz",
        feed=Feed.END_TO_END,
        shapes={"x": [1, 2, 4, 6]},
    )

    check(answers(program(path), 30), alone(core, models / "line.xml", asked.samples))


# ---------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("feed", "where", "layout", "sizes", "batch_size"),
    [
        (Feed.END_TO_END, "host", "HWC", "several", 2),
        (Feed.END_TO_END, "host", "CHW", "one size", 1),
        (Feed.COPY, "host", "CHW", "several", 1),
        (Feed.BIND, "host", "HWC", "one size", 2),
        (Feed.END_TO_END, "graph", "HWC", "one size", 2),
        (Feed.END_TO_END, "graph", "CHW", "several", 1),
        (Feed.COPY, "graph", "CHW", "one size", 1),
        (Feed.BIND, "graph", "HWC", "several", 1),
        (Feed.BIND, "graph", "HWC", "one size", 2),
    ],
)
def test_pictures(
    tmp_path: Path,
    models: Path,
    core: ov.Core,
    sizes: str,
    feed: Feed,
    where: str,
    layout: str,
    batch_size: int,
) -> None:
    """Prepared by Pillow before each request or before all, or in the graph."""
    said = {
        "inputs": photographs(tmp_path, SIZES[sizes]),
        "preprocessing": {**HOW, "layout": layout},
    }
    path, asked = write_workload(
        tmp_path,
        models / "picture.xml",
        said,
        feed=feed,
        preprocessing=where,
        batch_size=batch_size,
    )

    found = answers(program(path), 20)

    wanted = prepared_alone(core, models / "picture.xml", asked, (8, 12))
    largest = max(np.abs(one[0]).max() for one in wanted)
    most = 1e-5 if where == "host" else 1e-2
    for number, (output,) in found:
        assert np.abs(output - wanted[number][0]).max() <= most * largest


@pytest.mark.parametrize("where", ["host", "graph"])
def test_the_detector(tmp_path: Path, core: ov.Core, where: str) -> None:
    """A frame of 720p to 320x320, prepared by either: outputs of f32 within 1e-2."""
    said = {
        "inputs": photographs(tmp_path, [(720, 1280)]),
        "preprocessing": {**HOW, "scale": [127.5]},
    }
    path, asked = write_workload(
        tmp_path,
        DETECTOR,
        said,
        shapes={"x": [1, 3, 320, 320]},
        feed=Feed.END_TO_END,
        preprocessing=where,
    )

    ((_, (output,)), *_) = answers(program(path), 4)

    (((wanted),),) = prepared_alone(core, DETECTOR, asked, (320, 320))
    assert np.abs(output - wanted).max() <= 1e-2 * np.abs(wanted).max()


def test_a_program_runs_as_it_is_written(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, which ends: of several models. A worker looked at these."""
    monkeypatch.undo()
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, _ = write_workload(tmp_path, models / "line.xml", said, shape_plan=PLANS[3])
    program(path)
    done = subprocess.run(
        [sys.executable, "infer.py", "--seconds", "0.2"],
        cwd=tmp_path / "out" / "python",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert '"throughput_per_s"' in done.stdout
