"""Exports of a real model, run in their targets as far as those can be installed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.main import main
from autotune.domain.measurement import Feed
from autotune.domain.model_file import model_sha256
from autotune.errors import ModelError
from autotune.export.best_file import BestCoreBudget, BestModel, read_best, write_best
from autotune.export.targets import TARGETS
from autotune.export.targets.target import UnsupportedError
from autotune.export.to_targets import export
from autotune.host.cpus import affinity
from autotune.space.configuration import Effective
from tests import models
from tests.export.targets.builders import make_file

pytestmark = pytest.mark.openvino
CLASSIFIER = Path(__file__).parents[3] / "studies" / "models" / "classifier.onnx"
"""x: f32 ?×3×?×?, obtained by make test."""


def write_file(folder: Path, model: Path, shapes: dict[str, list[int]], **fields: Any) -> Path:
    """A best.json for a real model."""
    told = BestModel(
        path=os.path.relpath(model, folder), sha256=model_sha256(model), shapes=shapes, inputs=None
    )
    path = folder / "best.json"
    write_best(make_file(**fields).model_copy(update={"model": told}), path)
    return path


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier for every target: two streams of one thread, batch 2, four requests."""
    folder = tmp_path_factory.mktemp("study")
    path = write_file(folder, CLASSIFIER, {"x": [1, 3, 48, 192]}, batch_size=2, num_requests=4)
    made, refused = export(path, list(TARGETS), folder / "out")
    assert [one.target for one in made] == list(TARGETS)
    assert not refused
    return folder / "out"


def runtime() -> Path:
    """The folder of OpenVINO's package, which this process does not import."""
    found = find_spec("openvino")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def run(command: list[str], folder: Path) -> str:
    """What a program prints; it must end well."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path) -> None:
    """The C++ program, by its own CMakeLists.txt, against the headers of the package."""
    run(["cmake", "-S", ".", "-B", "build", f"-DOpenVINO_DIR={runtime() / 'cmake'}"], folder)
    run(["cmake", "--build", "build"], folder)


def check(printed: str) -> None:
    """One line of figures that belong together."""
    found = json.loads(printed.splitlines()[-1])

    assert found["requests"] > 0
    assert found["throughput_per_s"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_benchmark_app_runs(exports: Path) -> None:
    """The script as it is, with a shorter time."""
    printed = run(["sh", "benchmark.sh", "-t", "1"], exports / "benchmark_app")

    assert "NUM_STREAMS: 2" in printed
    assert "4 inference requests" in printed
    assert "batch size: 2" in printed.lower()
    assert "Throughput:" in printed


def test_python_runs(exports: Path) -> None:
    """Read-back included: on other streams or threads it would end with an error."""
    check(run([sys.executable, "infer.py", "--seconds", "0.5"], exports / "python"))


def test_python_refuses_what_was_not_measured(exports: Path, tmp_path: Path) -> None:
    """One property that the runtime reports otherwise."""
    text = (exports / "python" / "infer.py").read_text()
    before, name, after = text.partition("EXPECTED")
    changed = after.replace("'INFERENCE_NUM_THREADS': '2'", "'INFERENCE_NUM_THREADS': '7'")
    assert changed != after
    (tmp_path / "infer.py").write_text(before + name + changed)
    done = subprocess.run(
        [sys.executable, "infer.py", str(CLASSIFIER), "--seconds", "0.1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 1
    assert "INFERENCE_NUM_THREADS is 2 here and was 7" in done.stderr


def test_cpp_compiles_and_runs(exports: Path) -> None:
    """By its own CMakeLists.txt, against the headers of the package."""
    folder = exports / "cpp"
    build(folder)
    model = os.path.relpath(CLASSIFIER, folder)
    check(run(["build/infer", model, "--seconds", "0.5"], folder))


def test_onnxruntime_runs(exports: Path) -> None:
    """On the OpenVINO execution provider; the program refuses any other."""
    check(run([sys.executable, "session.py", "--seconds", "0.5"], exports / "onnxruntime"))


def test_onnxruntime_refuses_another_provider(exports: Path, tmp_path: Path) -> None:
    """ONNX Runtime falls back to its own kernels and says nothing: the program does."""
    folder = tmp_path / "onnxruntime"
    shutil.copytree(exports / "onnxruntime", folder)
    options = json.loads((folder / "provider_options.json").read_text())
    options["reshape_input"] = "no shape"
    (folder / "provider_options.json").write_text(json.dumps(options))
    done = subprocess.run(
        [sys.executable, "session.py", str(CLASSIFIER), "--seconds", "0.1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode != 0


def test_programs_copy_where_the_measurement_did(tmp_path: Path) -> None:
    """Both compile and run with it."""
    shapes = {"x": [1, 3, 48, 192]}
    path = write_file(tmp_path, CLASSIFIER, shapes, num_requests=2, feed=Feed.COPY)
    export(path, ["python", "cpp"], tmp_path)
    assert "feed(requests[number], next(source))" in (tmp_path / "python" / "infer.py").read_text()
    check(run([sys.executable, "infer.py", "--seconds", "0.3"], tmp_path / "python"))

    folder = tmp_path / "cpp"
    build(folder)
    check(run(["build/infer", os.path.relpath(CLASSIFIER, folder), "--seconds", "0.3"], folder))


def test_no_time_is_said(exports: Path) -> None:
    """Instead of a fault in the middle."""
    done = subprocess.run(
        [sys.executable, "infer.py", "--seconds", "0"],
        cwd=exports / "python",
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 2
    assert "--seconds" in done.stderr


def test_notes_list_what_is_lost(exports: Path) -> None:
    """Beside the files, where they are read."""
    notes = (exports / "triton" / "README.md").read_text()

    assert "the backend ignores it" in notes
    assert "config.pbtxt" in notes


def test_two_inputs_run_in_python(tmp_path: Path, model_folder: Path) -> None:
    """Integers among them; the shapes are the model's own."""
    path = write_file(tmp_path, model_folder / models.TWO_INPUTS, {}, num_requests=2)
    export(path, ["python", "benchmark_app"], tmp_path)

    check(run([sys.executable, "infer.py", "--seconds", "0.2"], tmp_path / "python"))
    assert "Throughput" in run(["sh", "benchmark.sh", "-t", "1"], tmp_path / "benchmark_app")


