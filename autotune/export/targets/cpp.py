"""A C++ program with a pool of requests of the tuned size, and how to build it."""

from autotune.export.core_budget import properties_of
from autotune.export.targets.confinement import (
    BY_THIS_COMMAND,
    NO_QUOTA,
    command,
    on_its_cpus,
    under_budget,
)
from autotune.export.targets.target import (
    BY_THE_COMMAND,
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    another_runtime,
    not_blocking,
    other_data,
    render,
    under_environment,
)

PROGRAM = "infer.cpp"
_WHERE = "$(python -c 'import openvino; print(openvino.__path__[0] + \"/cmake\")')"
_CONFIGURE = f'cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DOpenVINO_DIR="{_WHERE}"'


def export(tuned: Tuned) -> Exported:
    """A program that needs OpenVINO's headers and library only.

    Raises:
        UnsupportedError: an input is text, which the program has no random values for.
    """
    best = tuned.best
    if any(port.type == "string" for port in tuned.inputs):
        raise UnsupportedError("cpp: an input is text, and the program has no values for it")
    program = render(
        "infer.cpp.jinja",
        model=tuned.model,
        device=best.device,
        properties=properties_of(best),
        confined=" ".join(on_its_cpus(tuned)),
        inputs=tuned.inputs,
        items=best.items,
        num_requests=best.num_requests,
        expected=tuned.expected,
        copies=tuned.copies,
    )
    losses = [
        another_runtime(tuned, "whichever it is built with"),
        *other_data(tuned),
        *not_blocking(tuned, "the program keeps one request in flight instead"),
        *under_environment(tuned, BY_THE_COMMAND),
        *under_budget(tuned, BY_THIS_COMMAND, NO_QUOTA),
    ]
    if tuned.data is None and any(port.type != "f32" for port in tuned.inputs):
        losses.append(
            Loss(
                "inputs that are not f32: zeros instead of random numbers",
                "the speed of models whose work depends on their data",
            )
        )
    return Exported(
        files={PROGRAM: program, "CMakeLists.txt": render("CMakeLists.txt.jinja")},
        run=(
            _CONFIGURE,
            "cmake --build build",
            command(tuned, ["build/infer --seconds 10"]),
        ),
        losses=tuple(losses),
    )
