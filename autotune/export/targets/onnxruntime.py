"""ONNX Runtime with the OpenVINO execution provider: its options, and a program that uses them."""

import json

from autotune.export.targets.confinement import (
    BY_THIS_COMMAND,
    NO_QUOTA,
    command,
    under_budget,
)
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    other_data,
    render,
    under_environment,
)

OPTIONS, PROGRAM = "provider_options.json", "session.py"
_DEVICES = {"CPU", "GPU", "NPU", "AUTO", "MULTI", "HETERO"}
_TYPES = {
    "boolean": "bool",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
}


def export(tuned: Tuned) -> Exported:
    """Provider options, whose `load_config` is the text of a JSON object and no file name.

    Raises:
        UnsupportedError: no ONNX file, a device or element type that the provider lacks, or an
            ONNX file that fixes another batch.
    """
    _check(tuned)
    best = tuned.best
    options = {
        "device_type": best.device,
        # Of GPU.1 it looks for GPU.
        "load_config": json.dumps({tuned.device_type.split(".")[0]: tuned.explicit}),
        "reshape_input": ",".join(
            f"{port.name}[{','.join(str(size) for size in port.shape)}]" for port in tuned.inputs
        ),
    }
    program = render(
        "session.py.jinja",
        model=tuned.model,
        options=OPTIONS,
        items=best.items,
        num_requests=best.num_requests,
        inputs=tuned.inputs,
        types=_TYPES,
    )
    return Exported(
        files={OPTIONS: json.dumps(options, indent=2) + "\n", PROGRAM: program},
        run=(
            "pip install onnxruntime-openvino numpy",
            command(tuned, [f"python {PROGRAM} --seconds 10"]),
        ),
        losses=tuple(_losses(tuned)),
    )


def _check(tuned: Tuned) -> None:
    odd = next((port for port in tuned.inputs if port.type not in _TYPES), None)
    fixed = next(iter(tuned.fixed), None)
    if tuned.format != "onnx":
        reason = f"it loads .onnx files, and a .{tuned.format} file was tuned"
    elif tuned.device_type.split(".")[0] not in _DEVICES:
        reason = f"its OpenVINO provider knows no device {tuned.best.device!r}"
    elif odd is not None:
        reason = f"this export has no element type {odd.type!r}, which input {odd.name!r} has"
    elif fixed is not None:
        reason = (
            f"the model fixes input {fixed.name!r} at {list(fixed.shape)} and ONNX Runtime holds "
            "it to that; give the ONNX file dynamic dimensions there"
        )
    elif any(set(port.name) & set("[],") for port in tuned.inputs):
        reason = "reshape_input cannot quote brackets or commas in the name of an input"
    else:
        return
    raise UnsupportedError(f"onnxruntime: {reason}")


def _losses(tuned: Tuned) -> list[Loss]:
    return [
        another_runtime(tuned, "the provider brings its own OpenVINO"),
        Loss(
            f"requests in flight: {tuned.best.num_requests} threads call session.run instead",
            "callers wait for each other; every call allocates its outputs",
        ),
        Loss(
            "reading back what the compiled model uses",
            "the program cannot tell whether it runs what was measured",
        ),
        *other_data(tuned),
        *under_environment(tuned, BY_THE_COMMAND),
        *under_budget(tuned, BY_THIS_COMMAND, NO_QUOTA),
    ]
