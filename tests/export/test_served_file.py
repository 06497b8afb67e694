"""What is read of a workload in best.json, and what is refused of one that was edited."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from autotune import load_best
from autotune.errors import AutotuneError, UsageError
from autotune.export.best_file import read_best, write_best
from autotune.export.targets import TARGETS
from autotune.export.to_targets import export
from tests.export.targets.workload_models import HOW, PAD, lines_of, photographs, write_models
from tests.export.targets.workloads import look_here, write_workload

pytestmark = pytest.mark.openvino


@pytest.fixture(autouse=True)
def _looked_at_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker for each export."""
    monkeypatch.setattr("autotune.export.to_targets.look", look_here)


def edited(path: Path, **fields: Any) -> Path:
    """The same file with other fields."""
    write_best(read_best(path).model_copy(update=fields), path)
    return path


def test_data_that_are_gone_are_named(tmp_path: Path) -> None:
    """By the targets that read them; the others are written."""
    model = write_models(tmp_path) / "picture.xml"
    said = {"inputs": photographs(tmp_path, [(30, 40)]), "preprocessing": HOW}
    path, _ = write_workload(tmp_path, model, said)
    shutil.rmtree(tmp_path / "photos")

    made, refused = export(path, list(TARGETS), tmp_path / "out", is_all=True)

    assert set(refused) == {"python", "cpp", "onnxruntime"}
    assert "photos: no such file or folder" in refused["python"]
    assert any(one.target == "model-server" for one in made)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("buckets:3", "does not say the sizes of its buckets along the 1 dimensions"),
        ("buckets:8x8|16x8", "does not say the sizes"),
    ],
)
def test_a_plan_without_its_sizes_is_refused(tmp_path: Path, plan: str, says: str) -> None:
    """Nobody knows which models these are."""
    model = write_models(tmp_path) / "line.xml"
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, _ = write_workload(tmp_path, model, said, shape_plan="buckets:8|16")
    edited(path, shape_plan=plan)

    for refused in (
        lambda: export(path, ["model-server"], tmp_path / "out"),
        lambda: load_best(path).compile_mix(None),
    ):
        with pytest.raises(UsageError, match=says):
            refused()


def test_preprocessing_that_is_not_said_is_refused(tmp_path: Path) -> None:
    """It was edited."""
    model = write_models(tmp_path) / "line.xml"
    said = {"inputs": lines_of(tmp_path)[:1]}
    path, _ = write_workload(tmp_path, model, said)
    edited(path, preprocessing="graph")

    with pytest.raises(UsageError, match=r"workload\.said has none; restore the file"):
        export(path, ["triton"], tmp_path / "out")
    with pytest.raises(UsageError, match=r"workload\.said has none; restore the file"):
        load_best(path).compile(None)


def test_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    """With the key."""
    model = write_models(tmp_path) / "line.xml"
    path, _ = write_workload(tmp_path, model, {"inputs": lines_of(tmp_path)[:1]})
    best = read_best(path)
    assert best.model.workload is not None
    broken = best.model.workload.model_copy(update={"said": {"inputs": 3}})
    edited(path, model=best.model.model_copy(update={"workload": broken}))

    with pytest.raises(AutotuneError, match=r"workload\.said\.inputs.*restore the file"):
        export(path, ["python"], tmp_path / "out")


def test_a_file_in_another_folder_finds_its_data(tmp_path: Path) -> None:
    """Paths in it are relative to its folder, those of programs to theirs."""
    model = write_models(tmp_path) / "line.xml"
    study = tmp_path / "study"
    study.mkdir()
    path, _ = write_workload(study, model, {"inputs": lines_of(study), "pad": PAD})

    export(path, ["python", "cpp"], tmp_path / "elsewhere" / "deep")

    text = (tmp_path / "elsewhere" / "deep" / "python" / "infer.py").read_text()
    assert "HERE / '../../../study/3.npz'" in text
    assert "HERE / '../../../line.xml'" in text
