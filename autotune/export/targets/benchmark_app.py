"""OpenVINO's benchmark_app: a file for -load_config, and the command line for all else."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import NO_QUOTA, on_its_cpus, under_budget
from autotune.export.targets.target import (
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    other_data,
    taken,
    under_environment,
)
from autotune.export.targets.workload_losses import (
    check_one_model,
    fed_with_random_data,
    with_its_graph,
)
from autotune.space.devices import gathered_by

_SHAPES = 64
"""Of a mix, about so many shapes are listed."""
_LONGEST_OPTION = 100_000
"""Linux takes 131,072 bytes."""
CONFIG = "load_config.json"
SCRIPT = "benchmark.sh"


def export(tuned: Tuned) -> Exported:
    """The configuration under its device, every value a string, and a script.

    Unknown keys end benchmark_app, native numbers its C++ edition; so the file holds properties
    and nothing else. Without PERFORMANCE_HINT it would add one of its own.

    Raises:
        UnsupportedError: an input's name has a bracket or comma, which its options cannot quote; or
            a device that collects requests.
    """
    check_one_model("benchmark_app", tuned)
    graph = with_its_graph(tuned)
    best, tuned = tuned.best, graph.tuned
    if tuned.served is not None and tuned.served.images_vary:
        raise UnsupportedError(
            "benchmark_app: it would be told the size of each image, and they come in several that "
            "this best.json does not list"
        )
    if gathered_by(best.device) > 1:
        message = (
            f"benchmark_app: of {best.device} it asks for a device of the name in the middle, "
            "with the number, and ends (2026.4.1)"
        )
        raise UnsupportedError(message)
    config = json.dumps({tuned.device_type: properties_of(best)}, indent=4) + "\n"
    command = [
        "benchmark_app",
        *("-m", tuned.model),
        *("-d", best.device),
        *("-load_config", CONFIG),
        *("-shape", _for_inputs(tuned, [_shape(taken(tuned)[p.name]) for p in tuned.inputs])),
        *_data_shapes(tuned),
        *("-layout", _for_inputs(tuned, [_layout(tuned, p.shape) for p in tuned.inputs])),
        *("-api", "sync" if tuned.is_sync else "async"),
        *(() if tuned.is_sync else ("-nireq", str(best.num_requests))),
        f"-inference_only={'false' if tuned.copies or _is_open(tuned) else 'true'}",
        *("-latency_percentile", str(_percentile(tuned))),
        *("-t", "30"),
    ]
    words = [*(("env", *tuned.assigned) if tuned.assigned else ()), *on_its_cpus(tuned)]
    run = " ".join(["exec", *words])
    script = f'#!/bin/sh\ncd "$(dirname "$0")" || exit\n{run} {shlex.join(command)} "$@"\n'
    return Exported(
        files={CONFIG: config, SCRIPT: script, **graph.files},
        run=(*graph.run, f"sh {SCRIPT}"),
        losses=tuple(_losses(tuned)),
    )


def _is_open(tuned: Tuned) -> bool:
    return tuned.served is not None and not tuned.served.is_static


def _shape(shape: Sequence[Any]) -> str:
    """Sizes; ? where one is open, and 80..640 for bounds."""
    sizes = ["..".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in shape]
    return ",".join("?" if one == "-1" else one for one in sizes)


def _data_shapes(tuned: Tuned) -> list[str]:
    """Shapes that are fed in turn, each as often as its weight says.

    Raises:
        UnsupportedError: they are more than a command line holds.
    """
    served = tuned.served
    if served is None or served.is_static:
        return []
    turns = served.in_turns(_SHAPES)
    each = [
        f"{one.name if len(served.inputs) > 1 else ''}"
        + "".join(f"[{','.join(map(str, shapes[at]))}]" for shapes in turns)
        for at, one in enumerate(served.inputs)
    ]
    said = ",".join(each)
    if len(said) > _LONGEST_OPTION:
        message = f"benchmark_app: a mix of {len(served.shares)} shapes is too long for an option"
        raise UnsupportedError(message)
    return ["-data_shape", said]


def _for_inputs(tuned: Tuned, values: list[str]) -> str:
    """``[a]`` for the only input, ``x[a],y[b]`` for several."""
    if len(values) == 1:
        return f"[{values[0].replace(' ', '')}]"
    for port in tuned.inputs:
        if set(port.name) & set("[],"):
            message = (
                f"benchmark_app: an input is named {port.name!r}, and its -shape and -layout "
                "cannot quote brackets or commas"
            )
            raise UnsupportedError(message)
    parts = zip(tuned.inputs, values, strict=True)
    return ",".join(f"{port.name}[{value.replace(' ', '')}]" for port, value in parts)


def _layout(tuned: Tuned, shape: tuple[int, ...]) -> str:
    """The batch comes first. Said so, an image is not taken for one and fed as u8.

    All batches must be the same: an input with another first dimension gets another letter.
    """
    if not shape:
        return "..."
    return "N..." if shape[0] == tuned.inputs[0].shape[0] else "X..."


def _percentile(tuned: Tuned) -> int:
    """The goal's, as a whole number, which is all that it takes."""
    sla = tuned.best.sla
    return 99 if sla is None else min(100, max(1, round(sla.percentile)))


def _losses(tuned: Tuned) -> list[Loss]:
    best = tuned.best
    found = [
        Loss(
            "a warm-up: it makes one inference before its clock starts",
            "short runs show less throughput and a longer tail",
        ),
        another_runtime(tuned, "whichever benchmark_app comes with"),
        *other_data(tuned, "random data"),
        *fed_with_random_data(tuned),
        *_of_a_workload(tuned),
        *under_environment(tuned, "the script sets it, and the file must be there"),
        *under_budget(tuned, None, NO_QUOTA),
    ]
    if best.sla is not None and best.sla.percentile != _percentile(tuned):
        found.append(
            Loss(
                f"the percentile {best.sla.percentile:g}: it takes whole numbers",
                f"it prints the latency of percentile {_percentile(tuned)}",
            )
        )
    streams = best.effective.get("NUM_STREAMS", "")
    if streams.isdigit() and best.num_requests < int(streams):
        found.append(
            Loss(
                f"fewer requests ({best.num_requests}) than streams ({streams}): -nireq also sets "
                "PERFORMANCE_HINT_NUM_REQUESTS",
                "the runtime makes fewer streams",
            )
        )
    if tuned.inputs and tuned.inputs[0].shape[:1] != (best.items,):
        found.append(
            Loss(
                "what an item is: it counts the first dimension",
                f"its throughput is in other units than {best.items} items a request",
            )
        )
    return found


def _of_a_workload(tuned: Tuned) -> list[Loss]:
    """What is peculiar to it."""
    served, found = tuned.served, []
    if served is not None and not served.is_static:
        found.append(
            Loss(
                "the order of shapes: it goes through them one kind after the other",
                "which of them meet in time differs from what was measured",
            )
        )
        if not tuned.copies:
            found.append(
                Loss(
                    "inputs that were made before: of several shapes it fills each when it comes",
                    "a request takes as much longer",
                )
            )
    if served is not None and served.states is not None:
        found.append(
            Loss(
                "what the model keeps between requests: it is never reset",
                "answers are of no item; the time for a reset is missing",
            )
        )
    return found
