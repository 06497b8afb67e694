"""Recorded surfaces: measured once, then tried on again and again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autotune.cli.commands.options import (
    Json,
    StudyFolder,
    TheirCpus,
    Wait,
    path_argument,
    path_option,
)

Samplers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="auto, gp, tpe, random, grid, exhaustive; may be repeated.",
        show_default="auto, tpe, random",
    ),
]
OtherCap = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Cap on request latency.", show_default="the study's own"),
]
OtherPercentile = Annotated[
    float | None,
    typer.Option(
        metavar="P", help="Percentile that the cap is on.", show_default="the study's own"
    ),
]


def record(
    study: StudyFolder,
    *,
    out: Annotated[
        Path | None,
        path_option(metavar="FILE", help="The surface file.", show_default="STUDY/surface.db"),
    ] = None,
    launches: Annotated[int, typer.Option(metavar="N", help="Fresh processes of each model.")] = 3,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Slices of each configuration in a launch.")
    ] = 2,
    slice_: Annotated[
        str, typer.Option("--slice", metavar="TIME", help="Shortest slice.")
    ] = "300ms",
    cpus: TheirCpus = None,
    wait: Wait = None,
) -> None:
    """Measure a study's whole space, in interleaved slices, into a surface file.

    It takes minutes to hours and goes on where it was stopped. Searches can then be tried on the
    surface in seconds: autotune replay.
    """
    from autotune.cli.surface import run_record

    sys.exit(run_record(study, out, launches, rounds, slice_, cpus=cpus, wait=wait))


def replay(
    surfaces: Annotated[
        list[Path], path_argument(metavar="SURFACE…", help="Files that autotune record wrote.")
    ],
    *,
    sampler: Samplers = None,
    trials: Annotated[int, typer.Option(metavar="N", help="Trials of each study.")] = 60,
    seeds: Annotated[int, typer.Option(metavar="N", help="Studies for each curve.")] = 5,
    max_latency: OtherCap = None,
    percentile: OtherPercentile = None,
    plot: Annotated[
        Path | None, path_option(metavar="FILE", help="Draw the regret curves into an HTML page.")
    ] = None,
    json: Json = False,
) -> None:
    """Try samplers on recorded surfaces: regret against trials and against time, in seconds.

    The tuner itself runs, on a virtual clock and with the recorded noise. Without a cap, each
    surface is replayed with its study's own.
    """
    from autotune.cli.surface import run_replay

    sys.exit(
        run_replay(
            surfaces,
            sampler or ["auto", "tpe", "random"],
            trials,
            seeds,
            max_latency=max_latency,
            asked_percentile=percentile,
            plot=plot,
            as_json=json,
        )
    )
