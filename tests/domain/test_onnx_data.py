"""Where an ONNX file says that its weights are; the oracle is the onnx package."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from autotune.domain.onnx_data import external_data, locations
from tests.onnx_models import external, locations_in, write_external, write_inline

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    """Inside or outside of the file, with or without what they should have."""
    if draw(st.booleans()):
        tensor = external("w", draw(NAMES), **draw(st.sampled_from([{}, {"offset": "0"}])))
    else:
        tensor = TensorProto(name="w", raw_data=draw(st.binary(max_size=8)))
        for key in draw(st.lists(st.sampled_from(["location", "length"]), max_size=2)):
            tensor.external_data.add(key=key, value=draw(NAMES))
        if draw(st.booleans()):
            tensor.data_location = draw(
                st.sampled_from([TensorProto.DEFAULT, TensorProto.EXTERNAL])
            )
    return tensor


@st.composite
def sparse(draw: st.DrawFn) -> Any:
    """Two tensors in one."""
    return SparseTensorProto(values=draw(tensors()), indices=draw(tensors()), dims=[4])


@st.composite
def attributes(draw: st.DrawFn, graphs: st.SearchStrategy[Any]) -> Any:
    """Whatever an attribute may hold."""
    kind = draw(st.sampled_from(["f", "s", "t", "tensors", "sparse", "sparses", "g", "graphs"]))
    if kind == "f":
        return AttributeProto(name="a", f=1.5, type=AttributeProto.FLOAT)
    if kind == "s":
        return AttributeProto(name="a", s=b"location", type=AttributeProto.STRING)
    if kind in {"t", "tensors"}:
        given = {"t": draw(tensors())} if kind == "t" else {"tensors": [draw(tensors())] * 2}
        return AttributeProto(name="a", **given)
    if kind in {"sparse", "sparses"}:
        one = draw(sparse())
        named = {"sparse_tensor": one} if kind == "sparse" else {"sparse_tensors": [one]}
        return AttributeProto(name="a", **named)
    inner = draw(graphs)
    return AttributeProto(name="a", **({"g": inner} if kind == "g" else {"graphs": [inner]}))


def graphs(depth: int) -> st.SearchStrategy[Any]:
    """Graphs within graphs."""

    @st.composite
    def one(draw: st.DrawFn) -> Any:
        below = graphs(depth - 1) if depth else st.just(GraphProto())
        nodes = draw(st.lists(attributes(below), max_size=2))
        return GraphProto(
            name="location",
            node=[NodeProto(op_type="X", input=["x"], attribute=[a]) for a in nodes],
            initializer=draw(st.lists(tensors(), max_size=2)),
            sparse_initializer=draw(st.lists(sparse(), max_size=1)),
        )

    return one()


@st.composite
def models(draw: st.DrawFn) -> Any:
    """A model with a graph and a function."""
    model = ModelProto(ir_version=9, producer_name="location", graph=draw(graphs(2)))
    for attribute in draw(st.lists(attributes(graphs(0)), max_size=1)):
        node = NodeProto(op_type="Y", attribute=[attribute])
        model.functions.add(name="f", node=[node], attribute_proto=[attribute])
    return model


@given(models())
def test_every_tensor_is_found(model: Any) -> None:
    """In initializers, attributes, subgraphs, functions and sparse tensors; and no other text."""
    assert set(locations(model.SerializeToString())) == locations_in(model)


@given(models(), st.data())
def test_a_damaged_file_names_what_the_package_reads(model: Any, data: st.DataObject) -> None:
    """Bytes cut off or changed: the same as the package where it reads them, never an exception."""
    content = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    found = locations(cut)
    try:
        wanted = locations_in(ModelProto.FromString(cut))
    except (DecodeError, UnicodeDecodeError):
        return

    assert {name for name in wanted if name} <= set(found)


@given(st.binary(max_size=200))
def test_whatever_is_no_onnx_names_no_file(content: bytes) -> None:
    """Any bytes: no exception."""
    assert isinstance(locations(content), tuple)


@pytest.mark.parametrize("depth", [90, 5000])
def test_messages_within_messages_have_an_end(depth: int) -> None:
    """Deeper than protobuf itself goes, nothing is looked for, and nothing overflows."""
    content = external("w", "deep").SerializeToString()
    content = b"\x2a" + _length(content) + content  # an initializer
    for _ in range(depth // 3):
        attribute = b"\x32" + _length(content) + content
        node = b"\x2a" + _length(attribute) + attribute
        content = b"\x0a" + _length(node) + node
    content = b"\x3a" + _length(content) + content

    assert locations(content) == (("deep",) if depth < 100 else ())


def test_files_are_read_in_place(tmp_path: Path) -> None:
    """As their model says, each once and in order; an empty file names none."""
    model = write_external(tmp_path / "m.onnx", {"a": "w/2.bin", "b": "1.bin", "c": "w/2.bin"})
    (tmp_path / "empty.onnx").touch()

    assert external_data(model) == ("1.bin", "w/2.bin")
    assert external_data(write_inline(tmp_path / "inline.onnx")) == ()
    assert external_data(tmp_path / "empty.onnx") == ()


def _length(content: bytes) -> bytes:
    """As protobuf writes a length."""
    left, found = len(content), bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])
