"""ONNX Runtime with the OpenVINO execution provider: its options, and a program that uses them."""

import json
from typing import Any

from autotune.export.targets.confinement import (
    BY_THIS_COMMAND,
    NO_QUOTA,
    command,
    under_budget,
)
from autotune.export.targets.served import NUMPY_TYPES
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    other_data,
    render,
    tail_of,
    taken,
    under_environment,
)
from autotune.export.targets.workload_losses import (
    check_one_model,
    check_stateless,
    fed_with_random_data,
)
from autotune.space.shape_plan import Serving, ShapePlan

OPTIONS, PROGRAM = "provider_options.json", "session.py"
_REQUESTS = 64
"""Of a mix, about so many shapes are listed."""
_DEVICES = {"CPU", "GPU", "NPU", "AUTO", "MULTI", "HETERO"}


def export(tuned: Tuned) -> Exported:
    """Provider options, whose `load_config` is the text of a JSON object and no file name.

    Raises:
        UnsupportedError: no ONNX file, a device or element type that the provider lacks, or an
            ONNX file that fixes another batch.
    """
    check_stateless("onnxruntime", tuned)
    check_one_model("onnxruntime", tuned)
    _check(tuned)
    best, served = tuned.best, tuned.served
    options = {
        "device_type": best.device,
        # Of GPU.1 it looks for GPU.
        "load_config": json.dumps({tuned.device_type.split(".")[0]: tuned.explicit}),
        "reshape_input": ",".join(
            f"{name}[{','.join(map(_size, shape))}]" for name, shape in _bounded(tuned).items()
        ),
    }
    program = render(
        "session.py.jinja",
        model=tuned.model,
        options=OPTIONS,
        items=best.items,
        tail=tail_of(tuned),
        num_requests=best.num_requests,
        inputs=tuned.inputs,
        types=NUMPY_TYPES,
        shapes=[] if served is None or served.is_static else served.in_turns(_REQUESTS),
    )
    return Exported(
        files={OPTIONS: json.dumps(options, indent=2) + "\n", PROGRAM: program},
        run=(
            "pip install onnxruntime-openvino numpy",
            command(tuned, [f"python {PROGRAM} --seconds 10"]),
        ),
        losses=tuple(_losses(tuned)),
    )


def _bounded(tuned: Tuned) -> dict[str, tuple[Any, ...]]:
    """Shapes of the inputs, with bounds where they are open: the provider takes nothing else."""
    served = tuned.served
    if served is None or served.is_static or served.mix is None:
        return taken(tuned)
    (form,) = served.mix.forms(ShapePlan(Serving.BOUNDED))
    return {one.name: form[one.name] for one in served.inputs}


def _size(size: Any) -> str:
    return "..".join(map(str, size)) if isinstance(size, tuple) else str(size)


def _check(tuned: Tuned) -> None:
    odd = next((port for port in tuned.inputs if port.type not in NUMPY_TYPES), None)
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
        *fed_with_random_data(tuned),
        *_of_a_workload(tuned),
        *under_environment(tuned, BY_THE_COMMAND),
        *under_budget(tuned, BY_THIS_COMMAND, NO_QUOTA),
    ]


def _of_a_workload(tuned: Tuned) -> list[Loss]:
    """What is peculiar to the provider."""
    served = tuned.served
    found = []
    if served is not None and served.in_graph is not None:
        found.append(
            Loss(
                "the preprocessing in the graph: it loads the model file, which has none",
                "the program feeds tensors that are ready; callers prepare images themselves",
            )
        )
    if served is not None and not served.is_static and served.plan is not None:
        found.append(
            Loss(
                "the order of shapes: each thread goes through them in a fixed one",
                "which of them meet in time differs from what was measured",
            )
        )
        if served.plan.serving is Serving.DYNAMIC:
            found.append(
                Loss(
                    "open dimensions: the provider takes bounds, those of the sizes that were seen",
                    "an item beyond them is refused",
                )
            )
    return found
