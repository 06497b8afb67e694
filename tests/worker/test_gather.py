"""Samples are read for a model, held against its inputs, and limited in memory and time."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as op
from PIL import Image

from autotune.domain.failure import TrialFault
from autotune.machines.process import WorkerProcess
from autotune.worker.ceiling import at_most_more
from autotune.worker.gather import facts_of, gather
from autotune.worker.inputs import DataError, from_file
from autotune.worker.tensors import dtype_of
from autotune.workload.gathered import Gathered, load, save
from autotune.workload.inputs import Range, Source
from autotune.workload.preprocessing import Color, Preprocessing
from tests.workload.builders import of_code, of_files, saved

pytestmark = pytest.mark.openvino


def written(folder: Path, **inputs: Any) -> Path:
    """A model with these inputs, each a partial shape and a type; it gives their shapes."""
    ports = [
        op.parameter(ov.PartialShape(shape), getattr(ov.Type, kind), name=name)
        for name, (shape, kind) in inputs.items()
    ]
    results = [op.result(op.shape_of(port)) for port in ports]
    for port, name in zip(ports, inputs, strict=True):
        port.output(0).get_tensor().set_names({name})
    path = folder / "model.xml"
    ov.save_model(ov.Model(results, ports), path, compress_to_fp16=False)
    return path


def gathered(folder: Path, model: Path, inputs: Any, **more: Any) -> Gathered:
    """What is read, also from the file in which it is kept."""
    found = gather(ov.Core(), model, more.pop("shapes", {}), inputs, **more)
    save(folder / "kept", found)
    kept = load(folder / "kept")
    assert (kept.names, kept.notes) == (found.names, found.notes)
    for one, other in zip(kept.samples, found.samples, strict=True):
        assert list(one) == list(other)
        assert all(np.array_equal(one[name], other[name]) for name in one)
    return found


KINDS = ("boolean", "f16", "f32", "f64", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32")


@pytest.mark.parametrize("kind", [*KINDS, "u64", "u4", "i4", "string"])
def test_samples_come_in_the_models_types(kind: str, tmp_path: Path) -> None:
    """Whatever the user has them in, as long as it can hold them; axes that miss are added."""
    model = written(tmp_path, x=("[?,2..4]", kind))
    code = f"def f():\n    yield {['a', 'b'] if kind == 'string' else [0, 1, 1]}\n"
    found = gathered(tmp_path, model, of_code(tmp_path, code))
    (sample,) = found.samples
    assert sample["x"].shape == (1, 2 if kind == "string" else 3)
    assert sample["x"].dtype.kind == dtype_of(getattr(ov.Type, kind)).kind
    (facts,) = facts_of(ov.Core().read_model(model))
    assert (facts.name, facts.shape, facts.is_text) == ("x", (None, None), kind == "string")
    assert (facts.limits == (0, 15)) == (kind == "u4")


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("u8", "[300, 0]", "'x' of sample 2 (sample 2) has values from 0 to 300 that u8, which"),
        ("u8", "[-1, 0]", "has values from -1 to 0 that u8"),
        ("i64", "[0.5, 0]", "has values from 0 to 0.5 that i64"),
        ("u4", "[16, 0]", "that u4, which the model takes, cannot hold"),
        ("boolean", "[2, 0]", "that boolean, which the model takes, cannot hold"),
        ("f16", "[1e6, 0]", "that f16, which the model takes, cannot hold"),
        ("f32", "['a', 'b']", "has values of the type <U1, the model takes f32"),
        ("string", "[1, 2]", "has values of the type int64, the model takes strings"),
        ("i32", "[float('nan'), 1]", "that i32, which the model takes, cannot hold"),
        ("f32", "[1] * 5", "input 'x' of sample 2 (sample 2) is 5, the model takes [?,2..4]"),
        ("f32", "[[[1, 2]]]", "is 1x1x2, the model takes [?,2..4]"),
        ("f32", "[[1], [1]]", "is 2x1, the model takes [?,2..4]"),
        ("f32", "7", "is a scalar, the model takes [?,2..4]"),
    ],
)
def test_what_does_not_fit_is_named_with_its_sample(
    kind: str, code: str, words: str, tmp_path: Path
) -> None:
    """And with what fits."""
    model = written(tmp_path, x=("[?,2..4]", kind))
    fine = "['a', 'b']" if kind == "string" else "[0, 1]"
    inputs = of_code(tmp_path, f"def f():\n    yield {fine}\n    yield {code}\n")
    with pytest.raises(DataError) as caught:
        gathered(tmp_path, model, inputs)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_rank_takes_what_comes(tmp_path: Path) -> None:
    """Of a function as it is, of a file cut along its first axis."""
    model = written(tmp_path, x=("...", "f32"))
    (facts,) = facts_of(ov.Core().read_model(model))
    assert facts.shape is None
    code = "def f():\n    yield 1\n    yield [[[1]]]\n"
    found = gathered(tmp_path, model, of_code(tmp_path, code))
    assert [one["x"].shape for one in found.samples] == [(), (1, 1, 1)]
    file = saved(tmp_path / "x.npz", x=np.zeros((2, 3)))
    found = gathered(tmp_path, model, of_files(Source.ARRAYS, file))
    assert [one["x"].shape for one in found.samples] == [(1, 3), (1, 3)]


def test_bounds_are_the_models_or_those_that_were_asked_for(tmp_path: Path) -> None:
    """The file and the sample are named."""
    model = written(tmp_path, x=("[1,3,48,8..640]", "f32"))
    files = [
        saved(tmp_path / f"{width}.npz", x=np.zeros((1, 3, 48, width))) for width in (8, 640, 1000)
    ]
    found = gathered(tmp_path, model, of_files(Source.ARRAYS, *files[:2]))
    assert [one["x"].shape[3] for one in found.samples] == [8, 640]
    words = r"input 'x' of sample 3 \(1000.npz\) is 1x3x48x1000, the model takes \[1,3,48,8..640\]"
    with pytest.raises(DataError, match=words):
        gathered(tmp_path, model, of_files(Source.ARRAYS, *files))
    with pytest.raises(DataError, match=r"8.npz: 'x' has the shape .* takes \(1, 3, 48, 640\)"):
        gathered(tmp_path, model, of_files(Source.ARRAYS, *files), shapes={"x": [1, 3, 48, 640]})


@pytest.mark.parametrize("color", list(Color))
@pytest.mark.parametrize("layout", ["HWC", "CHW"])
@pytest.mark.parametrize("kind", ["u8", "f32"])
def test_images_that_are_prepared_come_as_they_are(
    kind: str, layout: str, color: Color, tmp_path: Path
) -> None:
    """Whatever the model's own type and shape: only what the application has counts."""
    model = written(tmp_path, x=("[1,3,8,8]", "f32"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (5, 4), (1, 2, 3)).save(tmp_path / "photos" / "a.png")
    said = Preprocessing(type=kind, layout=layout, color=color)
    inputs = of_files(Source.IMAGES, tmp_path / "photos")
    (sample,) = gathered(tmp_path, model, inputs, preprocessing=said).samples
    image = sample["x"] if layout == "HWC" else sample["x"].transpose(1, 2, 0)
    assert sample["x"].dtype == dtype_of(getattr(ov.Type, kind))
    known = {Color.RGB: [1, 2, 3], Color.BGR: [3, 2, 1], Color.GRAY: [2]}[color]
    assert image.shape == (4, 5, len(known))
    assert image[0, 0].tolist() == known


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        ("np.zeros((4, 5))", {}, "is 4x5; an image that is prepared has the layout HWC"),
        ("np.zeros((4, 5, 4))", {}, "is 4x5x4 (HWC) with 4 channels; RGB has 3"),
        ("np.zeros((4, 5, 3))", {"color": Color.GRAY}, "with 3 channels; GRAY has 1"),
        ("np.zeros((4, 5, 3))", {"size": (5, 4)}, "is 4x5 (height × width); preprocessing exp"),
        ("np.zeros((0, 5, 3))", {}, "is 0x5 (height × width); preprocessing expects some pixels"),
        ("np.full((4, 5, 3), 0.5)", {}, "has values from 0.5 to 0.5 that u8"),
        ("np.zeros((2, 4, 5, 3))", {}, "is 2x4x5x3; an image that is prepared"),
        ("np.zeros((4, 5, 3))", {"input": "y"}, "is for the input 'y', and the model takes x"),
    ],
)
def test_what_is_no_image_is_named(
    code: str, said: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """With what it is and what was said."""
    model = written(tmp_path, x=("[1,3,8,8]", "f32"))
    inputs = of_code(tmp_path, f"import numpy as np\ndef f():\n    yield {code}\n")
    with pytest.raises(DataError) as caught:
        gathered(tmp_path, model, inputs, preprocessing=Preprocessing(**said))
    assert words in str(caught.value)


def test_pictures_that_do_not_fit_lead_to_their_preparation(tmp_path: Path) -> None:
    """A model seldom takes them as a camera leaves them."""
    model = written(tmp_path, x=("[1,3,8,8]", "f32"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (5, 4)).save(tmp_path / "photos" / "a.png")
    with pytest.raises(DataError, match=r"is 4x5x3, the model .*: \[workload\.preprocessing\]$"):
        gathered(tmp_path, model, of_files(Source.IMAGES, tmp_path / "photos"))


def test_several_inputs_with_an_image_among_them(tmp_path: Path) -> None:
    """A batch of one is an image, too; a scale goes beside it."""
    model = written(tmp_path, image=("[1,3,8,8]", "f32"), scale=("[1,2]", "f32"))
    given = "{'image': np.ones((1, 4, 5, 3)), 'scale': [1, 1]}"
    code = f"import numpy as np\ndef f():\n    yield {given}\n"
    said = Preprocessing(input="image")
    (sample,) = gathered(tmp_path, model, of_code(tmp_path, code), preprocessing=said).samples
    assert (sample["image"].shape, sample["image"].dtype) == ((4, 5, 3), np.uint8)
    assert sample["scale"].tolist() == [[1, 1]]


def test_inputs_beside_the_samples_are_made_in_their_range(tmp_path: Path) -> None:
    """A folder says nothing of a scale; what has no known shape must come with the samples."""
    model = written(
        tmp_path, image=("[1,3,8,8]", "f32"), scale=("[?,2]", "f32"), ids=("[1,?]", "i64")
    )
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (5, 4)).save(tmp_path / "photos" / name)
    inputs, said = of_files(Source.IMAGES, tmp_path / "photos"), Preprocessing(input="image")
    ranges = {"scale": Range(0.5, 0.5), "ids": Range(0, 9)}
    with pytest.raises(DataError, match="'ids' does not say its shape"):
        gathered(tmp_path, model, inputs, preprocessing=said, ranges=ranges)
    ids = {"ids": [1, 3], "image": [1, 3, 8, 8], "scale": [1, 2]}
    found = gathered(tmp_path, model, inputs, preprocessing=said, ranges=ranges, shapes=ids)
    assert [one["scale"].tolist() for one in found.samples] == [[[0.5, 0.5]]] * 2
    assert found.samples[0]["ids"].shape == (1, 3)
    with pytest.raises(DataError, match="no input is named 'size'; the model takes image, sca"):
        gathered(tmp_path, model, inputs, preprocessing=said, ranges={"size": Range(0, 1)})
    with pytest.raises(DataError, match="pictures feed one input, and the model has 2: image, "):
        gathered(tmp_path, model, inputs, preprocessing=said, ranges={"scale": Range(0, 1)})


@given(
    wanted=st.lists(st.integers(0, 3), max_size=3),
    shape=st.lists(st.integers(0, 4), max_size=3),
    other=st.lists(st.integers(0, 4), max_size=2),
    kind=st.sampled_from(["i8", "f32", "boolean", "string"]),
)
@settings(max_examples=150, deadline=None)
def test_arrays_mean_what_they_meant(
    wanted: list[int], shape: list[int], other: list[int], kind: str, tmp_path_factory: Any
) -> None:
    """Of a model with static shapes, the samples are those of `[model] inputs`, or none are."""
    folder = tmp_path_factory.getbasetemp()
    kinds = {"x": ov.PartialShape(wanted), "y": ov.PartialShape([1, 2])}
    ports = [op.parameter(one, getattr(ov.Type, kind), name=name) for name, one in kinds.items()]
    model = ov.Model([op.result(op.shape_of(port)) for port in ports], ports)
    for port, name in zip(ports, kinds, strict=True):
        port.output(0).get_tensor().set_names({name})
    values = np.arange(int(np.prod(shape))).reshape(shape) % 2
    more = np.arange(int(np.prod(other))).reshape(other) % 2
    pair = (values.astype(str), more.astype(str)) if kind == "string" else (values, more)
    file = saved(folder / "both.npz", x=pair[0], y=pair[1])
    try:
        known = from_file(model, file)
    except DataError:
        with pytest.raises(DataError):
            gather_from(model, file, folder)
        return
    found = gather_from(model, file, folder)
    assert len(found) == len(known)
    for one, sample in zip(found, known, strict=True):
        for name in kinds:
            assert (one[name].dtype, one[name].shape) == (sample[name].dtype, sample[name].shape)
            assert np.array_equal(one[name], sample[name])


def gather_from(model: ov.Model, file: Path, folder: Path) -> Any:
    """Samples of a file, by the way of all sources."""

    class Core:
        def read_model(self, path: Path) -> ov.Model:
            return model

    inputs = of_files(Source.ARRAYS, file, most=16)
    return gather(Core(), Path("model.xml"), {}, inputs).samples


def test_a_limit_of_memory_holds_while_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is as it was before afterwards."""
    with at_most_more(2**28):
        assert np.ones(2**20).sum() == 2**20
        with pytest.raises(MemoryError):
            np.ones(2**27)
    assert np.empty(2**27).nbytes == 2**30
    with at_most_more(None):
        assert np.empty(2**27).nbytes == 2**30
    for one in (True, False):  # by either kind of limit
        monkeypatch.setattr("autotune.worker.ceiling._is_enforced", lambda one=one: one)
        with at_most_more(2**28), pytest.raises(MemoryError):
            bytearray(2**30)
    with at_most_more(2**60), at_most_more(2**28), pytest.raises(MemoryError):
        bytearray(2**30)


GREEDY = {
    "at once": "return bytearray(2**31)",
    "bit by bit": "return [list(range(1000)) for _ in range(10**7)]",
    "array by array": "import numpy as np; return [np.ones(10**6) for _ in range(10**4)]",
    "samples": "import numpy as np; return (np.ones((1, 2 * 10**7)) for _ in range(100))",
}


@pytest.mark.parametrize("how", GREEDY)
def test_a_greedy_function_is_one_line(how: str, tmp_path: Path) -> None:
    """In a process of its own, as a worker is."""
    model = written(tmp_path, x=("[?,?]", "f64"))
    of_code(tmp_path, f"def f():\n    {GREEDY[how]}\n")
    found = subprocess.run(
        [sys.executable, "-c", _script(model, tmp_path, "memory_bytes=2**28")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert found.returncode == 3, found.stderr
    assert "memory" in found.stdout
    assert found.stdout.count("\n") == 1


def _script(model: Path, folder: Path, more: str) -> str:
    return f"""
import faulthandler, signal, sys
from pathlib import Path
import openvino as ov
faulthandler.register(signal.SIGUSR1)  # as a worker does
from autotune.worker.gather import gather
from autotune.worker.inputs import DataError, from_file
from autotune.workload.locate import inputs_of
folder = Path({str(folder)!r})
try:
    inputs = inputs_of("samples:f", folder)
    gather(ov.Core(), Path({str(model)!r}), {{}}, inputs, {more})
except DataError as error:
    print(error)
    sys.exit(3)
"""


STUCK = """
import os, signal, subprocess, sys, time
from pathlib import Path
def f():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import sys, time; sys.stdin.read(); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    forked = os.fork()
    if forked:
        Path("pids.part").write_text(f"{os.getpid()} {child.pid} {forked}")
        Path("pids.part").rename("pids")
    while True:
        time.sleep(0.01)
"""


def test_a_function_without_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """It ignores what ends it nicely, and has children that wait for nothing."""
    model = written(tmp_path, x=("[?,?]", "f32"))
    of_code(tmp_path, STUCK)
    command = (sys.executable, "-c", _script(model, tmp_path, ""))
    worker = WorkerProcess(tmp_path / "log", command)
    while not (tmp_path / "pids").exists():
        assert psutil.pid_exists(worker.pid), (tmp_path / "log").read_text()
        time.sleep(0.05)
    with pytest.raises(TrialFault, match="no answer within"):
        worker.hear(0.1)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(set(pids)) == 3
    assert pids[0] == worker.pid
    for _ in range(1000):  # they were killed, and die when the kernel comes to it
        if not any(map(_runs, pids)):
            break
        time.sleep(0.01)
    assert not [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
