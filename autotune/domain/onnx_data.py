"""Which files of weights an ONNX file names: so much of protobuf's wire format as that takes."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

_LOCATION = b"location"
_EXTERNAL = 1
_DEEPEST = 100
"""Messages within each other, as protobuf itself allows."""

Message = dict[int, "Message"]
"""Fields by number that lead to a tensor, and what they hold."""

# As of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
_TENSOR: Message = {}
_SPARSE: Message = {1: _TENSOR, 2: _TENSOR}
_ATTRIBUTE: Message = {5: _TENSOR, 10: _TENSOR, 22: _SPARSE, 23: _SPARSE}
_NODE: Message = {5: _ATTRIBUTE}
_GRAPH: Message = {1: _NODE, 5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE |= {6: _GRAPH, 11: _GRAPH}
_FUNCTION: Message = {7: _NODE, 11: _ATTRIBUTE}
_MODEL: Message = {7: _GRAPH, 25: _FUNCTION}
# Of a tensor, and of an entry of its external data.
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2

Content = mmap.mmap | bytes
Field = tuple[int, int, int | None]
"""Number; value of a whole number and None, or begin and end of what has a length."""


def external_data(file: Path) -> tuple[str, ...]:
    """Where an ONNX file says that its weights are, relative to its folder; () for any other file.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return ()
        with content:
            return locations(content)


def locations(content: Content) -> tuple[str, ...]:
    """The same of a file's content, in order, each once. Whatever is no ONNX names none."""
    found = set()
    open_messages = [(_fields(content, 0, len(content)), _MODEL)]
    while open_messages:
        fields, known = open_messages[-1]
        number, begin, end = next(fields, (0, 0, None))
        if not number:
            open_messages.pop()
        elif end is not None and (inner := known.get(number)) is not None:
            if inner is _TENSOR:
                found |= _location(content, begin, end)
            elif len(open_messages) < _DEEPEST:
                open_messages.append((_fields(content, begin, end), inner))
    return tuple(sorted(found))


def _location(content: Content, begin: int, end: int) -> set[str]:
    """What one tensor says."""
    said, is_external = b"", False
    for number, start, stop in _fields(content, begin, end):
        if number == _DATA_LOCATION and stop is None:
            is_external = start == _EXTERNAL
        elif number == _EXTERNAL_DATA and stop is not None:
            entry = {
                key: content[first:last]
                for key, first, last in _fields(content, start, stop)
                if last is not None
            }
            if entry.get(_KEY) == _LOCATION:
                said = entry.get(_VALUE, b"")
    return {os.fsdecode(said)} if is_external else set()


def _fields(content: Content, at: int, end: int) -> Iterator[Field]:
    """Fields of a message, up to the first byte that is none."""
    groups = 0  # a form that nobody writes any more; what is in one is of no concern
    while at < end:
        tag, at = _varint(content, at, end)
        number, kind = tag >> 3, tag & 7
        if not number:
            return
        if kind == 0:
            value, at = _varint(content, at, end)
            field: Field | None = (number, value, None)
        elif kind == 2:
            size, at = _varint(content, at, end)
            field = (number, at, at + size)
            at += size
        elif kind in {1, 5}:
            field, at = None, at + (8 if kind == 1 else 4)
        elif kind in {3, 4}:
            field, groups = None, groups + (1 if kind == 3 else -1)
        else:
            return
        if at > end or groups < 0:
            return
        if field is not None and not groups:
            yield field


def _varint(content: Content, at: int, end: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and where it ends; beyond `end` for one cut off."""
    value = shift = 0
    while at < end:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    return 0, end + 1
