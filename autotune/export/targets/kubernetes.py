"""Kubernetes: Model Server in a pod whose CPUs are the threads that were tuned."""

import json
import math
from pathlib import PurePosixPath

from autotune.export.core_budget import limit_of
from autotune.export.targets import model_server
from autotune.export.targets.confinement import under_budget
from autotune.export.targets.target import (
    Exported,
    Loss,
    Tuned,
    UnsupportedError,
    one_line,
    render,
    taken,
    under_environment,
)
from autotune.export.targets.workload_losses import (
    check_one_model,
    check_stateless,
    with_its_graph,
)
from autotune.space.dimensions import CORE_BINDING

MANIFEST = "deployment.yaml"
_MEBIBYTE = 2**20
_STEP = 64


def export(tuned: Tuned) -> Exported:
    """A Deployment with equal requests and limits, and a Service.

    Raises:
        UnsupportedError: another device than the CPU, or one that does not say its threads.
    """
    best, threads = tuned.best, tuned.threads
    if best.device != "CPU" or threads is None:
        message = (
            f"kubernetes: resources are asked for by CPUs, and for {best.device!r} it is not known "
            "how many threads infer; other devices need their plugin's resources"
        )
        raise UnsupportedError(message)
    check_stateless("kubernetes", tuned)
    check_one_model("kubernetes", tuned)
    graph = with_its_graph(tuned)
    name, source, tuned = tuned.name, tuned.model, graph.tuned
    manifest = render(
        "deployment.yaml.jinja",
        model=source,
        name=name,
        image=model_server.image(tuned),
        arguments=_arguments(tuned, name),
        threads=threads,
        cpus=_quantity(limit_of(best) or threads),
        is_whole=(limit_of(best) or threads) % 1 == 0,
        memory=_memory(best.measured.peak_rss_bytes),
        environment={name: _literal(text) for name, text in tuned.environment.items()},
    )
    return Exported(
        files={MANIFEST: manifest, **graph.files},
        run=(
            *graph.run,
            f"# put {_listed(tuned)} into a volume claimed as {name}, under /{name}/1/",
            f"kubectl apply -f {MANIFEST}",
        ),
        losses=(*model_server.losses(tuned), *_losses(tuned, threads)),
    )


def _listed(tuned: Tuned) -> str:
    """The files of the model, as they lie beside each other."""
    return one_line(" and ".join([PurePosixPath(tuned.model).name, *tuned.weights]))


def _arguments(tuned: Tuned, name: str) -> list[str]:
    plain = [
        *("--model_name", name),
        *("--model_path", f"/models/{name}"),
        *("--target_device", tuned.best.device),
        *("--shape", json.dumps(model_server.shapes(taken(tuned)))),
        *("--nireq", str(tuned.best.num_requests)),
        *("--plugin_config", json.dumps(model_server.plugin_config(tuned))),
        *("--port", "9000", "--rest_port", "8000"),
    ]
    return [_literal(argument) for argument in plain]


def _literal(text: str) -> str:
    """Text in which nothing is taken for a variable's name."""
    return text.replace("$(", "$$(")


def _memory(peak_bytes: int | None) -> str | None:
    """Half as much again as was measured, in whole steps: the server has buffers of its own."""
    if peak_bytes is None:
        return None
    return f"{_STEP * math.ceil(1.5 * peak_bytes / _MEBIBYTE / _STEP)}Mi"


def _quantity(cpus: float) -> str:
    """CPUs as Kubernetes counts them: whole, or in thousandths."""
    return f"{cpus:g}" if cpus % 1 == 0 else f"{round(1000 * cpus)}m"


def _losses(tuned: Tuned, threads: int) -> list[Loss]:
    cpus = _quantity(limit_of(tuned.best) or threads)
    found = [
        *under_environment(tuned, "the manifest sets it, and the image must have the file"),
        *under_budget(
            tuned,
            f"the manifest asks for as much ({cpus}), and which CPUs that is the kubelet chooses: "
            "with the static CPU manager policy CPUs of its own, else a share of all",
            "the manifest sets it",
        ),
        Loss(
            f"CPUs for the server itself: its threads share {cpus} with those that infer",
            "less throughput than measured where requests are small and many",
        ),
    ]
    if tuned.binds_cores:
        found.append(
            Loss(
                "CPUs of its own: only a kubelet with the static CPU manager policy gives them",
                "elsewhere threads are bound to CPUs that other pods use too; set "
                f"{CORE_BINDING.property} to false there",
            )
        )
    if tuned.best.measured.peak_rss_bytes is None:
        found.append(
            Loss(
                "memory: this best.json does not say how much was used",
                "no limit is set, and a pod without one gets no whole CPUs",
            )
        )
    else:
        found.append(
            Loss(
                "memory: half as much again as the process that measured it used",
                "a server that needs more is ended; raise request and limit together then",
            )
        )
    return found
