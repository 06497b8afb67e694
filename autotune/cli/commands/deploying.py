"""What is done with a best.json: verify it, export it, race it against others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autotune.cli.commands.options import (
    ItsShape,
    Json,
    MaxLatency,
    MovedModel,
    Percentile,
    TheirCpus,
    TrustInputs,
    Wait,
    path_argument,
    path_option,
    with_limits,
)


@with_limits
def verify(
    files: Annotated[
        list[Path], path_argument(metavar="best.json…", help="Files that autotune wrote.")
    ],
    *,
    budget: Annotated[str, typer.Option(metavar="TIME", help="Longest time for each file.")] = "2m",
    model: MovedModel = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also on another machine or runtime than the file's.")
    ] = False,
    cpus: TheirCpus = None,
    wait: Wait = None,
    trust: TrustInputs = False,
    json: Json = False,
    limits: dict[str, str | None],
) -> None:
    """Check that best.json holds on this machine: SLA, limits and throughput, in fresh processes.

    They run on the CPUs of the file's core budget, if it has one.

    Exit code 0: it holds; 4: it does not, or too little could be seen to say. Limits are checked
    beside those of the file, or in place of them.
    """
    from autotune.cli.verify import run_verify

    sys.exit(
        run_verify(
            files,
            budget,
            model,
            limits=limits,
            anyway=anyway,
            cpus=cpus,
            wait=wait,
            trust=trust,
            as_json=json,
        )
    )


def export(
    file: Annotated[
        Path, path_argument(metavar="best.json", help="A file that autotune wrote, or its folder.")
    ],
    *,
    to: Annotated[
        list[str],
        typer.Option(
            metavar="TARGET",
            help="benchmark_app, python, cpp, model-server, triton, onnxruntime, kubernetes, "
            "or all; may be repeated.",
        ),
    ],
    out: Annotated[
        Path | None,
        path_option(
            metavar="DIR",
            help="Folder for the targets' folders.",
            show_default="export beside best.json",
        ),
    ] = None,
    model: MovedModel = None,
    json: Json = False,
) -> None:
    """Write best.json in the form that a deployment target takes, and say what it cannot take.

    Each target has a folder of its own, with a README.md that says how to use the files.
    """
    from autotune.cli.export import run_export

    sys.exit(run_export(file, to, out, model, as_json=json))


@with_limits
def compare(
    contenders: Annotated[
        list[str],
        typer.Argument(
            metavar="A B…",
            help="best.json, STUDY:TRIAL, LATENCY, THROUGHPUT, "
            "or streams=2,threads_per_stream=1,requests=4,batch=8.",
        ),
    ],
    *,
    budget: Annotated[str, typer.Option(metavar="TIME", help="Longest time.")] = "2m",
    model: Annotated[
        Path | None,
        path_option(metavar="FILE", help="Model for hints and settings; else the first one's."),
    ] = None,
    shape: ItsShape = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="For hints and settings.")] = "CPU",
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Compare by throughput, latency, or efficiency (items per CPU-second).",
            show_default="that of the files, else throughput",
        ),
    ] = None,
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also what was tuned on another machine or runtime.")
    ] = False,
    cpus: TheirCpus = None,
    wait: Wait = None,
    trust: TrustInputs = False,
    json: Json = False,
    limits: dict[str, str | None],
) -> None:
    """Race configurations head to head, in interleaved slices; ratios are to the first."""
    from autotune.cli.compare import run_compare

    sys.exit(
        run_compare(
            contenders,
            budget,
            model=model,
            shape=shape,
            device=device,
            objective=objective,
            max_latency=max_latency,
            asked_percentile=percentile,
            limits=limits,
            anyway=anyway,
            cpus=cpus,
            wait=wait,
            trust=trust,
            as_json=json,
        )
    )
