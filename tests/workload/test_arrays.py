"""Samples from .npz and .npy files."""

import contextlib
import io
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Source
from autotune.workload.sources import read
from tests.workload.builders import IMAGE, of_files, port, saved

DTYPES = list(
    {str(d): d for d in map(np.dtype, np.typecodes["All"]) if d.kind not in "OV"}.values()
)
TAKEN = [one for one in DTYPES if one.kind in "biufUS"]
REFUSED = [one for one in DTYPES if one.kind not in "biufUS"]


def arrays(*files: Path, ports: Any = (), most: int = 64) -> Gathered:
    """What is read."""
    return read(of_files(Source.ARRAYS, *files, most=most), ports or [port()])


@pytest.mark.parametrize("dtype", TAKEN, ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_comes_as_it_was_given(dtype: np.dtype[Any], order: Any, tmp_path: Path) -> None:
    """Samples lie along the first axis and keep it, from .npz and .npy alike."""
    values = np.arange(12).reshape(3, 4).astype(dtype.newbyteorder(order))
    np.save(tmp_path / "x.npy", values)
    for file in (saved(tmp_path / "x.npz", x=values), tmp_path / "x.npy"):
        found = arrays(file)
        assert [one["x"].tolist() for one in found.samples] == [[row] for row in values.tolist()]
        assert all(one["x"].dtype == values.dtype for one in found.samples)
        assert found.names == [f"{file.name}, sample {i}" for i in (1, 2, 3)]
        assert found.notes == []


@pytest.mark.parametrize("dtype", REFUSED, ids=str)
def test_types_that_no_model_takes_are_named(dtype: np.dtype[Any], tmp_path: Path) -> None:
    """Complex numbers and dates are none of a model's."""
    file = saved(tmp_path / "x.npz", x=np.zeros((3, 4), dtype))
    with pytest.raises(SourceError, match=r"x.npz: 'x' has values of the type"):
        arrays(file)


@given(
    count=st.integers(1, 5),
    each=st.integers(1, 3),
    rest=st.lists(st.integers(1, 3), max_size=3),
    hidden=st.sets(st.integers(0, 3)),
)
@settings(max_examples=40, deadline=None)
def test_a_file_is_cut_by_the_models_first_dimension(
    count: int, each: int, rest: list[int], hidden: set[int]
) -> None:
    """Put together again, the samples are the array; an open first dimension is 1."""
    shape = tuple(None if i in hidden else n for i, n in enumerate((each, *rest)))
    values = np.arange(count * each * int(np.prod(rest))).reshape(count * each, *rest)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.npy"
        np.save(file, values)
        found = [one["x"] for one in arrays(file, ports=[port(shape=shape)]).samples]
    assert len(found) == (count if shape[0] else count * each)
    assert np.array_equal(np.concatenate(found), values)


def test_files_of_different_shapes_are_ragged_samples(tmp_path: Path) -> None:
    """Each file has one or more of its own; all are kept, in the order of the files."""
    lengths = [(1, 5), (2, 7), (1, 3)]
    files = []
    for i, (count, length) in enumerate(lengths):
        ids = np.full((count, length), i)
        files.append(saved(tmp_path / f"{i}.npz", ids=ids, mask=np.ones_like(ids)))
    found = arrays(*files, ports=[port("ids"), port("mask")])
    assert [one["ids"].shape for one in found.samples] == [(1, 5), (1, 7), (1, 7), (1, 3)]
    assert [one["mask"].shape[1] for one in found.samples] == [5, 7, 7, 3]
    assert found.names == ["0.npz", "1.npz, sample 1", "1.npz, sample 2", "2.npz"]


def test_one_value_stands_for_all_samples(tmp_path: Path) -> None:
    """Of a scalar, a single value, and nothing: there is nothing in them to differ."""
    ports = [port("x", (1, 4)), port("rate", (1,)), port("level", ()), port("past", (1, 0, 2))]
    file = saved(
        tmp_path / "x.npz",
        x=np.ones((3, 4)),
        rate=np.array(16000),
        level=np.array([1, 2, 3]),
        past=np.zeros((1, 0, 2)),
    )
    found = arrays(file, ports=ports).samples
    assert [one["rate"].tolist() for one in found] == [[16000]] * 3
    assert [one["level"].tolist() for one in found] == [1, 2, 3]
    assert [one["past"].shape for one in found] == [(1, 0, 2)] * 3


@pytest.mark.parametrize(
    ("shape", "wanted", "words"),
    [
        ((3, 5), (1, 4), r"'x' has the shape \(3, 5\), the model takes \(1, 4\)$"),
        ((4,), (1, 4), r"takes \(1, 4\); samples lie along the first axis: save array\[None\]"),
        ((7,), (None, None), r"takes \(\?, \?\); samples lie along the first axis"),
        ((0, 4), (1, 4), r"'x' has the shape \(0, 4\)"),
        ((3, 4), (2, 4), r"'x' has the shape \(3, 4\), the model takes \(2, 4\)$"),
        ((3, 4), (), "takes a scalar"),
        ((), (1, 4), r"'x' has the shape \(\), the model takes \(1, 4\)"),
        ((3, 4, 2), (None, 4), r"'x' has the shape \(3, 4, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    shape: tuple[int, ...], wanted: tuple[int | None, ...], words: str, tmp_path: Path
) -> None:
    """With the file, the array, and what the model takes."""
    file = saved(tmp_path / "x.npz", x=np.zeros(shape))
    with pytest.raises(SourceError, match=words) as caught:
        arrays(file, ports=[port(shape=wanted)])
    assert str(caught.value).startswith(str(file))


def test_names_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """What the file has and what the model takes; what is too much is said, and not used."""
    ports = [port("ids"), port("mask")]
    file = saved(tmp_path / "x.npz", id=np.ones((2, 3)), mask=np.ones((2, 3)))
    with pytest.raises(
        SourceError, match="no array named 'ids'; it has id, mask; the model takes ids, mask"
    ):
        arrays(file, ports=ports)
    file = saved(tmp_path / "x.npz", ids=np.ones((2, 3)), mask=np.ones((3, 3)))
    with pytest.raises(SourceError, match="'ids' has 2 samples, 'mask' has 3"):
        arrays(file, ports=ports)
    file = saved(tmp_path / "x.npz", **{n: np.ones((2, 3)) for n in ("ids", "mask", "label")})
    assert arrays(file, ports=ports).notes == ["not used: 'label'; the model takes ids, mask"]
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    with pytest.raises(SourceError, match=r"has one array, and the model has 2 inputs.*ids, mask"):
        arrays(tmp_path / "x.npy", ports=ports)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_how_much_is_used_is_said(count: int, tmp_path: Path) -> None:
    """Only where it is not all of it."""
    file = saved(tmp_path / "x.npz", x=np.arange(4.0)[:, None])
    found = arrays(file, most=count)
    assert len(found.samples) == min(count, 4)
    assert found.notes == (["3 of 4 samples are used"] if count == 3 else [])
    found = arrays(file, file, file, most=5)
    assert found.notes == ["5 of 8 or more samples are used"]


def test_images_that_are_prepared_have_three_axes(tmp_path: Path) -> None:
    """One file, one image; or several along a first axis that images themselves have not."""
    one, several = np.zeros((5, 4, 3), np.uint8), np.zeros((2, 6, 7, 3), np.uint8)
    np.save(tmp_path / "a.npy", one)
    np.save(tmp_path / "b.npy", several)
    found = arrays(tmp_path / "a.npy", tmp_path / "b.npy", ports=[IMAGE])
    assert [s["image"].shape for s in found.samples] == [(5, 4, 3), (6, 7, 3), (6, 7, 3)]
    np.save(tmp_path / "c.npy", np.zeros((5, 4)))
    with pytest.raises(SourceError, match="HWC, or NHWC for several"):
        arrays(tmp_path / "c.npy", ports=[IMAGE])


class Trap:
    """What would write a file where it is loaded."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('loaded')",)


def broken_files(folder: Path) -> dict[str, Path]:
    """Files that are no plain arrays, by what is wrong with them."""
    whole = folder / "whole.npz"
    np.savez_compressed(whole, x=np.random.default_rng(1).random((30, 40)))
    content = whole.read_bytes()
    np.save(folder / "whole.npy", np.ones((3, 4)))
    plain = (folder / "whole.npy").read_bytes()
    trapped = io.BytesIO()
    np.save(trapped, np.array([Trap()], object), allow_pickle=True)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("x.npy", trapped.getvalue())
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("x.npy", b"no array")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    found = {
        "empty": b"",
        "text": b"hello\n",
        "pickle": pickle.dumps({"x": 1}),
        "objects.npy": trapped.getvalue(),
        "objects.npz": zipped.getvalue(),
        "no array in it": raw.getvalue(),
        "flipped": bytes(flipped),
        "half of .npy": plain[:-8],
        "header of .npy": plain[:20],
        "huge shape": plain.replace(b"(3, 4), }", b"(3000000000000,400),}"),
        **{f"cut at {n}": content[: len(content) * n // 5] for n in range(1, 5)},
    }
    paths = {}
    for number, (name, data) in enumerate(found.items()):
        paths[name] = folder / f"{number}.npz"
        paths[name].write_bytes(data)
    return paths


def test_broken_files_are_named_and_nothing_is_unpickled(tmp_path: Path) -> None:
    """One line each, with the file; what is pickled says how to save it."""
    for name, file in broken_files(tmp_path).items():
        with pytest.raises(SourceError) as caught:
            arrays(file)
        assert str(caught.value).startswith(f"{file}: "), name
        assert "\n" not in str(caught.value), name
        assert ("never loaded" in str(caught.value)) == name.startswith("objects"), name
    with pytest.raises(SourceError, match="cannot be read: no such file"):
        arrays(tmp_path / "absent.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no samples"):
        arrays(tmp_path / "empty")


@pytest.mark.parametrize("form", ["npy", "npz", "compressed"])
def test_any_change_of_bytes_is_an_array_or_a_reason(form: str, tmp_path: Path) -> None:
    """Nothing else comes through, whatever NumPy and zip make of it."""
    stream = io.BytesIO()
    values = np.arange(12.0).reshape(3, 4)
    if form == "npy":
        np.save(stream, values)
    else:
        {"npz": np.savez, "compressed": np.savez_compressed}[form](stream, x=values)
    generator = np.random.default_rng(13)
    for number in range(150):
        content = bytearray(stream.getvalue())
        for place in generator.integers(0, len(content), 1 + number % 3):
            content[place] = int(generator.integers(0, 256))
        file = tmp_path / "x"
        file.write_bytes(content)
        with contextlib.suppress(SourceError):
            found = arrays(file, ports=[port(shape=(None, 4))])
            assert all(one["x"].shape == (1, 4) for one in found.samples)
