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


def devices(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DEVICE", help="Only these, also some that stand for others: AUTO:GPU,CPU."
        ),
    ] = None,
    *,
    profile: Annotated[
        Path | None,
        path_option(metavar="FILE", help="Show the hardware in this capability profile instead."),
    ] = None,
    record: Annotated[
        Path | None,
        path_option(metavar="FILE", help="Write this machine's capability profile, a .toml file."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the devices that the runtime has here, what each can do, and what is tuned of it."""
    from autotune.cli.devices import show_devices

    show_devices(tuple(names or ()), as_json=json, profile=profile, record=record)


def inspect(
    model: Annotated[Path, path_argument(metavar="MODEL", help="A model file.")],
    *,
    shape: ItsShape = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compile nothing: whether a batch is right stays open.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a model: inputs, outputs, weights, operations, and whether it can be batched.

    It is compiled and run for that, as a study does it before it begins.
    """
    from autotune.cli.inspect import show_model

    show_model(model, as_json=json, shape=shape, quick=quick)