def test_input_data_and_sync_run_in_python(tmp_path: Path, model_folder: Path) -> None:
    """The file that it was measured with, beside a blocking request."""
    import numpy as np

    from autotune.space.dimensions import Api

    data = tmp_path / "inputs.npz"
    np.savez(data, x=np.ones((5, 3, 32, 32), np.float32))
    path = write_file(tmp_path, model_folder / models.TINY, {}, api=Api.SYNC, batch_size=2)
    best = make_file(api=Api.SYNC, batch_size=2)
    told = BestModel(
        path=os.path.relpath(model_folder / models.TINY, tmp_path),
        sha256=model_sha256(model_folder / models.TINY),
        shapes={},
        inputs="inputs.npz",
    )
    write_best(best.model_copy(update={"model": told}), path)
    export(path, ["python"], tmp_path)

    check(run([sys.executable, "infer.py", "--seconds", "0.2"], tmp_path / "python"))


# ------------------------------------------------------------------------------- the command line


def autotune(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Exit code and output of a command."""
    monkeypatch.setattr("sys.argv", ["autotune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_an_unknown_target_gets_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read."""
    code, _, err = autotune(
        monkeypatch, capsys, "export", str(tmp_path / "gone.json"), "--to", "docker"
    )

    assert code == 2
    assert "docker" in err
    assert all(name in err for name in TARGETS)


def test_what_a_target_does_not_support_is_not_written(
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asked for by name: an error with the reason, and nothing of the others either."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    code, _, err = autotune(
        monkeypatch, capsys, "export", str(path), "--to", "python", "--to", "onnxruntime"
    )

    assert code == 1
    assert "it loads .onnx files" in err
    assert not (tmp_path / "export").exists()


def test_all_leaves_out_what_is_not_supported(
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And says so; a study's folder will do for its best.json."""
    write_file(tmp_path, model_folder / models.TINY, {})
    code, out, _ = autotune(monkeypatch, capsys, "export", str(tmp_path), "--to", "all", "--json")
    said = json.loads(out)

    assert code == 0
    assert list(said["refused"]) == ["onnxruntime"]
    assert {one["target"] for one in said["written"]} == set(TARGETS) - {"onnxruntime"}
    assert (tmp_path / "export" / "triton" / "config.pbtxt").is_file()


def test_every_line_says_what_to_do(
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the files are, the commands, and what is lost."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    _, out, _ = autotune(monkeypatch, capsys, "export", str(path), "--to", "triton")

    assert str(tmp_path / "export" / "triton") in out
    assert any(line.strip().startswith("tritonserver") for line in out.splitlines())
    assert "not represented: ENABLE_CPU_PINNING=YES" in out


def test_another_model_is_refused(tmp_path: Path, model_folder: Path) -> None:
    """What was measured is not what would be deployed."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    with pytest.raises(ModelError, match="SHA-256"):
        export(path, ["python"], tmp_path, model_folder / models.DYNAMIC)


def test_a_moved_model_is_found(tmp_path: Path, model_folder: Path) -> None:
    """And named in what is written, as seen from there."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    for suffix in (".xml", ".bin"):
        shutil.copy((model_folder / models.TINY).with_suffix(suffix), tmp_path / f"moved{suffix}")
    export(path, ["model-server"], tmp_path / "out", tmp_path / "moved.xml")

    assert "cp ../../moved.bin" in (tmp_path / "out" / "model-server" / "README.md").read_text()


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, model_folder: Path) -> None:
    """A file where the folder should be."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(Exception, match="cannot be made"):
        export(path, ["python"], tmp_path / "out")


def test_nothing_is_written_where_all_refuse(tmp_path: Path, model_folder: Path) -> None:
    """The reason is the error."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    with pytest.raises(UnsupportedError):
        export(path, ["onnxruntime"], tmp_path)


def test_commands_are_words_for_a_shell(exports: Path) -> None:
    """They can be pasted."""
    for name in TARGETS:
        notes = (exports / name / "README.md").read_text()
        commands = notes.split("```")[1].strip().splitlines()
        words = [shlex.split(line, comments=True) for line in commands]
        assert any(words)
        assert all(word for line in words for word in line)


def test_a_hint_under_a_budget_runs_on_its_cpus(tmp_path: Path, model_folder: Path) -> None:
    """Python and C++: as many threads as were measured, checked by the programs themselves."""
    last = max(affinity())
    read_back = {
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": "1",
        "PERFORMANCE_HINT": "THROUGHPUT",
    }
    path = write_file(
        tmp_path,
        model_folder / models.TINY,
        {},
        **dict.fromkeys(("streams", "threads_per_stream", "pinning", "precision")),
        num_requests=1,
        effective=Effective(read_back, 1),
    )
    held = BestCoreBudget(asked="1", count=1, cpus=[last])
    write_best(read_best(path).model_copy(update={"core_budget": held}), path)
    export(path, ["python", "benchmark_app"], tmp_path)
    printed = run([sys.executable, "infer.py", "--seconds", "0.3"], tmp_path / "python")
    check(printed)
    assert "INFERENCE_NUM_THREADS: 1" in run(
        ["sh", "benchmark.sh", "-t", "1"], tmp_path / "benchmark_app"
    )


def test_a_program_whose_cpus_are_not_here_says_so(tmp_path: Path, model_folder: Path) -> None:
    """Instead of running on others."""
    path = write_file(tmp_path, model_folder / models.TINY, {})
    held = BestCoreBudget(asked="1", count=1, cpus=[9999])
    write_best(read_best(path).model_copy(update={"core_budget": held}), path)
    export(path, ["python"], tmp_path)
    done = subprocess.run(
        [sys.executable, "infer.py", "--seconds", "0.1"],
        cwd=tmp_path / "python",
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    assert "CPUs [9999] of the core budget are not available here: edit CPUS" in done.stderr
