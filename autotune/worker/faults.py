"""What went wrong in a worker, as the parent is told."""

from autotune.errors import InputCodeError
from autotune.worker.batches import WrongOutputError
from autotune.worker.building import BuildError
from autotune.worker.device_names import DeviceMissingError
from autotune.worker.inputs import DataError
from autotune.worker.model import ShapeError
from autotune.worker.properties import PropertyError


def classify(error: Exception, phase: str) -> str:
    """The kind of failure, from the exception's type and OpenVINO's wording."""
    text = str(error)
    known = next((kind for cause, kind in _KINDS.items() if isinstance(error, cause)), None)
    if known is not None:
        return known
    if isinstance(error, MemoryError) or any(
        sign in text
        for sign in ("bad_alloc", "Failed to allocate", "OUT_OF_RESOURCES", "out of GPU resources")
    ):
        return "out_of_memory"
    if any(
        sign in text
        for sign in ("Unsupported property", "Wrong value", "is not registered", "Invalid value")
    ):
        return "invalid_configuration"
    return _OTHERS.get(phase, "runtime_error")


_KINDS = {
    WrongOutputError: "wrong_output",
    InputCodeError: "code",
    ShapeError: "shape",
    DataError: "data",
    BuildError: "build",
    DeviceMissingError: "device",
    PropertyError: "property",
}
"""Failures that we tell apart ourselves."""
_OTHERS = {
    "look": "model",
    "examine": "model",
    "inspect": "model",
    "open": "compile_error",
    "cached": "compile_error",
}
"""What any other failure is, by the command."""
