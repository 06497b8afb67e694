"""Input data: made from a fixed seed, or the user's own."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from autotune.worker.inputs import samples
from tests import models

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def two_inputs(model_folder: Path) -> ov.Model:
    """ids: i64 1×4, and x: f32 1×4."""
    return ov.Core().read_model(model_folder / models.TWO_INPUTS)


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    """An .npz file."""
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]  # its stub types one keyword
    return folder / "data.npz"


def test_made_data_has_the_types_and_shapes_of_the_inputs(two_inputs: ov.Model) -> None:
    """Several distinct samples, the same in every process; whole numbers are valid ids."""
    data = samples(two_inputs)
    assert len(data) > 1
    for sample in data:
        assert (sample["ids"].dtype.name, sample["ids"].shape) == ("int64", (1, 4))
        assert (sample["x"].dtype.name, sample["x"].shape) == ("float32", (1, 4))
        assert set(sample["ids"].ravel()) <= {0, 1}
    assert not np.array_equal(data[0]["x"], data[1]["x"])
    assert np.array_equal(data[0]["x"], samples(two_inputs)[0]["x"])


def test_a_file_gives_one_sample_for_each_row(two_inputs: ov.Model, tmp_path: Path) -> None:
    """Converted to the type that the input takes."""
    ids, x = np.arange(12, dtype=np.int32).reshape(3, 4), np.ones((3, 4))
    data = samples(two_inputs, saved(tmp_path, ids=ids, x=x, more=x))
    assert [sample["ids"].tolist() for sample in data] == [[row] for row in ids.tolist()]
    assert data[0]["ids"].dtype == np.int64
    assert data[0]["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"ids": (3, 4)}, r"no array named 'x'; it has \['ids'\]"),
        ({"ids": (3, 4), "x": (3, 5)}, r"'x' has the shape \(3, 5\), the model takes \(1, 4\)"),
        ({"ids": (3, 4), "x": (4,)}, r"'x' has the shape \(4,\)"),
        ({"ids": (3, 4), "x": (2, 4)}, "'x' has 2 samples, another input 3"),
        ({"ids": (0, 4), "x": (0, 4)}, r"'ids' has the shape \(0, 4\)"),
    ],
    ids=["missing input", "other size", "other rank", "other number", "no sample"],
)
def test_a_file_that_does_not_fit_is_named(
    two_inputs: ov.Model, tmp_path: Path, arrays: dict[str, tuple[int, ...]], words: str
) -> None:
    """With what it has and what the model takes."""
    file = saved(tmp_path, **{name: np.zeros(shape) for name, shape in arrays.items()})
    with pytest.raises(ValueError, match=f"data.npz: .*{words}"):
        samples(two_inputs, file)


def test_a_pickle_is_never_loaded(two_inputs: ov.Model, tmp_path: Path) -> None:
    """It could run anything."""
    ids = np.array([[{"a": 1}] * 4], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        samples(two_inputs, saved(tmp_path, ids=ids, x=np.zeros((1, 4))))
