"""OpenVINO Model Server: config.json, and the same entry to merge into another one."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from autotune.domain.model_file import weights_of
from autotune.export.targets.confinement import BY_THIS_COMMAND, of_container, under_budget
from autotune.export.targets.target import (
    Exported,
    Loss,
    Tuned,
    another_runtime,
    not_blocking,
    taken,
    under_environment,
)
from autotune.export.targets.workload_losses import (
    called_by_others,
    check_stateless,
    with_its_graph,
)
from autotune.space.dimension import Kind
from autotune.space.dimensions import PROPERTIES

CONFIG, ENTRY = "config.json", "model_config.json"
_RUN = 'docker run --rm -p 9000:9000 -p 8000:8000 -v "$PWD":/workspace:ro'
# As its documentation has it: a container sees no device that it is not given.
_DEVICE = "--device /dev/dri --group-add \"$(stat -c '%g' /dev/dri/render* | head -n 1)\""
_NPU = _DEVICE.replace("/dev/dri", "/dev/accel", 1)
_SERVE = "--config_path /workspace/config.json --port 9000 --rest_port 8000"


def export(tuned: Tuned) -> Exported:
    """Every property explicit: in a container the server has defaults of its own.

    Its schema allows no key that it does not know, so nothing else is in there.
    """
    check_stateless("model-server", tuned)
    graph = with_its_graph(tuned)
    name, tuned = tuned.name, graph.tuned
    entries = [{"config": config} for config in entries_of(tuned, name)]
    return Exported(
        files={
            CONFIG: _json({"model_config_list": entries}),
            ENTRY: _json(entries[0] if len(entries) == 1 else entries),
            **graph.files,
        },
        run=(
            *graph.run,
            *placed(tuned, f"models/{name}/1"),
            _started(tuned),
        ),
        losses=(
            *losses(tuned),
            *under_environment(
                tuned, "the command sets it and gives the container the files that it names"
            ),
            *under_budget(tuned, BY_THIS_COMMAND, BY_THIS_COMMAND),
        ),
    )


def _started(tuned: Tuned) -> str:
    """The command that runs the server in a container of its CPUs, devices, variables, files."""
    words = (_RUN, *of_container(tuned), _given(tuned), *_set(tuned), image(tuned), _SERVE)
    return " ".join(filter(None, words))


def entries_of(tuned: Tuned, name: str) -> list[dict[str, Any]]:
    """The configuration of each model: one for each bucket, in the order of routing."""
    served = tuned.served
    if served is None or not served.is_routed or served.plan is None:
        return [_entry(tuned, name, name, shapes(taken(tuned)))]
    found = []
    for form, sizes in zip(served.forms, served.plan.buckets, strict=True):
        own = {
            one.name: (shape[0] * tuned.best.batch_size, *shape[1:]) if shape else shape
            for one, shape in zip(served.inputs, form, strict=True)
        }
        named = f"{name}-{'x'.join(map(str, sizes))}"
        found.append(_entry(tuned, named, name, shapes(own)))
    return found


def _entry(tuned: Tuned, name: str, folder: str, shape: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "base_path": f"/workspace/models/{folder}",
        "shape": shape,
        "target_device": tuned.best.device,
        "nireq": tuned.best.num_requests,
        "plugin_config": plugin_config(tuned),
    }


def plugin_config(tuned: Tuned) -> dict[str, str | int | bool]:
    """Properties in the types that the server hands on."""
    found: dict[str, str | int | bool] = dict(tuned.explicit)
    threads = tuned.explicit.get("INFERENCE_NUM_THREADS", "")
    if threads.isdigit():
        found["INFERENCE_NUM_THREADS"] = int(threads)
    switches = {name for name, one in PROPERTIES.items() if one.kind is Kind.SWITCH}
    return found | {name: tuned.explicit[name] == "YES" for name in switches & set(found)}


def shapes(of: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Shapes as the server writes them, with -1 for an open size and 80:640 for bounds."""
    return {name: f"({','.join(_size(size) for size in shape)})" for name, shape in of.items()}


def _size(size: Any) -> str:
    return ":".join(map(str, size)) if isinstance(size, tuple) else str(size)


def image(tuned: Tuned) -> str:
    """The server's image for the device."""
    return f"openvino/model_server:latest{'' if tuned.device_type == 'CPU' else '-gpu'}"


def _given(tuned: Tuned) -> str:
    """Options that let the container see the device."""
    if tuned.device_type == "CPU":
        return ""
    return _NPU if tuned.device_type == "NPU" else _DEVICE


def _set(tuned: Tuned) -> list[str]:
    """Options for the variables, and for the files that they name, at the same place."""
    named = tuned.environment.get("LD_PRELOAD", "").split(":")
    files = dict.fromkeys(file for file in named if file.startswith("/"))
    return [
        *(f"-e {word}" for word in tuned.assigned),
        *(f"-v {shlex.quote(f'{file}:{file}:ro')}" for file in files),
    ]


def placed(tuned: Tuned, folder: str, name: str | None = None) -> tuple[str, ...]:
    """Commands that put the model, with its weights, where a server looks for it.

    Weights that are named like the model take its new name with it; those that the model names
    itself lie where it says.
    """
    model = PurePosixPath(tuned.model)
    target = folder if name is None else f"{folder}/{name}.{tuned.format}"
    folders, copies = [folder], [f"cp {shlex.quote(tuned.model)} {target}"]
    for file in tuned.weights:
        source = model.parent / file
        is_named_alike = name is not None and source == weights_of(model)
        copy = PurePosixPath(folder, f"{name}{source.suffix}" if is_named_alike else file)
        folders.append(str(copy.parent))
        copies.append(f"cp {shlex.quote(str(source))} {shlex.quote(str(copy))}")
    return (f"mkdir -p {shlex.join(dict.fromkeys(folders))}", *copies)


def losses(tuned: Tuned) -> list[Loss]:
    """What a server does in its own way."""
    best = tuned.best
    found = [
        Loss(
            "a closed loop in one process: callers come over the network, when they like",
            "latency grows by transport and queueing; the cap was shown for the inference alone",
        ),
        another_runtime(tuned, "the server brings its own OpenVINO"),
    ]
    if best.items > 1:
        found.append(
            Loss(
                f"merging of small requests: callers send batches of {best.items}",
                "a caller with fewer items is refused",
            )
        )
    return [*found, *not_blocking(tuned, "nireq 1 instead"), *called_by_others(tuned)]


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
