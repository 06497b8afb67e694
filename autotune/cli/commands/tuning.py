"""The one command that tunes, and its options."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from autotune.cli.commands.options import (
    Cpus,
    Headroom,
    Json,
    MaxLatency,
    Percentile,
    Portable,
    Wait,
    path_argument,
    path_option,
    with_limits,
    with_workload,
)

ModelOrStudy = Annotated[
    Path,
    path_argument(
        metavar="MODEL|STUDY",
        help="A model file (.xml, .onnx, .pb, .tflite, .pdmodel) for a new study, "
        "or a study's folder to run or continue.",
    ),
]
ObjectiveName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="throughput (under the cap, or said so without one), latency, pareto (both), or "
        "efficiency (items per CPU-second).",
        show_default="throughput under the cap",
    ),
]
EfficiencyBy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What efficiency counts by: cpu or energy.", show_default="cpu"
    ),
]
TuningTime = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Time for the whole study: 10m, 8h.", show_default="10m"),
]
Trials = Annotated[int | None, typer.Option(metavar="N", help="Stop after N trials.")]
Until = Annotated[str | None, typer.Option(metavar="HH:MM", help="Stop at this local time of day.")]
UntilStable = Annotated[
    bool,
    typer.Option(
        "--until-stable",
        help="Also stop searching when an improvement above 1 % has become unlikely.",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="auto, gp, tpe, random, grid, or exhaustive.",
        show_default="auto",
    ),
]
WarmStart = Annotated[
    Path | None,
    path_option(
        "--from",
        metavar="STUDY",
        help="Measure the best few of another study first, right after the hints.",
    ),
]
StudyName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name of the new study.", show_default="the model's name"),
]
DeviceNames = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DEVICE",
        help="Device to choose from, such as GPU or AUTO:GPU,CPU, or all; may be repeated.",
        show_default="CPU",
    ),
]
Shapes = Annotated[
    str | None,
    typer.Option(
        metavar="SHAPE",
        help='Static input shapes: "x:1,3,48,192", ";" between inputs; '
        "the name may be left out for one input.",
    ),
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Continue on another machine or runtime.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Continue a study that another user or machine began, and run the code of its inputs.",
    ),
]


@with_limits
@with_workload
def tune(
    target: ModelOrStudy,
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    headroom: Headroom = None,
    objective: ObjectiveName = None,
    efficiency: EfficiencyBy = None,
    portable: Portable = False,
    budget: TuningTime = None,
    trials: Trials = None,
    until: Until = None,
    until_stable: UntilStable = False,
    sampler: SamplerName = None,
    warm_start: WarmStart = None,
    name: StudyName = None,
    device: DeviceNames = None,
    shape: Shapes = None,
    cpus: Cpus = None,
    anyway: Anyway = False,
    trust: Trust = False,
    wait: Wait = None,
    *,
    limits: dict[str, str | None],
    workload: dict[str, Any],
) -> None:
    """Tune a model, or run or continue a study.

    Writes studies/NAME/study.toml for a new study, measures until the budget is spent, and
    leaves best.json beside it. Ctrl-C once ends after the current trial, twice at once; the
    same command with the study's folder goes on from there.
    """
    from autotune.cli.tune import run_tune

    given = {
        "max_latency": max_latency,
        "percentile": percentile,
        "headroom": headroom,
        "objective": objective,
        "efficiency": efficiency,
        "portable": portable or None,
        **limits,
        "device": device or None,
        "shape": shape,
        "cpus": cpus,
        "sampler": sampler,
        **{name: value or None for name, value in workload.items()},
        "from": warm_start,
        "name": name,
    }
    budgets = {
        "duration": budget,
        "trials": trials,
        "until": until,
        "stable": until_stable or None,
    }
    sys.exit(run_tune(target, given, budgets, anyway=anyway, trust=trust, wait=wait))


def variants(
    study: Annotated[
        Path, path_argument(metavar="STUDY", help="A study's folder, with [variants].")
    ],
    *,
    accuracy_aware: Annotated[
        bool,
        typer.Option(
            "--accuracy-aware",
            help="Give operations back where the whole int8 model is too far off, the most harmful "
            "first; as accuracy_aware = true does in study.toml. Takes much longer.",
        ),
    ] = False,
    trust: Trust = False,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Make the variants of a study's model, and hold their answers to it, before anything is tuned.

    Each is listed with its size, the operations that were quantised, and what the guard finds.
    """
    from autotune.cli.variants import show_variants

    code = show_variants(study, accuracy_aware=accuracy_aware, trust=trust, wait=wait, as_json=json)
    sys.exit(code)
