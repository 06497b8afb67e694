"""Workloads in C++, and in the targets that can be run: built and run, and compared."""

import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from autotune.domain.measurement import Feed
from autotune.export.to_targets import export
from autotune.worker.fitting import cropped
from tests.export.targets.test_programs import CLASSIFIER, build, check, run
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


@pytest.fixture(autouse=True)
def _looked_at_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker for each export."""
    monkeypatch.setattr("autotune.export.to_targets.look", look_here)


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """One for all models."""
    return ov.Core()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind."""
    return write_models(tmp_path_factory.mktemp("models"))


TELLS = """answered(ov::InferRequest& request, const std::vector<std::size_t>& items) {
    static std::ofstream file("answers.bin", std::ios::binary);
    for (const auto& number : items) {
        const std::int64_t said = static_cast<std::int64_t>(number);
        file.write(reinterpret_cast<const char*>(&said), sizeof said);
    }
    const auto output = request.get_output_tensor(0);
    for (const auto size : output.get_shape()) {
        const auto said = static_cast<std::int64_t>(size);
        file.write(reinterpret_cast<const char*>(&said), sizeof said);
    }
    const auto* values = static_cast<const char*>(output.data());
    file.write(values, static_cast<std::streamsize>(output.get_byte_size()));
    return;
"""
"""What a user would write in `answered`: items, shape and values of the first output."""


def answers_in_cpp(folder: Path, batch_size: int, rank: int) -> Iterator[tuple[int, np.ndarray]]:
    """Build and run a program that keeps what it is answered; its warnings are errors."""
    text = (folder / "infer.cpp").read_text()
    (changed, count) = re.subn(r"answered\(ov::InferRequest& request, const .*\{\n", TELLS, text)
    assert count == 1
    (folder / "infer.cpp").write_text(changed)
    cmake = folder / "CMakeLists.txt"
    cmake.write_text(cmake.read_text() + "target_compile_options(infer PRIVATE -Wall -Wextra)\n")
    run([sys.executable, "samples.py"], folder)
    build(folder)
    check(run(["build/infer", "--seconds", "0.3"], folder))
    content, at = (folder / "answers.bin").read_bytes(), 0
    while at < len(content):
        head = np.frombuffer(content, np.int64, batch_size + rank, at)
        at += head.nbytes
        numbers, shape = head[:batch_size], head[batch_size:]
        values = np.frombuffer(content, np.float32, int(np.prod(shape)), at).reshape(shape)
        at += values.nbytes
        yield from zip(map(int, numbers), np.split(values, batch_size), strict=True)


def compare(
    found: Iterator[tuple[int, np.ndarray]], wanted: Sequence[Sequence[np.ndarray]], most: float
) -> None:
    """Each answer is its item's own, and every item was answered."""
    seen = set()
    largest = max(np.abs(one[0]).max() for one in wanted)
    for number, output in itertools.islice(found, 2000):
        expected = wanted[number][0]
        assert np.abs(cropped(output, expected.shape) - expected).max() <= most * largest
        seen.add(number)
    assert seen == set(range(len(wanted)))


def test_buckets_in_cpp(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """Batches of one bucket each, padded."""
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, asked = write_workload(
        tmp_path, models / "line.xml", said, shape_plan="buckets:4|8|16", batch_size=2
    )
    export(path, ["cpp"], tmp_path)

    found = answers_in_cpp(tmp_path / "cpp", 2, 4)

    compare(found, alone(core, models / "line.xml", asked.samples), 1e-5)


def test_a_sequence_in_cpp(tmp_path: Path, models: Path, core: ov.Core) -> None:
    """Each item begins with what is kept reset; its tensors were made before."""
    np.save(tmp_path / "steps.npy", np.random.default_rng(3).random((7, 4), np.float32))
    said = {"inputs": "steps.npy", "states": "reset"}
    path, asked = write_workload(
        tmp_path, models / "sequence.xml", said, feed=Feed.BIND, num_requests=1
    )
    export(path, ["cpp"], tmp_path)

    compare(
        answers_in_cpp(tmp_path / "cpp", 1, 2),
        alone(core, models / "sequence.xml", asked.samples),
        1e-5,
    )


@pytest.mark.parametrize(("where", "most"), [("host", 1e-5), ("graph", 1e-2)])
def test_pictures_in_cpp(
    tmp_path: Path, models: Path, core: ov.Core, where: str, most: float
) -> None:
    """Resized as Pillow does it, without Pillow; or in the graph."""
    said = {"inputs": photographs(tmp_path, [(30, 40), (60, 20), (9, 13)]), "preprocessing": HOW}
    path, asked = write_workload(
        tmp_path, models / "picture.xml", said, feed=Feed.END_TO_END, preprocessing=where
    )
    export(path, ["cpp"], tmp_path)

    compare(
        answers_in_cpp(tmp_path / "cpp", 1, 2),
        prepared_alone(core, models / "picture.xml", asked, (8, 12)),
        most,
    )


@pytest.mark.parametrize("plan", ["dynamic", "bounded"])
def test_benchmark_app_and_onnxruntime_run_a_mix(tmp_path: Path, plan: str) -> None:
    """Each in its own way to write shapes."""
    said = {"shapes": [{"shape": f"1,3,48,{width}"} for width in (48, 96, 192)]}
    path, _ = write_workload(tmp_path, CLASSIFIER, said, shape_plan=plan)
    export(path, ["benchmark_app", "onnxruntime"], tmp_path)

    printed = run(["sh", "benchmark.sh", "-t", "1"], tmp_path / "benchmark_app")
    assert "Throughput:" in printed
    check(run([sys.executable, "session.py", "--seconds", "0.3"], tmp_path / "onnxruntime"))


def test_a_model_with_its_preprocessing_is_written(
    tmp_path: Path, models: Path, core: ov.Core
) -> None:
    """It takes images, answers as the prepared ones are, and runs in benchmark_app."""
    said = {"inputs": photographs(tmp_path, [(30, 40)] * 2), "preprocessing": HOW}
    path, asked = write_workload(tmp_path, models / "picture.xml", said, preprocessing="graph")
    export(path, ["benchmark_app", "model-server"], tmp_path)
    folder = tmp_path / "benchmark_app"
    run([sys.executable, "with_preprocessing.py"], folder)

    compiled = core.compile_model(
        folder / "prepared.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    wanted = prepared_alone(core, models / "picture.xml", asked, (8, 12))
    for sample, (expected,) in zip(asked.samples, wanted, strict=True):
        found = compiled([sample["image"]])[0]
        assert np.abs(found - expected).max() <= 1e-2 * np.abs(expected).max()
    assert "Throughput:" in run(["sh", "benchmark.sh", "-t", "1"], folder)
    assert (tmp_path / "model-server" / "with_preprocessing.py").is_file()
