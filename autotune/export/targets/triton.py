"""Triton Inference Server with its OpenVINO backend: config.pbtxt."""

from dataclasses import replace
from typing import Any

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
    Port,
    Tuned,
    UnsupportedError,
    render,
    taken,
    under_environment,
)
from autotune.export.targets.workload_losses import (
    check_one_model,
    check_stateless,
    with_its_graph,
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
    check_stateless("triton", tuned)
    check_one_model("triton", tuned)
    graph = with_its_graph(tuned)
    name, tuned = tuned.name, graph.tuned
    _check(tuned)
    inputs = tuple(
        replace(port, shape=tuple(map(_size, taken(tuned)[port.name]))) for port in tuned.inputs
    )
    is_static = all(size >= 0 for port in inputs for size in port.shape)
    parameters = {key: tuned.explicit[key] for key in _READS if key in tuned.explicit}
    if tuned.arithmetic == "bf16":
        parameters["HINT_BF16"] = "YES"
    parameters["TARGET_DEVICE"] = tuned.best.device
    if is_static:
        parameters["RESHAPE_IO_LAYERS"] = "YES"
    config = render(
        "config.pbtxt.jinja",
        name=name,
        file=f"model.{tuned.format}",
        inputs=inputs,
        outputs=tuned.outputs if is_static else _open(tuned),
        types=_TYPES,
        num_requests=tuned.best.num_requests,
        parameters=parameters,
    )
    folder = f"models/{name}"
    return Exported(
        files={CONFIG: config, **graph.files},
        run=(
            *graph.run,
            *placed(tuned, f"{folder}/1", "model"),
            f"cp {CONFIG} {folder}/",
            command(tuned, ['tritonserver --model-repository "$PWD"/models']),
        ),
        losses=(
            *served(tuned),
            *_ignored(tuned, parameters),
            *([] if is_static else _unbounded(tuned)),
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
    elif tuned.fixed and tuned.served is not None and not tuned.served.is_static:
        one = tuned.fixed[0]
        reason = (
            f"the model file fixes input {one.name!r} at {list(one.shape)}, and its OpenVINO "
            "backend opens no dimension"
        )
    elif scalar is not None:
        reason = f"its OpenVINO backend takes no scalar, and {scalar.name!r} is one"
    else:
        return
    raise UnsupportedError(f"triton: {reason}")


def _size(size: Any) -> int:
    """Of a dimension; -1 where it is open or has bounds, which the backend does not take."""
    return -1 if isinstance(size, tuple) else int(size)


def _open(tuned: Tuned) -> tuple[Port, ...]:
    """Outputs, of which the ranks are known: sizes may follow those of the inputs."""
    return tuple(replace(port, shape=(-1,) * len(port.shape)) for port in tuned.outputs)


def _unbounded(tuned: Tuned) -> list[Loss]:
    """Where dimensions stay open."""
    found = [
        Loss(
            "shapes that the model file has otherwise: the backend reshapes to whole sizes only",
            "a dimension that the file fixes, and was opened, is refused when the model is loaded",
        )
    ]
    bounds = [
        f"{size[0]} to {size[1]}"
        for shape in taken(tuned).values()
        for size in shape
        if isinstance(size, tuple)
    ]
    if bounds:
        found.append(
            Loss(
                f"the bounds of sizes ({', '.join(bounds)}): it has open dimensions only",
                "the runtime plans for any size, which may be slower",
            )
        )
    return found


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
