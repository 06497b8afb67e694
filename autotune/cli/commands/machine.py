"""What is asked of this machine, its runtime and a model file; no study is needed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autotune.cli.commands.options import Cpus, ItsShape, Json, Wait, path_argument, path_option


def doctor(
    *,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Race the THROUGHPUT hint against itself: the machine's A/A noise."
        ),
    ] = False,
    model: Annotated[
        Path | None,
        path_option(
            metavar="FILE", help="Calibrate on this model.", show_default="a small network"
        ),
    ] = None,
    shape: ItsShape = None,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Longest time for the calibration.")
    ] = "100s",
    cpus: Cpus = None,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Check whether this machine is fit for measuring, and what to do about it.

    With --calibrate, measure the noise between two equal configurations instead; studies on this
    machine then call smaller differences ties.
    """
    from autotune.cli.doctor import run_calibration, show_doctor

    if calibrate:
        sys.exit(run_calibration(model, shape, budget, cpus=cpus, wait=wait, as_json=json))
    sys.exit(show_doctor(cpus=cpus, wait=wait, as_json=json))


def devices(*, json: Json = False) -> None:
    """List the devices that the runtime has here."""
    from autotune.cli.inspect import show_devices

    show_devices(as_json=json)


def inspect(
    model: Annotated[Path, path_argument(metavar="MODEL", help="A model file.")],
    *,
    json: Json = False,
) -> None:
    """Show a model's inputs and outputs, and whether they need a shape."""
    from autotune.cli.inspect import show_model

    show_model(model, as_json=json)
