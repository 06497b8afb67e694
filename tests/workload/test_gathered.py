"""The file in which samples go from process to process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered, load, save
from tests.workload.test_arrays import TAKEN, broken_files

TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)  # lone surrogates, too
VALUES = npst.arrays(
    st.sampled_from([one for one in TAKEN if one.kind not in "US" and one.itemsize <= 8]),
    npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
) | npst.arrays(
    np.dtype("<U3"),
    npst.array_shapes(min_dims=0, max_dims=2, max_side=2),
    elements=st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=3),
)


@given(
    inputs=st.lists(TEXT, min_size=1, max_size=3, unique=True),
    data=st.data(),
    count=st.integers(0, 3),
    notes=st.lists(TEXT, max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(
    inputs: list[str], data: Any, count: int, notes: list[str], tmp_path_factory: Any
) -> None:
    """Whatever the types and shapes, the names of inputs, and where samples came from."""
    samples = [{name: data.draw(VALUES) for name in inputs} for _ in range(count)]
    names = [data.draw(TEXT) for _ in samples]
    file = tmp_path_factory.getbasetemp() / "gathered"
    save(file, Gathered(samples=samples, names=names, notes=notes))
    found = load(file)
    assert (found.names, found.notes) == (names, notes)
    assert len(found.samples) == count
    for one, known in zip(found.samples, samples, strict=True):
        assert list(one) == inputs
        for name, values in known.items():
            assert (one[name].dtype, one[name].shape) == (values.dtype, values.shape)
            assert one[name].tobytes() == np.ascontiguousarray(values).tobytes()


def test_objects_are_not_written(tmp_path: Path) -> None:
    """Nothing is pickled."""
    strange = Gathered(samples=[{"x": np.array([{}], object)}], names=["a"])
    with pytest.raises(ValueError, match="allow_pickle"):
        save(tmp_path / "x", strange)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """By name, in one line."""
    for file in (*broken_files(tmp_path).values(), tmp_path / "absent", tmp_path):
        with pytest.raises(SourceError, match="holds no samples that were gathered") as caught:
            load(file)
        assert "\n" not in str(caught.value)
