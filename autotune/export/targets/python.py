"""A Python program with a pool of requests of the tuned size."""

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import NO_QUOTA, command, under_budget
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    render,
    under_environment,
)

PROGRAM = "infer.py"


def export(tuned: Tuned) -> Exported:
    """A program that needs openvino and numpy only."""
    best = tuned.best
    program = render(
        "infer.py.jinja",
        model=tuned.model,
        device=best.device,
        properties=properties_of(best),
        cpus=None if best.core_budget is None else best.core_budget.cpus,
        inputs=tuned.inputs,
        names=[port.name for port in tuned.inputs],
        batch_size=best.batch_size,
        items=best.items,
        num_requests=best.num_requests,
        expected=tuned.expected,
        is_sync=tuned.is_sync,
        copies=tuned.copies,
        data=tuned.data,
    )
    losses = [
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
        files={PROGRAM: program, "requirements.txt": _requirements(tuned.release)},
        run=(
            "pip install -r requirements.txt",
            command(tuned, [f"python {PROGRAM} --seconds 10"]),
        ),
        losses=tuple(losses),
    )


def _requirements(release: str) -> str:
    """The runtime that was measured: another one may choose other kernels."""
    return f"numpy\nopenvino{f'=={release}' if release else ''}\n"
