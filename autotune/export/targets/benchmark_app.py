"""OpenVINO's benchmark_app: a file for -load_config, and the command line for all else."""

import json
import shlex

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import NO_QUOTA, on_its_cpus, under_budget
from autotune.export.targets.target import (
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    other_data,
    under_environment,
)
from autotune.space.devices import gathered_by

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
    best = tuned.best
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
        *("-shape", _for_inputs(tuned, [str(list(p.shape))[1:-1] for p in tuned.inputs])),
        *("-layout", _for_inputs(tuned, [_layout(tuned, p.shape) for p in tuned.inputs])),
        *("-api", "sync" if tuned.is_sync else "async"),
        *(() if tuned.is_sync else ("-nireq", str(best.num_requests))),
        f"-inference_only={'false' if tuned.copies else 'true'}",
        *("-latency_percentile", str(_percentile(tuned))),
        *("-t", "30"),
    ]
    words = [*(("env", *tuned.assigned) if tuned.assigned else ()), *on_its_cpus(tuned)]
    run = " ".join(["exec", *words])
    script = f'#!/bin/sh\ncd "$(dirname "$0")" || exit\n{run} {shlex.join(command)} "$@"\n'
    return Exported(
        files={CONFIG: config, SCRIPT: script},
        run=(f"sh {SCRIPT}",),
        losses=tuple(_losses(tuned)),
    )


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
