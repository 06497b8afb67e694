"""A C++ program with a pool of requests of the tuned size, and how to build it."""

from autotune.export.targets.target import Exported, Loss, Tuned, render

PROGRAM = "infer.cpp"
_WHERE = "$(python -c 'import openvino; print(openvino.__path__[0] + \"/cmake\")')"
_CONFIGURE = f'cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DOpenVINO_DIR="{_WHERE}"'


def export(tuned: Tuned) -> Exported:
    """A program that needs OpenVINO's headers and library only."""
    best = tuned.best
    program = render(
        "infer.cpp.jinja",
        model=tuned.model,
        device=best.device,
        properties=best.properties,
        inputs=tuned.inputs,
        batch_size=best.batch_size,
        num_requests=best.num_requests,
        expected=tuned.expected,
    )
    losses = []
    if tuned.is_sync:
        losses.append(
            Loss(
                "one blocking request: the program keeps one request in flight instead",
                "a few microseconds for each request, for the change of threads",
            )
        )
    if tuned.data is not None:
        losses.append(
            Loss(
                "the input data of the measurement: random numbers instead",
                "the speed of models whose work depends on their data",
            )
        )
    elif any(port.type != "f32" for port in tuned.inputs):
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
            "build/infer",
        ),
        losses=tuple(losses),
    )
