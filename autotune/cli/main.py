"""The commands. What they need is imported when they run, so that --help is instant."""

import gc
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from autotune.cli.names import check_names, os_fault
from autotune.cli.streams import OutputError, finish, guard
from autotune.errors import EXIT_ERROR, EXIT_INTERRUPTED, AutotuneError

app = typer.Typer(
    help="Find the OpenVINO settings with the highest throughput under a latency cap.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Of paths: typer would refuse what cannot be read in words of its own, on several lines.
_argument, _option = partial(typer.Argument, readable=False), partial(typer.Option, readable=False)

StudyFolder = Annotated[
    Path, _argument(metavar="STUDY", help="Folder of a study, such as studies/classifier.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxLatency = Annotated[
    str | None,
    typer.Option("--max-latency", metavar="TIME", help="Cap on request latency: 20ms, 800us, 1s."),
]
Percentile = Annotated[
    float | None,
    typer.Option(metavar="P", help="Percentile that the cap is on.", show_default="99"),
]
Headroom = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="How much slower the machine may become before the cap is at risk: 15%.",
    ),
]
Wait = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="TIME",
        help="Wait so long while another process tunes or measures: 2h.",
        show_default="not at all",
    ),
]
MovedModel = Annotated[
    Path | None, _option("--model", metavar="FILE", help="The model file, if it was moved.")
]


def main() -> NoReturn:
    """Run a command; the one place where expected errors become a message and an exit code."""
    guard()
    code: str | int | None = 0
    try:
        try:
            app()
        except SystemExit as ended:
            code = ended.code
        finally:
            finish()
    except AutotuneError as error:
        code = error.exit_code
        if not (isinstance(error, OutputError) and error.is_quiet):
            print(f"autotune: {error}", file=sys.stderr)
    except OSError as error:  # a file or folder of somebody else's, most often
        code = EXIT_ERROR
        print(f"autotune: {os_fault(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"autotune {installed('openvino-autotune')}")
        raise typer.Exit
    if not {"-h", "--help"} & set(sys.argv):
        check_names(sys.argv[1:])


@app.command(no_args_is_help=True)
def tune(
    target: Annotated[
        Path,
        _argument(
            metavar="MODEL|STUDY",
            help="A model file (.xml, .onnx, .pb, .tflite, .pdmodel) for a new study, "
            "or a study's folder to run or continue.",
        ),
    ],
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    headroom: Headroom = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="throughput (under the cap), latency, or pareto (both).",
            show_default="throughput",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time for the whole study: 10m, 8h.", show_default="10m"),
    ] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="Stop after N trials.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Stop at this local time of day.")
    ] = None,
    until_stable: Annotated[
        bool,
        typer.Option(
            "--until-stable",
            help="Also stop searching when an improvement above 1 % has become unlikely.",
        ),
    ] = False,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="auto, gp, tpe, random, grid, or exhaustive.",
            show_default="auto",
        ),
    ] = None,
    warm_start: Annotated[
        Path | None,
        _option(
            "--from",
            metavar="STUDY",
            help="Measure the best few of another study first, right after the hints.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the new study.", show_default="the model's name"
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE", help="Device to choose from; may be repeated.", show_default="CPU"
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="SHAPE",
            help='Static input shapes: "x:1,3,48,192", ";" between inputs; '
            "the name may be left out for one input.",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Continue on another machine or runtime.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Continue a study that another user or machine began.")
    ] = False,
    wait: Wait = None,
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
        "device": device or None,
        "shape": shape,
        "sampler": sampler,
        "from": warm_start,
        "name": name,
    }
    limits = {
        "duration": budget,
        "trials": trials,
        "until": until,
        "stable": until_stable or None,
    }
    sys.exit(run_tune(target, given, limits, anyway=anyway, trust=trust, wait=wait))


@app.command(no_args_is_help=True)
def status(study: StudyFolder, *, json: Json = False) -> None:
    """Show a study's progress and trials, also while it is being tuned."""
    from autotune.cli.results import show_status

    show_status(study, as_json=json)


