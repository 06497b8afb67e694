"""Input data: made from a fixed seed, or the user's own."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.inputs import made, samples
from tests import models, planted

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
        ({"ids": (3, 4), "x": (2, 4)}, "'x' has 2 samples, 'ids' has 3"),
        ({"ids": (3, 4), "x": (1, 4)}, "'x' has 1 samples, 'ids' has 3"),
        ({"ids": (0, 4), "x": (0, 4)}, r"'ids' has the shape \(0, 4\)"),
    ],
    ids=["missing input", "other size", "other rank", "other number", "one for all", "no sample"],
)
def test_a_file_that_does_not_fit_is_named(
    two_inputs: ov.Model, tmp_path: Path, arrays: dict[str, tuple[int, ...]], words: str
) -> None:
    """With what it has and what the model takes."""
    file = saved(tmp_path, **{name: np.zeros(shape) for name, shape in arrays.items()})
    with pytest.raises(ValueError, match=f"data.npz: .*{words}"):
        samples(two_inputs, file)


def test_a_pickle_is_never_loaded(two_inputs: ov.Model, tmp_path: Path) -> None:
    """It could run anything; the message names the file and the array."""
    ids = np.array([[{"a": 1}] * 4], dtype=object)
    with pytest.raises(ValueError, match=r"data\.npz: 'ids' .*allow_pickle"):
        samples(two_inputs, saved(tmp_path, ids=ids, x=np.zeros((1, 4))))


def of_shapes(**shapes: tuple[int, ...]) -> ov.Model:
    """Inputs of f32 by name, each given back."""
    ports = [op.parameter(list(shape), np.float32, name=name) for name, shape in shapes.items()]
    return planted.model([op.relu(port) for port in ports], *ports)


def test_a_scalar_has_one_value_for_all_samples_or_one_for_each(tmp_path: Path) -> None:
    """A sample rate beside the samples of a sound."""
    network = of_shapes(sr=(), x=(1, 4))
    x = np.ones((3, 4))
    for given, wanted in ((16.0, [16.0] * 3), ([16.0], [16.0] * 3), ([1.0, 2.0, 3.0], [1, 2, 3])):
        data = samples(network, saved(tmp_path, sr=np.array(given), x=x))
        assert [sample["sr"].shape for sample in data] == [()] * 3
        assert [float(sample["sr"]) for sample in data] == wanted


def test_an_input_of_one_value_takes_a_scalar_too(tmp_path: Path) -> None:
    """For all samples."""
    file = saved(tmp_path, sr=np.array(8.0), x=np.ones((2, 4)))
    data = samples(of_shapes(sr=(1,), x=(1, 4)), file)
    assert [sample["sr"].tolist() for sample in data] == [[8.0], [8.0]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 2)), r"'sr' has the shape \(2, 2\), the model takes a scalar"),
        (np.zeros(0), r"'sr' has the shape \(0,\), the model takes a scalar"),
        (np.zeros(2), "'sr' has 2 samples, 'x' has 3"),
        (np.array("a"), "'sr' has values of the type <U1, the model takes f32"),
        (np.array(1j), "'sr' has values of the type complex128"),
    ],
)
def test_a_scalar_that_does_not_fit_is_named(tmp_path: Path, given: np.ndarray, words: str) -> None:
    """With the file and the array, whatever its shape and type."""
    with pytest.raises(ValueError, match=rf"data\.npz: {words}"):
        samples(of_shapes(sr=(), x=(1, 4)), saved(tmp_path, sr=given, x=np.ones((3, 4))))


def test_a_past_of_length_zero_is_fed(tmp_path: Path) -> None:
    """There is nothing in it: one for all samples, or one for each."""
    network = of_shapes(past=(1, 0, 4), x=(1, 4))
    for rows in (1, 3):
        data = samples(network, saved(tmp_path, past=np.zeros((rows, 0, 4)), x=np.ones((3, 4))))
        assert [sample["past"].shape for sample in data] == [(1, 0, 4)] * 3
    assert samples(network)[0]["past"].shape == (1, 0, 4)


def test_a_npy_file_is_the_only_input(tmp_path: Path) -> None:
    """As NumPy's own `save` writes it."""
    np.save(tmp_path / "x.npy", np.arange(8.0).reshape(2, 4))
    data = samples(of_shapes(x=(1, 4)), tmp_path / "x.npy")
    assert [sample["x"].tolist() for sample in data] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]]]


def test_a_npy_file_for_two_inputs_is_refused(two_inputs: ov.Model, tmp_path: Path) -> None:
    """With what to write instead."""
    np.save(tmp_path / "x.npy", np.zeros((2, 4)))
    words = r"x\.npy: a \.npy file has one array, and the model has 2 inputs; .*: ids, x"
    with pytest.raises(ValueError, match=words):
        samples(two_inputs, tmp_path / "x.npy")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY\x01", b"text\n"])
@pytest.mark.parametrize("name", ["data.npz", "data.npy"])
def test_a_file_that_holds_no_arrays_is_named(
    two_inputs: ov.Model, tmp_path: Path, name: str, content: bytes
) -> None:
    """Whatever is in it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: is no \.npz or \.npy file of plain arrays"):
        samples(two_inputs, tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ov.Type.u8, 300),
        (ov.Type.u8, -1),
        (ov.Type.i64, 0.5),
        (ov.Type.i64, float("nan")),
        (ov.Type.boolean, 2),
        (ov.Type.u4, 16),
        (ov.Type.i4, -9),
        (ov.Type.f16, 1e6),
    ],
    ids=str,
)
def test_a_value_that_would_become_another_one_is_refused(
    tmp_path: Path, kind: ov.Type, given: float
) -> None:
    """Pixels of 300 are no bytes, and half a token is none."""
    x = op.parameter([1, 2], kind, name="x")
    network = planted.model(op.convert(x, "f32"), x)
    words = rf"data\.npz: 'x' has values from .* that {kind.get_type_name()}, .* cannot hold"
    with pytest.raises(ValueError, match=words):
        samples(network, saved(tmp_path, x=np.array([[given, 1]])))


def test_made_data_is_of_several_kinds(two_inputs: ov.Model) -> None:
    """Floats from 0 to 1, around 0, and from 0 to 255; ids stay valid ids."""
    for kind, low, high in (("uniform", 0, 1), ("normal", -5, 5), ("wide", 0, 255)):
        values = np.concatenate([sample["x"] for sample in made(two_inputs, kind)])
        assert low <= values.min() < values.max() <= high
        ids = np.concatenate([sample["ids"] for sample in made(two_inputs, kind)])
        assert set(ids.ravel().tolist()) == {0, 1}
    assert np.concatenate([s["x"] for s in made(two_inputs, "normal")]).min() < 0
    assert np.concatenate([s["x"] for s in made(two_inputs, "wide")]).max() > 100
