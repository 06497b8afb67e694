"""Values as people write them, and the tensors that the runtime takes and gives.

Most element types are NumPy's. The others (bf16, the 8-bit and 4-bit floats, whole numbers below
a byte) have no NumPy type: OpenVINO shows their bits as something else (bf16 as f16), or packed.
Here they are float32 or int64 arrays of the tensor's shape, encoded and decoded by the runtime.
"""

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

_NATIVE = {
    kind: np.dtype(dtype)
    for kind, dtype in (
        (ov.Type.boolean, np.bool_),
        (ov.Type.f16, np.float16),
        (ov.Type.f32, np.float32),
        (ov.Type.f64, np.float64),
        (ov.Type.i8, np.int8),
        (ov.Type.i16, np.int16),
        (ov.Type.i32, np.int32),
        (ov.Type.i64, np.int64),
        (ov.Type.u8, np.uint8),
        (ov.Type.u16, np.uint16),
        (ov.Type.u32, np.uint32),
        (ov.Type.u64, np.uint64),
    )
}


def dtype_of(kind: ov.Type) -> np.dtype[Any]:
    """The NumPy type in which values of an element type are written here."""
    if kind == ov.Type.string:
        return np.dtype(np.str_)
    if kind in _NATIVE:
        return _NATIVE[kind]
    return np.dtype(np.float32 if _is_real(kind) else np.int64)


def is_addressable(kind: ov.Type) -> bool:
    """Whether a tensor's memory shows each value by itself: no text, and nothing packed."""
    return bool(kind != ov.Type.string and kind.bitwidth >= 8)


def limits(kind: ov.Type) -> tuple[int, int] | None:
    """Least and largest value of a type of whole numbers; None for all others."""
    if kind in {ov.Type.boolean, ov.Type.string} or _is_real(kind):
        return None
    bits = kind.bitwidth
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind.is_signed() else (0, 2**bits - 1)


def _is_real(kind: ov.Type) -> bool:
    return bool(kind.is_real()) or kind == ov.Type.nf4  # which the runtime counts as whole numbers


def encode(values: np.ndarray, kind: ov.Type) -> ov.Tensor:
    """A tensor of its own memory.

    Raises:
        RuntimeError: a value does not fit the type.
    """
    if kind == ov.Type.string or kind in _NATIVE:
        # A copy: shared numpy memory may be freed too early.
        values = np.ascontiguousarray(values, dtype_of(kind)).reshape(values.shape)
        return ov.Tensor(values, shared_memory=False)
    tensor = ov.Tensor(kind, ov.Shape(list(values.shape)))
    if values.size:
        tensor.data[...] = op.constant(values, kind).data
    return tensor


def decode(tensor: ov.Tensor) -> np.ndarray:
    """The tensor's values; where they need no decoding, valid as long as the tensor's own."""
    kind = tensor.element_type
    if kind == ov.Type.string:
        return np.array(tensor.str_data)
    if kind in _NATIVE:
        return np.asarray(tensor.data)
    shape = list(tensor.shape)
    found = ov.Tensor(ov.Type.f32, ov.Shape(shape))
    if found.size:
        op.convert(op.parameter(shape, kind), "f32").evaluate([found], [tensor])
    return np.array(found.data).astype(dtype_of(kind)).reshape(shape)


def overwrite(target: ov.Tensor, source: ov.Tensor) -> None:
    """Copy the values of a tensor into another one of the same type and shape."""
    if target.element_type == ov.Type.string:
        target.bytes_data = source.bytes_data
    else:
        np.copyto(target.data, source.data)
