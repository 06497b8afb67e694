"""A Python program with a pool of requests of the tuned size."""

from typing import Any

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import NO_QUOTA, command, under_budget
from autotune.export.targets.served import ServedWorkload
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    changed_data,
    check_readable,
    render,
    tail_of,
    times_feeding,
    under_environment,
)

PROGRAM = "infer.py"


def export(tuned: Tuned) -> Exported:
    """A program that needs openvino and numpy only, and Pillow where it has pictures.

    Raises:
        UnsupportedError: it cannot feed what was fed: a type that NumPy lacks, data that are gone.
    """
    best, served = tuned.best, tuned.served
    if served is not None:
        check_readable("python", served)
    program = render(
        "infer.py.jinja" if served is None else "serve.py.jinja",
        model=tuned.model,
        device=best.device,
        properties=properties_of(best),
        cpus=None if best.core_budget is None else best.core_budget.cpus,
        inputs=tuned.inputs,
        names=[port.name for port in tuned.inputs],
        batch_size=best.batch_size,
        items=best.items,
        tail=tail_of(tuned),
        num_requests=best.num_requests,
        expected=tuned.expected,
        is_sync=tuned.is_sync,
        copies=tuned.copies,
        data=tuned.data,
        **({} if served is None else _serving(tuned, served)),
    )
    losses = [
        *changed_data(tuned),
        *under_environment(tuned, BY_THE_COMMAND),
        *under_budget(tuned, None, NO_QUOTA),
    ]
    if not tuned.expected:
        losses.append(
            Loss(
                f"nothing is read back: {tuned.device_type} does not report streams and threads",
                "the program cannot tell whether it runs what was measured",
            )
        )
    return Exported(
        files={PROGRAM: program, "requirements.txt": _requirements(tuned)},
        run=(
            "pip install -r requirements.txt",
            command(tuned, [f"python {PROGRAM} --seconds 10"]),
        ),
        losses=tuple(losses),
    )


def _serving(tuned: Tuned, served: ServedWorkload) -> dict[str, Any]:
    """What the program of a workload is made from, beside the rest."""
    own = {"argparse", "itertools", "json", "time"}
    if tuned.best.core_budget is not None:
        own.add("os")
    if served.is_routed and not tuned.is_sync:
        own |= {"queue", "sys"}
    return {
        "s": served,
        "way": served.way(copies=tuned.copies),
        "times_feeding": times_feeding(tuned),
        "modules": sorted(own | served.modules),
    }


def _requirements(tuned: Tuned) -> str:
    """The runtime that was measured: another one may choose other kernels."""
    more = () if tuned.served is None else tuned.served.packages
    openvino = f"openvino{f'=={tuned.release}' if tuned.release else ''}"
    return "\n".join(["numpy", openvino, *more]) + "\n"
