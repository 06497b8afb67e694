"""A C++ program with a pool of requests of the tuned size, and how to build it."""

from typing import Any

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import (
    BY_THIS_COMMAND,
    NO_QUOTA,
    command,
    on_its_cpus,
    under_budget,
)
from autotune.export.targets.served import ServedWorkload
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    changed_data,
    check_readable,
    not_blocking,
    other_data,
    render,
    tail_of,
    times_feeding,
    under_environment,
)

PROGRAM, SAMPLES = "infer.cpp", "samples.py"
_WHERE = "$(python -c 'import openvino; print(openvino.__path__[0] + \"/cmake\")')"
_CONFIGURE = f'cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DOpenVINO_DIR="{_WHERE}"'


def export(tuned: Tuned) -> Exported:
    """A program that needs OpenVINO's headers and library only.

    Where more than data of one shape was asked, a script of Python writes the samples for it: in
    C++ there is no Pillow, no tokenizer, and no function of the study's.

    Raises:
        UnsupportedError: an input is text, which the program has no values for; or the samples
            cannot be read.
    """
    best, served = tuned.best, tuned.served
    if any(port.type == "string" for port in tuned.inputs):
        raise UnsupportedError("cpp: an input is text, and the program has no values for it")
    if served is not None:
        check_readable("cpp", served)
    program = render(
        "infer.cpp.jinja" if served is None else "serve.cpp.jinja",
        model=tuned.model,
        device=best.device,
        properties=properties_of(best),
        confined=" ".join(on_its_cpus(tuned)),
        inputs=tuned.inputs,
        items=best.items,
        tail=tail_of(tuned),
        num_requests=best.num_requests,
        expected=tuned.expected,
        copies=tuned.copies,
        **({} if served is None else _serving(tuned, served)),
    )
    losses = [
        another_runtime(tuned, "whichever it is built with"),
        *(other_data(tuned) if served is None else []),
        *changed_data(tuned),
        *not_blocking(tuned, "the program keeps one request in flight instead"),
        *under_environment(tuned, BY_THE_COMMAND),
        *under_budget(tuned, BY_THIS_COMMAND, NO_QUOTA),
    ]
    if served is None and tuned.data is None and any(port.type != "f32" for port in tuned.inputs):
        losses.append(
            Loss(
                "inputs that are not f32: zeros instead of random numbers",
                "the speed of models whose work depends on their data",
            )
        )
    before: tuple[str, ...] = ()
    files = {PROGRAM: program, "CMakeLists.txt": render("CMakeLists.txt.jinja")}
    if served is not None:
        files[SAMPLES] = render(
            "samples_of.py.jinja", model=tuned.model, s=served, modules=sorted(served.modules)
        )
        files["requirements.txt"] = "\n".join(["numpy", *served.packages]) + "\n"
        before = ("pip install -r requirements.txt", f"python {SAMPLES}")
    return Exported(
        files=files,
        run=(
            *before,
            _CONFIGURE,
            "cmake --build build",
            command(tuned, ["build/infer --seconds 10"]),
        ),
        losses=tuple(losses),
    )


def _serving(tuned: Tuned, served: ServedWorkload) -> dict[str, Any]:
    """What the program of a workload is made from, beside the rest."""
    return {
        "s": served,
        "way": served.way(copies=tuned.copies),
        "pads": served.plan is not None and served.plan.pads,
        "times_feeding": times_feeding(tuned),
        "batch_size": tuned.best.batch_size,
    }