@app.command(no_args_is_help=True)
def log(study: StudyFolder, *, json: Json = False) -> None:
    """Tell a study's story: starts and ends, gains, failures with their last output, races."""
    from autotune.cli.results import show_log

    show_log(study, as_json=json)


@app.command(no_args_is_help=True)
def report(
    studies: Annotated[
        list[Path],
        _argument(metavar="STUDY…", help="Folder of a study; several are put side by side."),
    ],
    *,
    out: Annotated[
        Path | None,
        _option(
            metavar="FILE",
            help="Where to write it.",
            show_default="report.html beside the study; comparison.html beside the first",
        ),
    ] = None,
    png: Annotated[
        Path | None,
        _option(
            metavar="FILE", help="Write the main chart as a picture instead (needs matplotlib)."
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write a study as one HTML page that needs no network: answer, charts, all trials.

    Several studies, such as of two machines or two versions of the runtime, make one page that
    puts them side by side under the first one's goal.
    """
    from autotune.cli.report import show_comparison, show_report

    if len(studies) > 1:
        show_comparison(studies, out, png, open_it=open_it)
    else:
        show_report(studies[0], out, png, open_it=open_it)


@app.command(no_args_is_help=True)
def dashboard(
    study: StudyFolder,
    *,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 for any that is free.")
    ] = 8080,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Show a copy of a study in optuna-dashboard, on this machine, until Ctrl-C.

    The copy has the constraints in the form that the dashboard reads; the study stays as it is.
    """
    from autotune.cli.dashboard import run_dashboard

    run_dashboard(study, port, open_it=open_it)


@app.command(no_args_is_help=True)
def pareto(
    study: StudyFolder,
    *,
    percentile: Percentile = None,
    csv: Annotated[Path | None, _option(metavar="FILE", help="Write the front as CSV.")] = None,
    json: Json = False,
) -> None:
    """Show the Pareto front of throughput against latency over all measurements."""
    from autotune.cli.results import show_pareto

    show_pareto(study, percentile, csv, as_json=json)


@app.command(no_args_is_help=True)
def frame(
    study: StudyFolder,
    *,
    csv: Annotated[Path | None, _option(metavar="FILE", help="Write CSV.")] = None,
    parquet: Annotated[
        Path | None, _option(metavar="FILE", help="Write Parquet (needs pyarrow).")
    ] = None,
) -> None:
    """Write every measurement as a table, one row each; CSV to the output without a file.

    The columns are described in docs/frame.md; in Python: autotune.frame("studies/NAME").
    """
    from autotune.cli.frame import show_frame

    show_frame(study, csv, parquet)


@app.command(no_args_is_help=True)
def best(
    study: StudyFolder,
    *,
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    headroom: Headroom = None,
    max_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Resident memory of the process, at most: 500MiB, 2GB."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Only what ran on this device.")
    ] = None,
    out: Annotated[
        Path | None, _option(metavar="FILE", help="Also write it as a best.json.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the best configuration for the study's cap, or another, from what was measured."""
    from autotune.cli.results import show_best

    gc.disable()  # it would look through ten thousand trials again and again, and free nothing
    try:
        code = show_best(
            study,
            max_latency,
            percentile,
            out,
            headroom=headroom,
            max_memory=max_memory,
            device=device,
            as_json=json,
        )
    finally:
        gc.enable()
    sys.exit(code)


@app.command(no_args_is_help=True)
def verify(
    files: Annotated[
        list[Path], _argument(metavar="best.json…", help="Files that autotune wrote.")
    ],
    *,
    budget: Annotated[str, typer.Option(metavar="TIME", help="Longest time for each file.")] = "2m",
    model: MovedModel = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also on another machine or runtime than the file's.")
    ] = False,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Check that best.json holds on this machine: SLA and throughput, in fresh processes.

    Exit code 0: it holds; 4: it does not, or too little could be seen to say.
    """
    from autotune.cli.contest import run_verify

    sys.exit(run_verify(files, budget, model, anyway=anyway, wait=wait, as_json=json))


@app.command(no_args_is_help=True)
def export(
    file: Annotated[
        Path, _argument(metavar="best.json", help="A file that autotune wrote, or its folder.")
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
        _option(
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


@app.command(no_args_is_help=True)
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
        _option(metavar="FILE", help="Model for hints and settings; else the first one's."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(metavar="SHAPE", help='Its input shapes: "x:1,3,48,192".')
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="For hints and settings.")] = "CPU",
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also what was tuned on another machine or runtime.")
    ] = False,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Race configurations head to head, in interleaved slices; ratios are to the first."""
    from autotune.cli.contest import run_compare

    sys.exit(
        run_compare(
            contenders,
            budget,
            model=model,
            shape=shape,
            device=device,
            max_latency=max_latency,
            asked_percentile=percentile,
            anyway=anyway,
            wait=wait,
            as_json=json,
        )
    )


@app.command()
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
        _option(metavar="FILE", help="Calibrate on this model.", show_default="a small network"),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(metavar="SHAPE", help='Its input shapes: "x:1,3,48,192".')
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Longest time for the calibration.")
    ] = "100s",
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Check whether this machine is fit for measuring, and what to do about it.

    With --calibrate, measure the noise between two equal configurations instead; studies on this
    machine then call smaller differences ties.
    """
    from autotune.cli.doctor import run_calibration, show_doctor

    if calibrate:
        sys.exit(run_calibration(model, shape, budget, wait=wait, as_json=json))
    sys.exit(show_doctor(wait=wait, as_json=json))


@app.command(no_args_is_help=True)
def record(
    study: StudyFolder,
    *,
    out: Annotated[
        Path | None,
        _option(metavar="FILE", help="The surface file.", show_default="STUDY/surface.db"),
    ] = None,
    launches: Annotated[int, typer.Option(metavar="N", help="Fresh processes of each model.")] = 3,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Slices of each configuration in a launch.")
    ] = 2,
    slice_: Annotated[
        str, typer.Option("--slice", metavar="TIME", help="Shortest slice.")
    ] = "300ms",
    wait: Wait = None,
) -> None:
    """Measure a study's whole space, in interleaved slices, into a surface file.

    It takes minutes to hours and goes on where it was stopped. Searches can then be tried on the
    surface in seconds: autotune replay.
    """
    from autotune.cli.surface import run_record

    sys.exit(run_record(study, out, launches, rounds, slice_, wait=wait))


@app.command(no_args_is_help=True)
def replay(
    surfaces: Annotated[
        list[Path], _argument(metavar="SURFACE…", help="Files that autotune record wrote.")
    ],
    *,
    sampler: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="auto, gp, tpe, random, grid, exhaustive; may be repeated.",
            show_default="auto, tpe, random",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", help="Trials of each study.")] = 60,
    seeds: Annotated[int, typer.Option(metavar="N", help="Studies for each curve.")] = 5,
    max_latency: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Cap on request latency.", show_default="the study's own"
        ),
    ] = None,
    percentile: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Percentile that the cap is on.", show_default="the study's own"
        ),
    ] = None,
    plot: Annotated[
        Path | None, _option(metavar="FILE", help="Draw the regret curves into an HTML page.")
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


@app.command()
def devices(*, json: Json = False) -> None:
    """List the devices that the runtime has here."""
    from autotune.cli.inspect import show_devices

    show_devices(as_json=json)


@app.command(no_args_is_help=True)
def inspect(
    model: Annotated[Path, _argument(metavar="MODEL", help="A model file.")],
    *,
    json: Json = False,
) -> None:
    """Show a model's inputs and outputs, and whether they need a shape."""
    from autotune.cli.inspect import show_model

    show_model(model, as_json=json)
