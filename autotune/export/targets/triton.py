"""Triton Inference Server with its OpenVINO backend: config.pbtxt."""

from autotune.export.targets.confinement import (
    BY_THIS_COMMAND,
    NO_QUOTA,
    command,
    under_budget,
)
from autotune.export.targets.model_server import losses as served
from autotune.export.targets.model_server import placed
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    render,
    under_environment,
)
from autotune.space.dimensions import ARITHMETIC_PROPERTY, PROPERTIES

CONFIG = "config.pbtxt"
_DEVICES = {"CPU", "GPU"}
_FORMATS = {"xml", "onnx", "pdmodel", "tflite"}
_READS = ("PERFORMANCE_HINT", "NUM_STREAMS", "INFERENCE_NUM_THREADS")
"""The backend's parameters that are properties of the runtime; it ignores all others."""
_TYPES = {
    "boolean": "TYPE_BOOL",
    "u8": "TYPE_UINT8",
    "u16": "TYPE_UINT16",
    "u32": "TYPE_UINT32",
    "u64": "TYPE_UINT64",
    "i8": "TYPE_INT8",
    "i16": "TYPE_INT16",
    "i32": "TYPE_INT32",
    "i64": "TYPE_INT64",
    "f16": "TYPE_FP16",
    "bf16": "TYPE_BF16",
    "f32": "TYPE_FP32",
    "f64": "TYPE_FP64",
    "string": "TYPE_STRING",
}


def export(tuned: Tuned) -> Exported:
    """The model with the very shapes that were tuned; one instance is one request in flight.

    With `max_batch_size` 0 the dimensions are whole and the backend neither pads nor batches.

    Raises:
        UnsupportedError: a device, file format, element type or scalar that the backend lacks.
    """
    _check(tuned)
    parameters = {key: tuned.explicit[key] for key in _READS if key in tuned.explicit}
    if tuned.arithmetic == "bf16":
        parameters["HINT_BF16"] = "YES"
    parameters |= {"TARGET_DEVICE": tuned.best.device, "RESHAPE_IO_LAYERS": "YES"}
    config = render(
        "config.pbtxt.jinja",
        name=tuned.name,
        file=f"model.{tuned.format}",
        inputs=tuned.inputs,
        outputs=tuned.outputs,
        types=_TYPES,
        num_requests=tuned.best.num_requests,
        parameters=parameters,
    )
    folder = f"models/{tuned.name}"
    return Exported(
        files={CONFIG: config},
        run=(
            *placed(tuned, f"{folder}/1", "model"),
            f"cp {CONFIG} {folder}/",
            command(tuned, ['tritonserver --model-repository "$PWD"/models']),
        ),
        losses=(
            *served(tuned),
            *_ignored(tuned, parameters),
            *under_environment(tuned, BY_THE_COMMAND),
            *under_budget(tuned, BY_THIS_COMMAND, NO_QUOTA),
        ),
    )


def _check(tuned: Tuned) -> None:
    device = tuned.best.device.split(".")[0]
    ports = (*tuned.inputs, *tuned.outputs)
    odd = next((port for port in ports if port.type not in _TYPES), None)
    scalar = next((port for port in ports if not port.shape), None)
    if device not in _DEVICES:
        reason = f"its OpenVINO backend runs on CPU or GPU, and {tuned.best.device!r} was tuned"
    elif tuned.format not in _FORMATS:
        reason = f"its OpenVINO backend loads .xml, .onnx, .pdmodel or .tflite, not .{tuned.format}"
    elif odd is not None:
        reason = f"it has no data type for {odd.type!r}, which {odd.name!r} has"
    elif scalar is not None:
        reason = f"its OpenVINO backend takes no scalar, and {scalar.name!r} is one"
    else:
        return
    raise UnsupportedError(f"triton: {reason}")


def _ignored(tuned: Tuned, parameters: dict[str, str]) -> list[Loss]:
    """One for each property that the backend ignores."""
    found = []
    for key, value in sorted(tuned.explicit.items()):
        is_passed_on = key == ARITHMETIC_PROPERTY and "HINT_BF16" in parameters
        if key in parameters or is_passed_on:
            continue
        effect = PROPERTIES[key].unset if key in PROPERTIES else "the runtime's own choice"
        found.append(Loss(f"{key}={value}: the backend ignores it", effect))
    return found
