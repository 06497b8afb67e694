"""Compile a configuration for use, by the same steps as for measuring it."""

from pathlib import Path

import openvino as ov

from autotune.worker import model


def compile_deployment(  # noqa: PLR0913, PLR0917 - the parts of a deployment
    core: ov.Core,
    path: Path,
    shapes: dict[str, list[int]],
    device: str,
    properties: dict[str, str],
    batch_size: int,
    num_requests: int,
) -> tuple[ov.CompiledModel, ov.AsyncInferQueue]:
    """The compiled model and a queue of the right size.

    Raises:
        RuntimeError: the runtime refuses it.
    """
    network = model.read(core, path, shapes)
    model.set_batch(network, batch_size)
    compiled = core.compile_model(network, device, properties)
    return compiled, ov.AsyncInferQueue(compiled, num_requests)
