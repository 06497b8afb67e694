"""Items put into larger shapes, and answers taken back out of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotune.worker.batches import WrongOutputError
from autotune.worker.inputs import DataError
from autotune.workload.mix import Pad


def padded(array: np.ndarray, shape: Sequence[int], pads: Sequence[Pad], name: str) -> np.ndarray:
    """An item of a larger shape: its values first along every axis, and what was said behind them.

    Axes are padded in the order in which they were said, so that what is behind along several of
    them has the value of the last. An item that has the shape already is returned itself.

    Args:
        array: in the type in which values of its input are written.
        shape: as large as the item along every axis, or larger.
        pads: of this input.
        name: of this input, for a message.

    Raises:
        DataError: the item is larger, or has another rank; nothing was said for an axis, or its
            value is none of the type.
    """
    wanted = tuple(shape)
    if array.shape == wanted:
        return array
    if array.ndim != len(wanted) or any(a > b for a, b in zip(array.shape, wanted, strict=True)):
        message = f"{name!r} has the shape {array.shape}, which does not fit into {wanted}"
        raise DataError(message)
    for axis, (own, room) in enumerate(zip(array.shape, wanted, strict=True)):
        if own < room and axis not in {pad.axis for pad in pads}:
            message = (
                f"{name!r} has {own} along axis {axis} and its model takes {room}: say what may be "
                f"put behind it, as pad = {{value = 0, axis = {axis}}}"
            )
            raise DataError(message)
    found = np.empty(wanted, array.dtype)
    fill(found, array, [(pad.axis, _value(pad, array.dtype, name)) for pad in pads])
    return found


def fill(place: np.ndarray, values: np.ndarray, behind: Sequence[tuple[int, object]]) -> None:
    """Write values into the beginning of a place, and an axis' value behind them along it.

    Raises:
        ValueError: the values are larger than the place.
    """
    if values.shape == place.shape:
        np.copyto(place, values)
        return
    part = [slice(length) for length in values.shape]
    place[tuple(part)] = values
    for axis, value in behind:
        part[axis] = slice(values.shape[axis], None)
        place[tuple(part)] = value
        part[axis] = slice(None)


def _value(pad: Pad, dtype: np.dtype[Any], name: str) -> Any:
    """The value in the type of its input.

    Raises:
        DataError: it would become another one, or the type has no numbers.
    """
    if dtype.kind not in "biuf":
        message = f"{name!r} has text, which cannot be padded by {pad.value:g}: give equal shapes"
        raise DataError(message)
    with np.errstate(all="ignore"):
        found = np.asarray(pad.value).astype(dtype)[()]
    is_same = (
        np.isfinite(found) == np.isfinite(pad.value)
        if dtype.kind == "f"
        else _holds(dtype, pad.value)
    )
    if not is_same:
        message = f"{name!r} is padded by {pad.value:g} along axis {pad.axis}, no value of {dtype}"
        raise DataError(message)
    return found


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a type of whole numbers, or of true and false, has the value."""
    if not float(value).is_integer():  # neither is infinity, nor what is no number
        return False
    if dtype.kind == "b":
        return value in {0, 1}
    span = np.iinfo(dtype.name)
    return int(span.min) <= int(value) <= int(span.max)


def cropped(output: np.ndarray, shape: Sequence[int], name: str = "an output") -> np.ndarray:
    """The beginning of an output along every axis: the answer to an item that was padded.

    Raises:
        WrongOutputError: the output is smaller than its reference, or has another rank.
    """
    wanted = tuple(shape)
    if output.ndim != len(wanted):
        message = f"{name} has the shape {output.shape}, of another rank than {wanted} unpadded"
        raise WrongOutputError(message)
    if any(have < need for have, need in zip(output.shape, wanted, strict=True)):
        message = f"{name} has the shape {output.shape}, smaller than {wanted} unpadded"
        raise WrongOutputError(message)
    return output[tuple(slice(length) for length in wanted)]
